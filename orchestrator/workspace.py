"""One repository as the harness sees it: its policy, its state, its records."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from memory.database import Database
from memory.grants import Grants
from memory.records import Records
from tickets.errors import EnvironmentFailure, InconclusiveError, InputError
from tickets.policy import POLICY_FILE, Policy, read_policy
from worktrees.deltas import Trees
from worktrees.git import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worktrees.confinement import Level
    from worktrees.process import Bounds
    from worktrees.provision import Provision

FREE_BYTES = 256 << 20
"""Below this nothing is started: an agent's work could not be kept."""


@dataclass(frozen=True)
class Workspace:
    repository: Repository
    policy: Policy
    """As it stands in the main worktree: it steers the harness. Gates read their own from the base commit."""
    database: Database
    records: Records
    grants: Grants

    @classmethod
    def open(cls, start: Path) -> Workspace:
        """Find the repository around `start`; raise InputError when it cannot be worked on. Writes nothing."""
        if not start.is_dir():
            raise InputError(f"{start} is not a folder")
        repository = Repository.find(start)
        policy = working_policy(repository.root)
        _refuse_what_is_to_come(policy)
        if policy.state.dir != ".orchestrate":
            repository = Repository.find(start, state=policy.state.dir)
        return cls.on(repository, policy)

    @classmethod
    def on(cls, repository: Repository, policy: Policy) -> Workspace:
        database = Database(repository.state, url=policy.state.database_url, project=policy.project.name)
        records, grants = Records(database), Grants(database)
        return cls(repository=repository, policy=policy, database=database, records=records, grants=grants)

    def __reduce__(self) -> tuple[Callable[..., Workspace], tuple[Repository, Policy, dict[str, Any]]]:
        """Go to another process with what was found out of the machine, and without connections."""
        found = {name: self.__dict__[name] for name in _FOUND_OUT if name in self.__dict__}
        return _arrived, (self.repository, self.policy, found)

    @property
    def root(self) -> Path:
        return self.repository.root

    @property
    def state(self) -> Path:
        return self.repository.state

    @cached_property
    def worktrees(self) -> Path:
        """Folder of live checkouts: a sibling of the repository, or what the policy names."""
        from worktrees.checkout import folder_of_worktrees

        return folder_of_worktrees(self.repository, self.policy.state.worktrees)

    @cached_property
    def level(self) -> Level:
        """Level of isolation that foreign programs run under here; raise InconclusiveError for one that is not to be had."""
        from worktrees.levels import available, trouble

        mode = self.policy.sandbox.mode
        if mode == "none":
            return "none"
        level = available() if mode == "auto" else mode
        if mode == "auto" and level == "none":
            why = "; ".join(f"{name}: {trouble(name)}" for name in ("bubblewrap", "landlock"))
            raise InconclusiveError(
                f'no sandbox is to be had here ({why}); mode = "none" under [sandbox] in {POLICY_FILE} does without'
            )
        if why := trouble(level):
            raise InconclusiveError(f"the sandbox {level!r} that {POLICY_FILE} asks for is not to be had here: {why}")
        return level

    @cached_property
    def layered(self) -> bool:
        """Whether attempts' trees are private layers here; where the file system cannot hold one they are written out."""
        from worktrees.levels import layer_trouble

        return self.level == "bubblewrap" and not layer_trouble(self.worktrees)

    def bounds(self, timeout_s: float) -> Bounds:
        """Limits of one process tree, as the policy sets them."""
        import psutil

        from worktrees.process import Bounds

        sandbox = self.policy.sandbox
        memory = sandbox.memory_mib << 20 if sandbox.memory_mib else psutil.virtual_memory().total // 4 * 3
        return Bounds(
            timeout_s=timeout_s,
            disk_bytes=sandbox.disk_mib << 20,
            file_bytes=sandbox.file_mib << 20,
            processes=sandbox.processes,
            memory_bytes=memory,
        )

    @property
    def provision(self) -> Provision:
        """What every tree of this repository needs besides its commit."""
        from worktrees.provision import Provision

        settings = self.policy.worktree
        return Provision(root=self.root, settings=settings, level=self.level, network=self.policy.sandbox.network)

    def policy_at(self, commit: str) -> Policy:
        """Read the policy from a commit, where no agent can have edited it; the defaults where it has none."""
        return _policy_at(self.repository, commit)

    def head(self) -> str:
        """Give the target's commit; raise InputError where there is none."""
        target = self.policy.project.target
        commit = self.repository.tip(f"refs/heads/{target}")
        if commit is None:
            raise InputError(_no_target(self.repository, target))
        return commit

    def prepare(self) -> None:
        """Make the state folder, out of git's sight; raise where nothing could be kept."""
        self.state.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.state).free
        if free < FREE_BYTES:
            raise EnvironmentFailure(
                f"only {free >> 20} MiB are free at {self.state}, and {FREE_BYTES >> 20} are needed; nothing was started"
            )
        self._hide_state()

    def _hide_state(self) -> None:
        inside = f"{self.policy.state.dir}/"
        if self.repository.ask("check-ignore", "--quiet", inside, env={"GIT_WORK_TREE": str(self.root)}).code == 0:
            return
        exclude = self.repository.common / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        with exclude.open("a", encoding="utf-8") as stream:
            stream.write(f"/{inside}\n")
            stream.flush()
            os.fsync(stream.fileno())


_FOUND_OUT = ("worktrees", "level", "layered")


def _arrived(repository: Repository, policy: Policy, found: dict[str, Any]) -> Workspace:
    workspace = Workspace.on(repository, policy)
    workspace.__dict__.update(found)
    return workspace


def _refuse_what_is_to_come(policy: Policy) -> None:
    """Say plainly what the format knows and this version does not do yet, rather than do something else."""
    if policy.worktree.python == "own":
        raise InputError(f'{POLICY_FILE}: worktree.python = "own" is not in this version; "auto" and "shared" are')


@lru_cache(maxsize=64)
def _policy_at(repository: Repository, commit: str) -> Policy:
    text = Trees.of(repository).read(commit, [POLICY_FILE]).get(POLICY_FILE)
    if text is None:
        return Policy()
    known = _read_before.get(text)
    if known is None:
        if len(_read_before) > MOST_POLICIES:
            _read_before.clear()
        known = _read_before[text] = read_policy(text.decode(errors="replace"), f"{POLICY_FILE} at {commit[:12]}")
    return known


MOST_POLICIES = 64
_read_before: dict[bytes, Policy] = {}
"""By their text: most commits have the policy of the one before."""


def working_policy(root: Path) -> Policy:
    file = root / POLICY_FILE
    if not file.is_file():
        return Policy()
    try:
        return read_policy(file.read_text(encoding="utf-8"), POLICY_FILE)
    except UnicodeDecodeError as error:
        raise InputError(f"{POLICY_FILE}: expected UTF-8 text ({error.reason} at byte {error.start})") from error


def _no_target(repository: Repository, target: str) -> str:
    if repository.commit("HEAD") is None and not repository.refs("refs/heads"):
        return f"{repository.root} has no commit yet; make the first one (git commit), then ask again"
    branches = ", ".join(name.removeprefix("refs/heads/") for name in repository.refs("refs/heads"))
    return f"there is no branch {target!r} to land on (branches: {branches or 'none'}); set target under [project] in {POLICY_FILE}"
