"""This process at a queue that several clones share: what it has claimed, what it claims next, and `worker`, which serves them all.

Who works on what is decided by claims, each with a fence: `ticket:T-0001` for its stages, `feature:F-0001` for the lead's part, and
`worker:<clone>` for the clone itself. A claim that is not renewed lapses, and another clone goes on from the records. What an owner that
slept past its lease writes then is refused by the fence, in the transaction itself.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TypeVar

from memory.claims import Claims
from memory.connection import DatabaseGoneError
from memory.fences import fenced
from memory.inventory import last_landing
from orchestrator.owners import alive, this_process
from orchestrator.posts import Post
from orchestrator.sharing import follow, gather
from orchestrator.telling.stream import last_seq
from tickets.errors import EnvironmentFailure, WaitingError
from tickets.states import ENDS, State
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from memory.claims import Claim
    from memory.events import About
    from memory.records import FeatureRow, TicketRow
    from orchestrator.workspace import Workspace

    Begin = Callable[[str, str, int], None]
    """Begins a `feature` or a `ticket`, unless it is begun under that number already."""

OPEN = frozenset({"queued", "running"})
"""States of a feature that something is still to happen to by itself."""
NAME = "clone"
"""File in the state folder with the name of this clone."""
WANTED = "wanted"
"""Folder with a file for each feature that somebody waits for in this clone."""
PATIENCE_S = 120.0
"""How long a server that does not answer is waited for."""
AGAIN_S = 0.5
BEATS = 3
"""Renewals of a claim within its lease."""
T = TypeVar("T")


def patiently(work: Callable[[], T]) -> T:
    """Do it again while the database is gone, as long as patience lasts; what is done has to bear repetition."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except DatabaseGoneError:
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)


# a clone among others


def _name_of_clone(state: Path) -> str:
    """Give the name of this clone, the same at every start."""
    file = state / NAME
    if not file.is_file():
        write_durably(file, secrets.token_hex(4).encode())
    return file.read_text(encoding="ascii").strip()


def want(workspace: Workspace, feature: str) -> None:
    """Have this clone see to the feature: whichever process of it is the runner."""
    if workspace.database.shared:
        folder = workspace.state / WANTED
        folder.mkdir(exist_ok=True)
        (folder / feature).touch()


def _wanted(state: Path) -> set[str]:
    folder = state / WANTED
    return {file.name for file in folder.iterdir()} if folder.is_dir() else set()


