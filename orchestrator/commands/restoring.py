"""`log --restore`: the records made anew from their journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory.restore import restore as make_anew
from orchestrator.commands.output import say
from orchestrator.runner import exclusively
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def restore(repo: Path, *, json: bool) -> int:
    """Put a database made from the journal in the place of the present one, which is kept beside it; 1 where something is lost."""
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        raise InputError(
            'there is nothing to restore: nothing was asked for here yet; begin with: orchestrate feature "..."'
        )
    workspace.database.mirror  # noqa: B018 - where a server keeps the records, this is the error to tell
    with exclusively(workspace):
        found = make_anew(workspace.database)
    replay, aside = found.replay, [str(path) for path in found.aside]
    data = {"transactions": replay.transactions, "replayed": replay.replayed, "lost": replay.lost, "set_aside": aside}
    kept = f"\nwhat was there is kept as {', '.join(aside)}" if aside else ""
    say(
        data, lambda: f"{replay}{kept}\nnext: orchestrate log --verify --records, then orchestrate resume", as_json=json
    )
    return 1 if replay.lost else 0
