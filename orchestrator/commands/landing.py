"""`revert`: a landing is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands.features import see_through
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def revert(repo: Path, ticket: str, *, reason: str, json: bool) -> int:
    """Take a landing back; the revert is gated and rehearsed as any other change."""
    from orchestrator.reverting import ask_for, rehearse
    from orchestrator.runner import warm_up
    from orchestrator.train.publishing import meet

    if not reason.strip():
        raise InputError("say why with --reason: it stays in the log and in the commit")
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        raise InputError("nothing has landed here yet")
    warm_up()
    meet(workspace)
    workspace.prepare()
    workspace.level  # noqa: B018 - raises where no sandbox is to be had: the gates run what is brought back
    feature = ask_for(workspace, rehearse(workspace, ticket, " ".join(reason.split())))
    return see_through(workspace, feature, json=json)
