"""What a fresh tree needs that git does not keep: files copied and folders linked from the main worktree, set-up commands."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from tickets.globs import is_literal
from worktrees.confinement import Confinement, Level
from worktrees.gateway import gateway
from worktrees.layer import make_room
from worktrees.process import Bounds, Launch, run
from worktrees.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tickets.policy import Worktree
    from worktrees.cancellation import Cancellation
    from worktrees.environment import TreeEnvironment
    from worktrees.layer import Layer

SETUP_TIMEOUT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Provision:
    """The [worktree] section of a policy, ready to be applied to any tree."""

    root: Path
    """The main worktree, where the copied files and linked folders stand."""
    settings: Worktree
    level: Level
    network: tuple[str, ...] = ()
    """Hosts that set-up commands may reach."""

    @property
    def links(self) -> tuple[Path, ...]:
        """Folders of the main worktree that a confined process in the tree must be able to read."""
        return tuple(source.resolve() for pattern in self.settings.link for source in self._sources(pattern))

    def apply(
        self,
        environment: TreeEnvironment,
        *,
        readable: tuple[Path, ...],
        log: Path,
        layer: Layer | None = None,
        cancel: Cancellation | None = None,
    ) -> None:
        """Copy, link and set up, in this order; what the tree has already is left as it is."""
        there = View((layer.upper, *layer.between, layer.lower) if layer else (environment.tree,))
        for patterns, link in ((self.settings.copy_, False), (self.settings.link, True)):
            for source in (source for pattern in patterns for source in self._sources(pattern)):
                self._place(there, source, link=link)
        if not self.settings.setup:
            return
        with gateway(self.network, level=self.level, log=log.with_name("setup-network.log")) as way:
            confinement = Confinement(
                level=self.level,
                write=(*(() if layer else (environment.tree,)), environment.home),
                read=(*readable, *self.links),
                layers=(layer,) if layer else (),
                opening=way.opening,
            )
            for number, command in enumerate(self.settings.setup, 1):
                launch = Launch(
                    command=command,
                    cwd=environment.tree,
                    env={**environment.variables, **way.variables},
                    confinement=confinement,
                )
                _set_up(launch, log=log.with_name(f"setup-{number}.log"), cancel=cancel)

    def _sources(self, pattern: str) -> Iterator[Path]:
        found = [self.root / pattern] if is_literal(pattern) else sorted(self.root.glob(pattern))
        yield from (path for path in found if path.exists() and ".git" not in path.parts)

    def _place(self, there: View, source: Path, *, link: bool) -> None:
        name = source.relative_to(self.root)
        if there.find(str(name)) or any(there.find(str(one)) and not there.is_folder(str(one)) for one in name.parents):
            return
        target = there.layers[0] / name
        make_room(there.layers[0], str(name))
        if link:
            target.symlink_to(source.resolve())
        elif source.is_file():
            shutil.copy2(source, target)


def _set_up(launch: Launch, *, log: Path, cancel: Cancellation | None) -> None:
    receipt = run(launch, log=log, bounds=Bounds(timeout_s=SETUP_TIMEOUT_S), cancel=cancel)
    if receipt.ending != "exited" or receipt.exit != 0:
        why = receipt.reason or f"exit code {receipt.exit}"
        raise EnvironmentFailure(f"worktree.setup: `{' '.join(launch.command)}` failed ({why}); its output is in {log}")
