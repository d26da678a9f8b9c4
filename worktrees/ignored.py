"""What git ignores, judged by the `.gitignore` files of the base commit: an agent's own ones have no say."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

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
        self._caches = GitIgnoreSpec.from_lines(TOOL_CACHES)
        self._specs: dict[str, GitIgnoreSpec] = {}
        for path in paths:
            if PurePosixPath(path).name == ".gitignore":
                text = os.fsdecode(repository.read(base, path) or b"").removeprefix("\ufeff")
                # to pathspec `a/**` is also the folder `a/` itself; to git it is what stands in it
                lines = (re.sub(r"/\*\*\s*$", "/**/?*", line) for line in text.splitlines())
                self._specs[str(PurePosixPath(path).parent)] = GitIgnoreSpec.from_lines(lines)

    def __call__(self, path: str) -> bool:
        """Say whether git would ignore the path at the base, or a tool left it behind."""
        verdict = self._verdict(path)
        return self._caches.match_file(path) if verdict is None else bool(verdict)

    def _verdict(self, place: str) -> bool | None:
        """Ask the `.gitignore` files around a file or `folder/`; the deepest that has an opinion wins."""
        for folder in PurePosixPath(place).parents:
            spec = self._specs.get(str(folder))
            if spec is None or (folder.name and self._verdict(f"{folder}/")):
                continue  # git reads no rules inside a folder that it ignores
            verdict = spec.check_file(place.removeprefix(f"{folder}/") if folder.name else place).include
            if verdict is not None:
                return verdict
        return None
