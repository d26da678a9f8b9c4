"""A throw-away place with everything that a hostile agent could want, where one attempt after the other is made."""

from __future__ import annotations

import os
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from gates.builtin import denylist, scope, size, vcs
from gates.protocol import Case
from gates.workshop import Workshop
from hostile import ADDED, FIXED, SCOPE, Behaviour
from hostile_place import BASE_BRANCH, SECRET, Place
from hostile_watch import differences, marks, settled
from tickets.globs import matches
from tickets.model import Ticket
from tickets.policy import Policy
from worktrees import checkout as trees
from worktrees.changes import LANDS, Change, ChangeSet, capture
from worktrees.checkout import Checkout
from worktrees.confinement import Confinement, Level
from worktrees.deltas import Trees
from worktrees.environment import build
from worktrees.levels import layer_trouble
from worktrees.process import Bounds, Launch, Receipt, run
from worktrees.snapshots import snapshot

if TYPE_CHECKING:
    from gates.verdict import Verdict

BOUNDS = Bounds(timeout_s=4, disk_bytes=64 << 20, processes=64, memory_bytes=256 << 20, patience_s=0.2)
LONGEST_S = 30.0
HUSH = SECRET.encode()
CLAIMS = (*SCOPE["write"], *SCOPE["new"])
TICKET = Ticket.model_validate(
    {"id": "T-0001", "title": "x", "scope": SCOPE, "acceptance": (), "objective": "x", "non_goals": ("x",)}
)


@dataclass(frozen=True, kw_only=True)
class Played:
    """What one behaviour came to at one level."""

    receipt: Receipt
    damage: tuple[str, ...]
    """What is no longer as it was, one sentence each."""
    lost: tuple[str, ...]
    """What is missing of the honest part, and what no gate would have named."""
    seconds: float


