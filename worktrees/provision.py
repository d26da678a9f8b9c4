"""What a fresh tree needs that git does not keep: files copied and folders linked from the main worktree, set-up commands."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from tickets.globs import is_literal
from worktrees.confinement import Confinement, Level
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tickets.policy import Worktree
    from worktrees.environment import TreeEnvironment

SETUP_TIMEOUT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Provision:
    """The [worktree] section of a policy, ready to be applied to any tree."""

    root: Path
    """The main worktree, where the copied files and linked folders stand."""
    settings: Worktree
    level: Level
    network: bool

    @property
    def links(self) -> tuple[Path, ...]:
        """Folders of the main worktree that a confined process in the tree must be able to read."""
        return tuple(source.resolve() for pattern in self.settings.link for source in self._sources(pattern))

    def apply(self, environment: TreeEnvironment, *, readable: tuple[Path, ...], log: Path) -> None:
        """Copy, link and set up, in this order; what the tree has already is left as it is."""
        for pattern in self.settings.copy_:
            for source in self._sources(pattern):
                self._place(environment.tree, source, link=False)
        for pattern in self.settings.link:
            for source in self._sources(pattern):
                self._place(environment.tree, source, link=True)
        for number, command in enumerate(self.settings.setup, 1):
            self._set_up(environment, command, readable=readable, log=log.with_name(f"setup-{number}.log"))

    def _sources(self, pattern: str) -> Iterator[Path]:
        found = [self.root / pattern] if is_literal(pattern) else sorted(self.root.glob(pattern))
        yield from (path for path in found if path.exists() and ".git" not in path.parts)

    def _place(self, tree: Path, source: Path, *, link: bool) -> None:
        target = tree / source.relative_to(self.root)
        if target.exists() or target.is_symlink():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if link:
            target.symlink_to(source.resolve())
        elif source.is_file():
            shutil.copy2(source, target)

    def _set_up(
        self, environment: TreeEnvironment, command: tuple[str, ...], *, readable: tuple[Path, ...], log: Path
    ) -> None:
        writable = (environment.tree, *(folder for folder in (environment.home,) if folder.is_dir()))
        confinement = Confinement(level=self.level, write=writable, read=(*readable, *self.links), network=self.network)
        launch = Launch(command=command, cwd=environment.tree, env=environment.variables, confinement=confinement)
        receipt = run(launch, log=log, bounds=Bounds(timeout_s=SETUP_TIMEOUT_S))
        if receipt.ending != "exited" or receipt.exit != 0:
            why = receipt.reason or f"exit code {receipt.exit}"
            raise EnvironmentFailure(f"worktree.setup: `{' '.join(command)}` failed ({why}); its output is in {log}")
