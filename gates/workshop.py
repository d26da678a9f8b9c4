"""Where gates run commands: directories that hold an exact tree, that no agent ever had, and that come back clean."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gates.masking import mask
from gates.verdict import GateReceipt
from worktrees.cancellation import Cancellation
from worktrees.confinement import Confinement, Level
from worktrees.environment import TreeEnvironment, build, interpreter
from worktrees.leases import Pool
from worktrees.process import Bounds, Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from worktrees import files
    from worktrees.git import Repository
    from worktrees.leases import LeasedTree
    from worktrees.provision import Provision
    from worktrees.views import View


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that ran in a lease, and what it printed."""

    receipt: Receipt
    output: str

    @property
    def ok(self) -> bool:
        return self.receipt.ending == "exited" and self.receipt.exit == 0

    @property
    def shown(self) -> GateReceipt:
        measured = self.receipt
        command = measured.command[-1] if measured.command[:2] == ("sh", "-c") else " ".join(measured.command)
        return GateReceipt(
            command=command,
            exit=measured.exit,
            seconds=round(measured.seconds, 3),
            output_sha256=measured.output_sha256,
            log=measured.log,
        )

    def tail(self, lines: int = 12) -> str:
        """Give what a person is shown of the output: its last lines, secrets masked."""
        return mask("\n".join(self.output.rstrip().splitlines()[-lines:]))


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A directory that holds the exact tree of one commit until the lease ends.

    With a private layer the tree is at `folder` for commands only: gates look at it through `find` and its like.
    """

    tree: str
    folder: Path
    environment: TreeEnvironment
    workshop: Workshop = field(repr=False)
    scratch: Path
    """Outside the tree; survives the cleaning between two commands of one lease."""
    lent: LeasedTree = field(repr=False)

    def run(
        self, command: Sequence[str], *, timeout_s: float, extra: Mapping[str, str] | None = None, cwd: str = ""
    ) -> Ran:
        """Run a command in the tree, or in the folder `cwd` of it."""
        return self.workshop.run(self, command, timeout_s=timeout_s, extra=extra or {}, cwd=cwd)

    @property
    def view(self) -> View:
        """The tree as commands see it now."""
        return self.lent.held.view

    def find(self, path: str) -> Path | None:
        """Say where the thing at the path of the tree can be read; None where nothing is, or where links lead out of the tree."""
        parent, _, name = path.rpartition("/")
        real = self.view.resolve(parent, at=self.folder)
        return None if real is None else self.view.find(f"{real}/{name}".lstrip("/"))

    def is_folder(self, path: str) -> bool:
        return self.view.leads_to_folder(path, at=self.folder)

    def discard(self, path: str) -> None:
        """Remove a file or link of the tree for as long as the lease lasts."""
        parent, _, name = path.rpartition("/")
        real = self.view.resolve(parent, at=self.folder)
        place = self.find(path)
        if real is not None and place and not place.is_dir():
            self.lent.held.discard(f"{real}/{name}".lstrip("/"))

    def written(self) -> tuple[files.Found, ...]:
        """List what commands wrote into the tree since the lease began, declared or not."""
        return self.lent.held.written()


@dataclass(kw_only=True)
class Workshop:
    """Leases and commands for one series of gates; close it when the series is over."""

    repository: Repository
    base: str
    """Commit that the environment of trees is configured from."""
    folder: Path
    """Folder of the harness's trees: snapshots and leases stand below, shared with every other workshop."""
    logs: Path
    level: Level
    bounds: Callable[[float], Bounds] = lambda timeout_s: Bounds(timeout_s=timeout_s, disk_bytes=2 << 30)
    """Limits of one command, given its time."""
    room: Path | None = None
    """Folder of all trees of the harness."""
    provision: Provision | None = None
    """What a tree needs besides its commit: copied files, linked folders, set-up commands."""
    cancelled: Cancellation = field(default_factory=Cancellation)
    """Set by `cancel`; its CancelledError is no verdict, and must not become one."""
    failing: Callable[[], None] = lambda: None
    """Gates call it when something failed, before they look closer: who waits for the answer may plan for it."""
    judged_beside: Callable[[str], bool] = lambda _tree: False
    """Says whether another workshop is at work on this tree: what is found there need not be found twice."""
    _leases: dict[str, Lease] = field(default_factory=dict)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """End the command that runs at once, and start no other; any thread may call this."""
        self.cancelled.set()

    @contextmanager
    def lease(self, commit: str) -> Iterator[Lease]:
        """Hand out a directory that holds exactly the tree of the commit, clean, and clean it again afterwards."""
        self.cancelled.check()
        tree = self.repository.tree(commit)
        lease = self._leases.get(tree) or self._make(tree)
        try:
            yield lease
        finally:
            if not lease.lent.held.clean():  # something that was brought along was changed
                self._leases.pop(tree).lent.give_back()

    def _make(self, tree: str) -> Lease:
        lent = self._pool.take(tree)
        with ExitStack() as undo:
            undo.callback(lent.give_back)
            environment = build(self.repository, lent.folder, base=self.base, home=lent.home, contents=lent.held.view)
            made = Lease(
                tree=tree,
                folder=lent.folder,
                environment=environment,
                workshop=self,
                scratch=lent.scratch,
                lent=lent,
            )
            if self.provision:
                self.provision.apply(
                    environment,
                    readable=self.confinement(made).read,
                    log=self.logs / "setup.log",
                    layer=lent.held.layer,
                    cancel=self.cancelled,
                )
            lent.held.seal()
            undo.pop_all()
        self._leases[tree] = made
        return made

    @cached_property
    def _pool(self) -> Pool:
        return Pool.of(self.repository, self.folder, level=self.level)

    def run(self, lease: Lease, command: Sequence[str], *, timeout_s: float, extra: Mapping[str, str], cwd: str) -> Ran:
        """Run a command of the tree, confined to its lease, and keep its receipt."""
        with self._lock:
            self._count += 1
            log = self.logs / f"{self._count:03d}-{Path(command[0]).name}.log"
        launch = Launch(
            command=command,
            cwd=lease.folder / cwd,
            env={**lease.environment.variables, **extra},
            confinement=self.confinement(lease),
        )
        receipt = run(launch, log=log, bounds=self.bounds(timeout_s), cancel=self.cancelled)
        printed = log.read_text(errors="replace") if log.is_file() else ""
        output = printed.replace(f"{lease.folder}/", "")  # findings name paths of the tree, not of today's lease
        return Ran(receipt=receipt, output=output)

    def confinement(self, lease: Lease) -> Confinement:
        readable = (lease.environment.python.parent.parent, lease.environment.python.resolve().parent.parent)
        layer = lease.lent.held.layer
        return Confinement(
            level=self.level,
            write=(*(() if layer else (lease.folder,)), lease.scratch, lease.environment.home),
            read=(*readable, *(self.provision.links if self.provision else ())),
            layers=(layer,) if layer else (),
            room=self.room,
        )

    @cached_property
    def environment_record(self) -> dict[str, str]:
        """What the report says about where the gates ran."""
        version, packages = _interpreter_facts(interpreter(self.repository))
        return {"python": version, "platform": _machine(), "sandbox": self.level, "lock_sha256": packages}

    @cached_property
    def environment_sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.environment_record, sort_keys=True).encode()).hexdigest()

    def close(self) -> None:
        """Give the directories back."""
        while self._leases:
            self._leases.popitem()[1].lent.give_back()


def _interpreter_facts(python: Path) -> tuple[str, str]:
    """Give the version of an interpreter and the hash of what is installed for it, as its folders tell."""
    prefix = python.parent.parent
    found = re.search(r"^version(?:_info)? = (\S+)", _text(prefix / "pyvenv.cfg"), re.MULTILINE)
    packages = sorted(folder.name for folder in prefix.glob("lib/python*/site-packages/*.dist-info"))
    version = found[1] if found else platform.python_version()
    return version, hashlib.sha256("\n".join(packages).encode()).hexdigest()


def _machine() -> str:
    """Name system, kernel and processor; `platform.platform()` starts two programs to find out the same."""
    about = os.uname()
    return f"{about.sysname}-{about.release}-{about.machine}"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
