"""What git ignores, judged by the `.gitignore` files of the base commit: an agent's own ones have no say."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from worktrees.git import checked, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worktrees.git import Repository

TOOL_CACHES = (
    "__pycache__/",
    "*.py[cod]",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".coverage",
    ".coverage.*",
    ".DS_Store",
)
"""Left behind by tools that agents are asked to run, ignored by the repository or not."""


class Ignored:
    def __init__(self, repository: Repository, base: str, paths: Iterable[str]) -> None:
        self._repository = repository
        self._caches = GitIgnoreSpec.from_lines(TOOL_CACHES)
        rules = (path for path in paths if PurePosixPath(path).name == ".gitignore")
        self._rules = {path: repository.read(base, path) or b"" for path in rules}

    def among(self, paths: Iterable[str]) -> set[str]:
        """Give those of the paths that git would ignore at the base, or that a tool left behind."""
        # `./` in front: a name that begins with a colon is no pathspec then
        fields = iter(os.fsdecode(self._ask(quoted(f"./{path}" for path in paths))).split("\0"))
        found = set()
        for source, _, pattern, name in zip(fields, fields, fields, fields, strict=False):
            path = name.removeprefix("./")
            if self._caches.match_file(path) if not source else not pattern.startswith("!"):
                found.add(path)
        return found

    def _ask(self, names: bytes) -> bytes:
        """Ask git itself, in a folder with nothing but the rules of the base: no library agrees with it throughout."""
        arguments = ("check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin")
        with TemporaryDirectory(dir=self._repository.state, prefix=f"rules-{os.getpid()}-") as folder:
            for path, text in self._rules.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_bytes(text)
            answer = self._repository.plumb_ask(*arguments, stdin=names, env={"GIT_WORK_TREE": folder})
        return (answer if answer.code == 1 else checked(arguments, answer)).out