@dataclass(kw_only=True)
class Lab:
    place: Place
    attempts: int = field(default=0)

    def play(self, behaviour: Behaviour, level: Level) -> Played:
        """Let an attempt behave so, capture it as the harness does, and look at everything afterwards."""
        place = self.place
        place.revive()
        spec = self._spec(level)
        trees.make(place.repository, spec)
        before = marks(place, spec)
        begun = time.monotonic()
        receipt = self._at_work(behaviour, spec, level)
        after = marks(place, spec)
        changes = capture(place.repository, spec, claims=CLAIMS)
        seconds = time.monotonic() - begun
        damage = [*differences(before, after), *differences(settled(before), settled(marks(place, spec)))]
        damage += [*self._told(receipt, spec), *self._daemons()]
        damage += [f"it took {seconds:.0f} s"] if seconds > LONGEST_S else []
        lost = [] if behaviour.spoils_fix else self._lost(changes)
        lost += self._unnamed(changes, spec)
        trees.discard(place.repository, spec)
        damage += [f"{left} could not be removed" for left in (spec.path, spec.home) if os.path.lexists(left)]
        return Played(receipt=receipt, damage=tuple(dict.fromkeys(damage)), lost=tuple(lost), seconds=seconds)

    def _spec(self, level: Level) -> Checkout:
        self.attempts += 1
        repository = self.place.repository
        head = repository.commit(BASE_BRANCH) or ""
        plain = Checkout(
            ticket="T-0001",
            attempt=self.attempts,
            base=head,
            start=head,
            path=self.place.worktrees / "t-0001-fix",
            home=self.place.worktrees / ".homes" / f"T-0001-{self.attempts}",
            owner=os.getpid(),
        )
        if level != "bubblewrap" or layer_trouble(self.place.worktrees):
            return plain
        return replace(plain, snapshot=str(snapshot(repository, repository.tree(head), self.place.worktrees)))

    def _at_work(self, behaviour: Behaviour, spec: Checkout, level: Level) -> Receipt:
        """Start it on the bench that `orchestrator.attempt._bench` sets up."""
        environment = build(self.place.repository, spec.path, base=spec.base, home=spec.home, contents=spec.contents)
        python = environment.python
        confinement = Confinement(
            level=level,
            write=(spec.home,) if spec.layer else (spec.path, spec.home),
            read=(python.parent.parent, python.resolve().parent.parent),
            layers=(spec.layer,) if spec.layer else (),
        )
        launch = Launch(
            command=behaviour.command,
            cwd=spec.path,
            env={**environment.variables, **self.place.variables()},
            confinement=confinement,
            stdin=b"# the brief\n",
        )
        return run(launch, log=self.place.log, bounds=BOUNDS)

    # ---- the honest part

    def _lost(self, changes: ChangeSet) -> list[str]:
        landing = {change.path for change in changes.landing}
        return [
            f"{path} is not among the changes as it was written"
            for path, text in (FIXED, ADDED)
            if path not in landing or self.place.repository.read(changes.commit, path) != text.encode()
        ]

    def _unnamed(self, changes: ChangeSet, spec: Checkout) -> list[str]:
        """List what the ticket does not allow and no gate refuses by name; what git ignores lands nowhere."""
        named = {finding.path for verdict in self._verdicts(changes, spec) for finding in verdict.findings}
        rest = [one for one in changes.changes if not (_allowed(one) or named & set(one.paths))]
        return [f"no gate names {one.path!r} ({one.kind})" for one in rest]

    def _verdicts(self, changes: ChangeSet, spec: Checkout) -> list[Verdict]:
        root = self.place.root
        case = Case(
            ticket=TICKET,
            policy=Policy(),
            repository=self.place.repository,
            change=changes,
            stage="worktree",
            workshop=Workshop(
                repository=self.place.repository,
                base=spec.base,
                folder=root / "leases",
                logs=root / "logs",
                level="none",
            ),
            store=_NoStore(),
        )
        return [gate.GATE.verify(case) for gate in (scope, denylist, vcs, size)]

    # ---- what it left behind

    def _told(self, receipt: Receipt, spec: Checkout) -> list[str]:
        """Look for what must not be there in the log and in all that was kept of the attempt."""
        log = Path(receipt.log)
        said = log.read_bytes() if log.is_file() else b""
        lines = [line.decode(errors="replace")[:200] for line in said.splitlines() if b"BREACH" in line]
        rows = [row.split() for row in self._kept(spec)]
        if sum(int(size) for _, size in rows) > (BOUNDS.disk_bytes or 0):
            return ["more was taken in than the attempt may write"]
        ids = b"".join(name + b"\n" for name, _ in rows)
        kept = self.place.repository.git("cat-file", "--batch", "--buffer", stdin=ids).out
        found = [f"a secret stands in the {what}" for what, data in (("log", said), ("archive", kept)) if HUSH in data]
        return [*(f"it says: {line}" for line in lines[:1]), *found]

    def _kept(self, spec: Checkout) -> list[bytes]:
        """Name and size of every file in the archive of the attempt."""
        form = "--format=%(objectname) %(objectsize)"
        return self.place.repository.git("ls-tree", "-r", form, trees.archive_ref(spec)).out.splitlines()

    def _daemons(self) -> list[str]:
        """Find what is left of it: it has the lab in its environment or its words, or works in it; and end it."""
        Trees.close_all()  # ours, that stay to be asked again
        left = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                words = [process.environ().get("TOKEN", ""), *process.cmdline()]
                inside = process.cwd().startswith(str(self.place.root))
                if (inside or self.place.token in words) and process.pid not in {os.getpid(), self.place.victim.pid}:
                    left.append(f"the process {process.name()} is left")
                    process.kill()
        return left


def _allowed(change: Change) -> bool:
    """Say whether the ticket lets this be: a file that it names, in plain letters, or something that git ignores."""
    if change.kind == "byproduct":
        return True
    plain = all(path.isprintable() and unicodedata.is_normalized("NFC", path) for path in change.paths)
    regular = change.kind in LANDS - {"symlink", "submodule"}
    return regular and plain and all(matches(path, CLAIMS) for path in change.paths)


@dataclass(frozen=True)
class _NoStore:
    def get(self, key: str) -> None: ...

    def put(self, key: str, value: dict[str, object]) -> None: ...
