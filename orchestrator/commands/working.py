"""`worker`: this clone serves the queue."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from pathlib import Path


def worker(repo: Path, *, once: bool, json: bool) -> int:
    """Serve all features that anybody asked for until told to stop; `once`: until none is open any more."""
    from orchestrator.runner import warm_up
    from orchestrator.sharing import join
    from orchestrator.telling.readiness import check as check_hooks

    warm_up()
    workspace = Workspace.open(repo)
    workspace.head()
    workspace.repository.identity()  # a landing needs one; say so before anything is started
    check_hooks(workspace)
    workspace.prepare()
    join(workspace)
    workspace.level  # noqa: B018 - raises where no sandbox is to be had: gates run what agents wrote
    return _work(workspace, once=once, json=json)


def _work(workspace: Workspace, *, once: bool, json: bool) -> int:
    from orchestrator.runner import INTERRUPTED, serve, stop_at_once

    served = _Served(workspace, once=once)
    signal.signal(signal.SIGINT, served.stop)
    sys.stderr.write(f"serving the queue of {workspace.policy.project.name}; Ctrl-C ends it\n")
    try:
        serve(workspace, served.is_over)
    except KeyboardInterrupt:
        say(served.outcome("interrupted"), lambda: "stopped at once; what was under way is carried on", as_json=json)
        stop_at_once(workspace, INTERRUPTED)
    except EnvironmentFailure as error:
        sys.stderr.write(f"{error}\n")
        if json:
            say({"error": str(error), "exit": error.exit_code}, str, as_json=True)
        stop_at_once(workspace, error.exit_code)
    word = "stopped" if served.told else "done"
    say(served.outcome(word), lambda: f"{word}: nothing is under way here any more", as_json=json)
    return 0


class _Served:
    """What the worker has heard, and whether it is to go on."""

    def __init__(self, workspace: Workspace, *, once: bool) -> None:
        from orchestrator.display import teller
        from orchestrator.telling.stream import last_seq

        self._workspace, self._once = workspace, once
        self._tell = teller(workspace)
        self._seen = last_seq(workspace.database)
        self.told = False
        """Whether somebody wants it to stop."""

    def stop(self, *_: object) -> None:
        """Finish what is under way and claim nothing new; told once more, stop at once."""
        if self.told:
            raise KeyboardInterrupt
        self.told = True
        sys.stderr.write("finishing what is under way here; Ctrl-C once more stops at once\n")

    def is_over(self) -> bool:
        from memory.events import read
        from orchestrator.runner import any_open

        if self._workspace.database.exists:
            for event in read(self._workspace.database, after=self._seen):
                self._seen = event.seq
                self._tell(event)
        return self.told or (self._once and not any_open(self._workspace))

    def outcome(self, word: str) -> dict[str, Any]:
        return {"worker": word, "open": [row.id for row in self._workspace.records.open_features()]}
