"""A repository of a person, and attempts that are made and captured in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from worktrees import checkout as trees
from worktrees.changes import capture
from worktrees.checkout import Checkout
from worktrees.git import Repository
from worktrees.levels import layer_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from worktrees.changes import ChangeSet
    from worktrees.git import Entry

CONFIG = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n[core]\n\tautocrlf = false\n"


@dataclass(frozen=True)
class Workbench:
    """A repository with real git; `git` is what a person types there."""

    root: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), "LC_ALL": "C"}

    def git(self, *arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, os.fsdecode(done.stderr)
        return os.fsdecode(done.stdout).strip()

    def write(self, path: str, data: bytes | str = "x\n") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def commit(self, files: dict[str, bytes | str] | None = None, message: str = "change") -> str:
        for path, data in (files or {}).items():
            self.write(path, data)
        self.git("add", "-A", "--", ".", ":(exclude).orchestrate")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        found = Repository.find(self.root)
        found.state.mkdir(exist_ok=True)
        return found

    def spec(self, *, base: str = "HEAD", start: str = "", ticket: str = "T-0001", attempt: int = 1) -> Checkout:
        beside = self.root.with_name(f"{self.root.name}-wt")
        commit = self.git("rev-parse", base)
        return Checkout(
            ticket=ticket,
            attempt=attempt,
            base=commit,
            start=start or commit,
            subject="a subject",
            path=beside / f"{ticket.lower()}-{attempt}",
            home=beside / ".homes" / f"{ticket}-{attempt}",
            owner=os.getpid(),
        )

    def attempt(self, *, start: str = "", ticket: str = "T-0001", attempt: int = 1) -> Checkout:
        """Make the tree of an attempt on the head."""
        made = self.spec(start=start, ticket=ticket, attempt=attempt)
        trees.make(self.repository, made)
        return made

    def capture(self, spec: Checkout, *claims: str) -> ChangeSet:
        return capture(self.repository, spec, claims=claims)

    def archived(self, spec: Checkout) -> dict[str, bytes]:
        """What the archive of an attempt holds."""
        return self.content(trees.archive_ref(spec))

    def content(self, commit: str) -> dict[str, bytes]:
        entries = [entry for entry in self._entries(commit) if entry.mode != "160000"]
        asked = "".join(f"{entry.oid}\n" for entry in entries).encode()
        answer = self.repository.git("cat-file", "--batch", stdin=asked).out
        found = {}
        for entry in entries:
            head, _, rest = answer.partition(b"\n")
            size = int(head.split()[2])
            found[entry.path], answer = rest[:size], rest[size + 1 :]
        return found

    def modes(self, commit: str) -> dict[str, str]:
        return {entry.path: entry.mode for entry in self._entries(commit)}

    def _entries(self, revision: str) -> list[Entry]:
        return self.repository.entries(self.git("rev-parse", f"{revision}^{{commit}}"))


def told(changes: ChangeSet) -> dict[str, str]:
    """The kind of each change by its path."""
    return {change.path: change.kind for change in changes.changes}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, made once and copied."""
    folder = tmp_path_factory.mktemp("template")
    (folder / ".gitconfig").write_text(CONFIG)
    bench = Workbench(folder / "repo", folder)
    bench.root.mkdir()
    bench.git("init", "-q")
    bench.commit({"a.txt": "one\ntwo\n"})
    return bench.root


@pytest.fixture(scope="session")
def workbench() -> type[Workbench]:
    """The class, for fixtures of other modules."""
    return Workbench


@pytest.fixture
def make_bench(tmp_path: Path, template: Path) -> Callable[..., Workbench]:
    def make(name: str = "repo", *, files: dict[str, bytes | str] | None = None, init: Sequence[str] = ()) -> Workbench:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        (home / ".gitconfig").write_text(CONFIG)
        root = tmp_path / name
        bench = Workbench(root, home)
        if not init and not files:
            shutil.copytree(template, root)
            return bench
        root.mkdir(parents=True)
        bench.git("init", "-q", *init)
        bench.commit(files or {"a.txt": "one\ntwo\n"})
        return bench

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Workbench], monkeypatch: pytest.MonkeyPatch) -> Workbench:
    made = make_bench()
    monkeypatch.setenv("HOME", str(made.home))
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    return made


@pytest.fixture
def layers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave out what needs layers where the file system of the temporary folder cannot hold one."""
    if why := layer_trouble(tmp_path_factory.getbasetemp()):
        pytest.skip(f"no layers here: {why}")


@pytest.fixture
def kinds() -> Callable[[ChangeSet], dict[str, str]]:
    return told
