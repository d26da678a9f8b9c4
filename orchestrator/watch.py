"""What no sandbox holds is watched: marks of the person's repository before and after an agent that runs without one."""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory.pages import page
from worktrees.changes import Change

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace


SETTLE_S = 0.5
"""What still differs after it is no landing that was half followed."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    control: str
    files: frozenset[str]

    @classmethod
    def take(cls, workspace: Workspace) -> Watch:
        digest = hashlib.sha256()
        common = workspace.repository.common
        for path in sorted([common / "config", *(common / "hooks").glob("*"), *(common / "info").glob("*")]):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        # each file by its own name: in an untracked folder one more would not show otherwise
        command = ("status", "--porcelain", "-z", "--untracked-files=all")
        listing = workspace.repository.ask(*command, env={"GIT_WORK_TREE": str(workspace.root)}).out
        own = _own(workspace)
        files = frozenset(entry for entry in os.fsdecode(listing).split("\0") if not own.fullmatch(entry[3:]))
        return cls(control=digest.hexdigest(), files=files)

    def to_json(self) -> dict[str, Any]:
        return {"control": self.control, "files": sorted(self.files)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Watch:
        return cls(control=data["control"], files=frozenset(data["files"]))

    def changes(self, workspace: Workspace) -> list[Change]:
        """Give what changed since, and stayed so: the checkout may just be following a landing."""
        found = self.differences(Watch.take(workspace))
        if not found:
            return []
        time.sleep(SETTLE_S)
        still = self.differences(Watch.take(workspace))
        return [one for one in found if one in still]

    def differences(self, later: Watch) -> list[Change]:
        """Give what changed meanwhile: nobody else writes to these by themselves, but a person may have."""
        found = [
            Change(
                path=entry[3:],
                kind="outside",
                note="changed in the main checkout while the agent ran without a sandbox",
            )
            for entry in sorted(later.files - self.files)
            if entry
        ]
        if later.control != self.control:
            found.append(
                Change(
                    path=".git", kind="git", note="the repository's configuration or hooks changed while the agent ran"
                )
            )
        return found


def _own(workspace: Workspace) -> re.Pattern[str]:
    """Name what the harness itself writes in the checkout while agents are at work.

    Git does not hide the state folder where a power cut took the line that says so.
    """
    kept = page(workspace.root, workspace.policy.project.name)
    files = [one.relative_to(workspace.root).as_posix() for one in (kept, kept.with_name(f".{kept.name}.tmp"))]
    folders = [one for one in (workspace.state, workspace.worktrees) if one.is_relative_to(workspace.root)]
    below = [f"{re.escape(one.relative_to(workspace.root).as_posix())}/.*" for one in folders]
    return re.compile("|".join([*map(re.escape, files), *below]), re.DOTALL)
