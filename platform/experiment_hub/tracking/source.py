"""Which code runs: git's view of it, and a content hash that needs no git."""

import hashlib
import importlib.util
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
GIT_SECONDS = 10


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
    known = _git("ls-files", "--error-unmatch", "__init__.py") is not None
    commit = _git("rev-parse", "HEAD") if known else None
    tree = _git("rev-parse", "HEAD^{tree}") if commit else None
    status = _git("status", "--porcelain", "--", ".") if commit else None
    return Source(commit, tree, None if status is None else bool(status), source_hash(PACKAGE))


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


def _git(*arguments: str) -> str | None:
    """Output of git in the package's folder; None without git, without repository or when it refuses."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=PACKAGE,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},  # reading must not touch the index of a working agent
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
