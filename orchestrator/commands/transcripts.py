"""`report T --transcript`: what was said and done in one attempt."""

from __future__ import annotations

import json as jsonlib
import shutil
from typing import TYPE_CHECKING

from agents.transcripts import markdown, read, render
from orchestrator.bench import log_folder
from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.transcripts import Event

FORMATS: dict[str, Callable[[list[Event]], str]] = {
    "text": lambda events: render(events, width=shutil.get_terminal_size((120, 40)).columns),
    "md": markdown,
    "json": lambda events: jsonlib.dumps([event.to_json() for event in events], indent=2),
}


def transcript(repo: Path, ticket: str, *, form: str, attempt: int | None) -> int:
    """Show the transcript of the attempt, or of the last one that has any."""
    if form not in FORMATS:
        raise InputError(f"--format of a transcript is one of {', '.join(FORMATS)}, not {form!r}")
    events = read(_file(Workspace.open(repo), ticket, attempt))
    say(None, lambda: FORMATS[form](events), as_json=False)
    return 0


def _file(workspace: Workspace, ticket: str, attempt: int | None) -> Path:
    if not workspace.database.exists:
        raise InputError('nothing was asked for here yet; begin with: orchestrate feature "..."')
    made = [row.number for row in workspace.records.attempts(workspace.records.ticket(ticket).id)]
    wanted = [number for number in made if attempt in {None, number}]
    files = [log_folder(workspace, ticket, number) / "transcript.jsonl" for number in wanted]
    there = [file for file in files if file.is_file()]
    if not there:
        which = f"attempt {attempt} of {ticket}" if attempt else ticket
        said = f"it has the attempts {', '.join(map(str, made))}" if made else "nobody worked on it yet"
        raise InputError(f"there is no transcript of {which} ({said}; not every kind of agent leaves one)")
    return there[-1]
