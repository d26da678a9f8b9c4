"""Which code runs: git's view of it, and a content hash that needs no git."""

import hashlib
import importlib.util
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
GIT_SECONDS = 10
NO_GIT: dict[str, Any] = dict.fromkeys(("git_commit", "git_tree", "git_dirty"))


@dataclass(frozen=True)
class Source:
    git_commit: str | None
    git_tree: str | None
    """Tree of that commit, the whole repository."""
    git_dirty: bool | None
    """Whether the package's folder differs from the commit."""
    source_hash: str
    """SHA-256 over paths and contents of the package's Python and YAML files."""


@cache
def source() -> Source:
    """Once per process: code that is already imported does not change any more."""
    known = _git(PACKAGE, "ls-files", "--error-unmatch", "__init__.py") is not None
    return Source(**(git_view(PACKAGE) if known else NO_GIT), source_hash=source_hash(PACKAGE))


def git_view(folder: Path) -> dict[str, Any]:
    """Commit, tree and whether the folder differs from the commit; None each without a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return NO_GIT
    status = _git(folder, "status", "--porcelain", "--", ".")
    dirty = None if status is None else bool(status)
    return {"git_commit": commit, "git_tree": _git(folder, "rev-parse", "HEAD^{tree}"), "git_dirty": dirty}


def source_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".yaml"}):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def module_hash(module: str) -> str | None:
    """SHA-256 of the file of an imported module; None where it has none."""
    spec = importlib.util.find_spec(module.partition(":")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of git in a folder; None without git, without repository or when it refuses."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},  # reading must not touch the index of a working agent
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