class Shift:
    """What this process has claimed of the shared queue. One for each runner; `round` is called by its main thread alone."""

    def __init__(self, workspace: Workspace, *, everything: bool) -> None:
        """`everything`: what anybody asked for, not only what somebody waits for in this clone."""
        self._workspace, self._everything = workspace, everything
        self._lease_s = workspace.policy.state.lease_s
        self.clone = _name_of_clone(workspace.state)
        self._claims = Claims(workspace.database, owner=this_process(), alive=alive)
        self._own: dict[str, Claim] = {}
        self._begun: set[str] = set()
        """What is under way here, lost claims included: nothing is begun a second time before it has ended."""
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}
        self._heard, self._landed = 0, ""
        self.closing = threading.Event()
        """Nothing new is claimed any more."""
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claims", daemon=True)

    def open(self) -> None:
        """Come to work; raise EnvironmentFailure where a copy of this clone is there already."""
        name = f"worker:{self.clone}"
        if self._take(name) is None:
            holder = self._claims.holder(name)
            by = holder.owner if holder else "somebody"
            raise EnvironmentFailure(
                f"this clone is at work elsewhere ({by}); a copy of one needs a name of its own: remove {self._workspace.state / NAME}"
            )
        self._heart.start()

    def close(self) -> None:
        """Hand back all that is left, so that others can go on at once."""
        self.closing.set()
        self._ended.set()
        for name in list(self._own):
            with suppress(EnvironmentFailure):  # then the leases end by themselves
                self.done(name)

    # claims

    def _take(self, name: str) -> Claim | None:
        claim = self._claims.claim(name, ttl_s=self._lease_s)
        if claim is not None:
            with self._lock:
                self._own[name] = claim
        return claim

    def turn(self, name: str) -> AbstractContextManager[object]:
        """Let nothing be written inside unless the claim is ours; raise FencedError at the first write where it is not."""
        claim = self._own.get(name)
        return fenced(name, claim.fence if claim else -1)

    def holds(self, name: str) -> bool:
        return name in self._own

    def done(self, name: str) -> None:
        """Let go of the name: what is begun under it here has ended."""
        with self._lock:
            claim = self._own.pop(name, None)
            self._begun.discard(name)
        if claim is not None:
            self._claims.release(claim)

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / BEATS):
            for name, claim in list(self._own.items()):
                with suppress(EnvironmentFailure):  # the server may be back before the lease ends
                    if not self._claims.renew(claim, ttl_s=self._lease_s) and not self._ended.is_set():
                        self._lost(name, claim)
        self._workspace.database.close()

    def _lost(self, name: str, claim: Claim) -> None:
        """Somebody took over while we slept: what our agent does from now on would be for nothing."""
        with self._lock:
            if self._own.get(name) != claim:
                return
            del self._own[name]
        kind, _, identity = name.partition(":")
        for post in Post.all(self._workspace.state) if kind == "ticket" else ():
            if post.folder.name.rpartition("-")[0] == identity:
                post.end()

    # what is next

    def round(self, begin: Begin) -> None:
        """Claim what this clone can do now, and begin it: `begin` is told the kind, the id, and a number that no other begin has."""
        self.catch_up()
        wanted = _wanted(
            self._workspace.state
        )  # read first: one that is asked for now is not taken for one that is over
        features = [row for row in self._workspace.records.open_features() if row.state in OPEN]
        waited_for = self._wanted_of(wanted, features)
        taken = {claim.name for claim in self._claims.held()} | self._begun
        for row in features:
            if f"feature:{row.id}" in taken:
                self._seen.pop(row.id, None)
            elif row.id in waited_for or (self._everything and self._abandoned(row.id)):
                self._begin("feature", row.id, begin)
        mine = [row.id for row in features if self._everything or row.id in waited_for]
        if (ticket := self._next_ticket(mine, taken)) is not None:
            self._begin("ticket", ticket.id, begin, about=ticket.about)

    def catch_up(self) -> None:
        """Let the local target follow what other clones landed since the last look."""
        newest = last_seq(self._workspace.database)
        if newest == self._heard:
            return
        self._heard, landing = newest, last_landing(self._workspace.database)
        if landing is None or landing.new == self._landed:
            return
        self._landed, repository = landing.new, self._workspace.repository
        if repository.commit(landing.new) is None or not repository.is_ancestor(landing.new, self._workspace.head()):
            with suppress(WaitingError):  # a person hears of it when the next ticket wants to begin here
                follow(self._workspace)

    def _begin(self, kind: str, identity: str, begin: Begin, *, about: About | None = None) -> None:
        name = f"{kind}:{identity}"
        if (claim := self._take(name)) is None:
            return
        self._begun.add(name)
        if about:  # whose machine has its logs
            data = {"clone": self.clone, "owner": self._claims.owner, "fence": claim.fence}
            self._workspace.records.note("ticket.claimed", about, data)
        begin(kind, identity, claim.fence)

    def _wanted_of(self, wanted: set[str], features: list[FeatureRow]) -> set[str]:
        """Give those of them that are open, and forget the others."""
        there = {row.id for row in features}
        for gone in wanted - there:
            (self._workspace.state / WANTED / gone).unlink(missing_ok=True)
        return wanted & there

    def _abandoned(self, feature: str) -> bool:
        """Say whether nobody has had the feature for as long as a lease: whoever asked for it comes first."""
        return time.monotonic() - self._seen.setdefault(feature, time.monotonic()) > self._lease_s

    def _next_ticket(self, features: list[str], taken: set[str]) -> TicketRow | None:
        """Give one ticket that can be gone on with; one at a time, so that other clones get theirs."""
        if self._at_work() >= self._workspace.policy.dispatch.parallel:
            return None
        for row in (row for feature in features for row in self._workspace.records.tickets(feature)):
            open_here = row.state not in ENDS and row.state is not State.DRAFT and f"ticket:{row.id}" not in taken
            if open_here and self._may_begin(row):
                return row
        return None

    def _may_begin(self, row: TicketRow) -> bool:
        others = self._workspace.records.states_of(row.record.depends_on)
        return all(state in ENDS for state in others.values())

    def _at_work(self) -> int:
        """Count the tickets in hand that are more than waiting to land."""
        from orchestrator.train.roster import RIDING

        tickets = [name.partition(":")[2] for name in list(self._begun) if name.startswith("ticket:")]
        return sum(state not in RIDING for state in self._workspace.records.states_of(tickets).values())

    def busy(self) -> bool:
        """Say whether something is in hand that another clone could not simply go on with."""
        return self._at_work() > 0

    # what a stage needs

    def bring(self, ticket: str, *, base: bool) -> None:
        """Have here what the next stage of the ticket stands on: what was done on it so far and, with `base`, the target as it is.

        Raises WaitingError where a person has to do something first.
        """
        if base:
            follow(self._workspace)
        done = [attempt.changes["commit"] for attempt in self._workspace.records.attempts(ticket) if attempt.changes]
        if done and not gather(self._workspace, ticket, done[-1]):
            raise WaitingError(
                f"{self._workspace.policy.landing.remote} does not have what was done on {ticket} so far ({done[-1][:12]})"
            )


_SHIFTS: list[Shift] = []
"""The one of this process, where it has one."""


@contextmanager
def on_shift(workspace: Workspace, *, everything: bool) -> Iterator[Shift | None]:
    """Work at the shared queue meanwhile; a clone that is alone has none."""
    if not workspace.database.shared:
        yield None
        return
    shift = Shift(workspace, everything=everything)
    shift.open()
    _SHIFTS.append(shift)
    yield shift
    # reached only when nothing went wrong: a process that is interrupted ends at once, and hands back by itself
    hand_back()


def hand_back() -> None:
    """Let go of all that this process has claimed, so that other clones go on at once."""
    while _SHIFTS:
        _SHIFTS.pop().close()


def turn(shift: Shift | None, name: str) -> AbstractContextManager[object]:
    """Work under the claim of that name; a clone that is alone needs none."""
    return shift.turn(name) if shift else nullcontext()
