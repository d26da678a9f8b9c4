"""How changes land and how long what was kept is kept: `[train]`, `[landing]` and `[retention]` in the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints

from tickets.documents import Strict
from tickets.globs import matches
from tickets.model import Argv, Glob, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

RemoteName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9_./-]{0,63})?$")]


class TrainPolicy(Strict):
    window: int = Field(default=32, ge=1, le=64)
    """The most changes that are judged ahead of the landed one; the window grows up to it with success and shrinks with failure."""
    slots: int = Field(default=0, ge=0, le=64)
    """Runs of gates side by side; 0: as many as there are processors, at least 2."""
    batch: int = Field(default=8, ge=1, le=64)
    """The most changes that one run judges together; 1: never more than one."""
    speculate: bool = True
    """Whether a change is judged on those ahead of it before they have landed."""
    patience_s: Seconds = 3600.0
    """A change that waits longer is reported."""


class LandingPolicy(Strict):
    method: Literal["merge", "squash", "rebase"] = "merge"
    remote: RemoteName = ""
    """Name of a git remote: each landing is pushed there with a lease first, then the local target follows."""
    pull_request: Literal["never", "auto", "always"] = "never"
    """Whether landings go through the hosting service; `auto`: where the target is protected."""
    protected: tuple[Glob, ...] = ()
    """Names of branches that are never landed on directly."""
    gh: Argv = ("gh",)
    """The command that speaks to the hosting service."""

    def protects(self, branch: str) -> bool:
        return matches(branch, self.protected) is not None

    def by_pull_request(self, branch: str) -> bool:
        return self.pull_request == "always" or (self.pull_request == "auto" and self.protects(branch))

    def contradictions(self, target: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Give what would let nothing land on the target."""
        if self.by_pull_request(target) and not self.remote:
            yield ("landing", "remote"), f"expected the name of a git remote: {target!r} is landed on by pull requests"
        if self.protects(target) and not self.by_pull_request(target):
            said = f'expected "auto" or "always": the target {target!r} is protected, and nothing could land on it'
            yield ("landing", "pull_request"), said


class RetentionPolicy(Strict):
    archive_days: PositiveInt = 90
    """From this age on the attempts of landed tickets may move from git into a bundle."""
    disk_mib: PositiveInt = 20480
    """Budget of the state folder and the worktrees together."""
    keep_logs_days: PositiveInt = 30
    """From this age on logs are kept compressed."""
