"""Tells hooks what happened: a process of its own, so that no hook can delay or change a run, and none is lost with it.

Events are durable, and each hook has a cursor. The cursor moves when the hook was told: after a crash anywhere it is
told again rather than not at all. Hooks are told side by side, each in the order of the log.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.events import About, read
from orchestrator.owners import alive, this_process
from orchestrator.telling import cursors
from orchestrator.telling.cursors import Cursor
from orchestrator.telling.moments import message, moment_of
from orchestrator.telling.stream import last_seq
from orchestrator.telling.ways import RefusedError, UnreachableError, ways_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memory.events import Event
    from orchestrator.telling.ways import Way
    from orchestrator.workspace import Workspace

POLL_S = 0.2
WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Between the tries of one round."""
PAUSE_S = 60.0
"""Between two rounds, as long as the run goes on; afterwards the next run tries again."""
EXPIRES = timedelta(days=3)
"""What happened longer ago is not told any more."""
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from orchestrator.telling.courier import main; main(sys.argv[2:])"
)


# in the harness


@contextmanager
def courier(workspace: Workspace) -> Iterator[None]:
    """Have hooks told of all that happens in the block; they are told to the end, whatever becomes of this process."""
    ways = ways_of(workspace)
    if ways:
        newest = last_seq(workspace.database)
        for way in ways:  # a new hook is told what comes, not the whole past
            if cursors.read(workspace.state, way.identity) is None:
                cursors.keep(workspace.state, way.identity, Cursor(seq=newest, hook=way.said))
        _start(workspace)
    yield


def _start(workspace: Workspace) -> None:
    package = str(Path(__file__).parent.parent.parent)
    command = [sys.executable, "-P", "-c", _START, package, str(workspace.root), this_process()]
    log = workspace.state / cursors.FOLDER / "courier.log"
    with log.open("ab") as stream:
        # a session of its own: Ctrl-C ends the run, and what happened until then is still told
        process = subprocess.Popen(
            command, cwd=workspace.state, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    process.returncode = 0  # it outlives us by design: nobody waits for it, and nothing warns of that


# in the process of its own


def main(arguments: list[str]) -> None:
    from filelock import FileLock

    from orchestrator.workspace import Workspace

    root, run = arguments
    workspace = Workspace.open(Path(root))

    def over() -> bool:
        return not alive(run) or not workspace.database.exists

    # one at a time: the courier of an earlier run may still be telling the end of that one
    with FileLock(workspace.state / cursors.FOLDER / "courier.lock"):
        rounds = [Round(workspace, way, over) for way in ways_of(workspace)]
        threads = [threading.Thread(target=one.run, name=one.way.said) for one in rounds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how long a hook is tried."""

    waits_s: tuple[float, ...] = WAITS_S
    pause_s: float = PAUSE_S


class Round:
    """Tells one hook everything after its cursor, until the run is over and nothing is left."""

    def __init__(
        self, workspace: Workspace, way: Way, over: Callable[[], bool], patience: Patience | None = None
    ) -> None:
        self._workspace, self.way, self._over = workspace, way, over
        self._patience = patience or Patience()
        self._cursor = cursors.read(workspace.state, way.identity) or Cursor(seq=0, hook=way.said)
        self._said: set[int] = set()
        """Events whose failing is in the log already."""

    def run(self) -> None:
        while True:
            last = self._over()  # asked first: what happened just before the end is told, too
            if not self._catch_up() and last:
                return self._keep()
            if not last:
                time.sleep(POLL_S)

    def _catch_up(self) -> bool:
        """Tell what is new; say whether there was something, and it could be told."""
        seen = self._cursor.seq
        for event in read(self._workspace.database, after=seen):
            if self.concerns(event) and not self._deliver(event):
                self._rest()
                return False
            self._cursor = replace(self._cursor, seq=event.seq)
        return self._cursor.seq > seen

    def concerns(self, event: Event) -> bool:
        """Say whether the hook is to be told of the event."""
        recent = datetime.now(UTC) - datetime.fromisoformat(event.at).astimezone(UTC) < EXPIRES
        return recent and moment_of(event) in self.way.on

    def _deliver(self, event: Event) -> bool:
        """Tell one event; False where it has to be told again later."""
        told = message(self._workspace, event)
        try:
            self._try(told)
        except RefusedError as error:
            self._failed(event, str(error), again=False)
        except UnreachableError as error:
            self._failed(event, str(error), again=True)
            return False
        else:
            self._cursor = replace(self._cursor, seq=event.seq, trouble=None)
            self._keep()
        return True

    def _try(self, told: dict[str, Any]) -> None:
        for wait in self._patience.waits_s:
            try:
                return self.way.tell(told)
            except UnreachableError:
                time.sleep(wait)
        return self.way.tell(told)

    def _failed(self, event: Event, reason: str, *, again: bool) -> None:
        """Keep what is wrong for `status`, and say it in the log once."""
        trouble = {"event": event.seq, "at": event.at, "reason": reason, "again": again}
        before = event.seq - 1 if again else event.seq
        self._cursor = replace(self._cursor, seq=before, trouble=trouble)
        self._keep()
        if event.seq not in self._said:
            self._said.add(event.seq)
            about = About(feature=event.feature, ticket=event.ticket, attempt=event.attempt)
            data = {"hook": self.way.said, "event": event.seq, "kind": event.kind, "reason": reason, "again": again}
            self._workspace.records.note("hook.failed", about, data)

    def _keep(self) -> None:
        cursors.keep(self._workspace.state, self.way.identity, self._cursor)

    def _rest(self) -> None:
        """Leave a hook alone that cannot be reached, as long as the run goes on."""
        until = time.monotonic() + self._patience.pause_s
        while time.monotonic() < until and not self._over():
            time.sleep(POLL_S)
