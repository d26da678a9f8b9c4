"""Where gates run commands: directories that hold an exact tree, that no agent ever had, and that come back clean."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gates.masking import mask
from gates.verdict import GateReceipt
from worktrees import files
from worktrees.checkout import remove, write_tree
from worktrees.confinement import Confinement, Level
from worktrees.environment import TreeEnvironment, build, interpreter
from worktrees.process import Bounds, Launch, Receipt, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from worktrees.checkout import STAMP
    from worktrees.git import Repository
    from worktrees.provision import Provision


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
    """A directory that holds the exact tree of one commit until the lease ends."""

    tree: str
    folder: Path
    environment: TreeEnvironment
    workshop: Workshop = field(repr=False)
    scratch: Path
    """Outside the tree; survives the cleaning between two commands of one lease."""

    def run(
        self, command: Sequence[str], *, timeout_s: float, extra: Mapping[str, str] | None = None, cwd: str = ""
    ) -> Ran:
        """Run a command in the tree, or in the folder `cwd` of it."""
        return self.workshop.run(self, command, timeout_s=timeout_s, extra=extra or {}, cwd=cwd)


@dataclass(kw_only=True)
class Workshop:
    """Leases and commands for one series of gates; close it when the series is over."""

    repository: Repository
    base: str
    """Commit that the environment of trees is configured from."""
    folder: Path
    """Leases stand below; on the same disk as the worktrees."""
    logs: Path
    level: Level
    bounds: Callable[[float], Bounds] = lambda timeout_s: Bounds(timeout_s=timeout_s, disk_bytes=2 << 30)
    """Limits of one command, given its time."""
    room: Path | None = None
    """Folder of all trees of the harness."""
    provision: Provision | None = None
    """What a tree needs besides its commit: copied files, linked folders, set-up commands."""
    _leases: dict[str, tuple[Lease, dict[str, STAMP]]] = field(default_factory=dict)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lease(self, commit: str) -> Iterator[Lease]:
        """Hand out a directory that holds exactly the tree of the commit, clean, and clean it again afterwards."""
        tree = self.repository.tree(commit)
        if tree not in self._leases:
            self._leases[tree] = self._make(tree)
        lease, stamps = self._leases[tree]
        try:
            yield lease
        finally:
            self._clean(lease, stamps)

    def _make(self, tree: str) -> tuple[Lease, dict[str, STAMP]]:
        place = self.folder / tree[:10]  # short: sockets below TMPDIR have 107 characters for their whole path
        remove(place)
        stamps = write_tree(self.repository, tree, place / "tree")
        scratch = place / "scratch"
        scratch.mkdir()
        environment = build(self.repository, place / "tree", base=self.base, home=place / "home")
        lease = Lease(tree=tree, folder=place / "tree", environment=environment, workshop=self, scratch=scratch)
        if self.provision:
            readable = self.confinement(lease).read
            self.provision.apply(environment, readable=readable, log=self.logs / "setup.log")
            stamps = {entry.path: entry.stamp for entry in files.walk(lease.folder)} | stamps
        return lease, stamps

    def _clean(self, lease: Lease, stamps: dict[str, STAMP]) -> None:
        """Remove what a command left behind; a tree whose own files were changed is written anew next time."""
        found = {entry.path: entry.stamp for entry in files.walk(lease.folder)}
        if any(found.get(path) != stamp for path, stamp in stamps.items()):
            del self._leases[lease.tree]
            remove(lease.folder.parent)
            return
        for path in found.keys() - stamps.keys():
            (lease.folder / path).unlink(missing_ok=True)

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
        receipt = run(launch, log=log, bounds=self.bounds(timeout_s))
        printed = log.read_text(errors="replace") if log.is_file() else ""
        output = printed.replace(f"{lease.folder}/", "")  # findings name paths of the tree, not of today's lease
        return Ran(receipt=receipt, output=output)

    def confinement(self, lease: Lease) -> Confinement:
        readable = (lease.environment.python.parent.parent, lease.environment.python.resolve().parent.parent)
        return Confinement(
            level=self.level,
            write=(lease.folder, lease.scratch, Path(lease.environment.variables["HOME"])),
            read=(*readable, *(self.provision.links if self.provision else ())),
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
        for lease, _ in self._leases.values():
            remove(lease.folder.parent)
        self._leases.clear()


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
