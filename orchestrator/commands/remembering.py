"""`memory ...`: what the project learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory.lessons import fitting, telling
from memory.pages import add_dead_end, page
from orchestrator.commands.output import say
from orchestrator.granting import person
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 10


def show(repo: Path, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    file = page(workspace.root, workspace.policy.project.name)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    nothing = f"nothing was learned yet ({file} does not exist)"
    say({"page": str(file), "text": text}, lambda: text or nothing, as_json=json)
    return 0


def search(repo: Path, sought: str, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not telling(sought):
        raise InputError(f"expected telling words of at least three letters to look for, not {sought!r}")
    found = fitting(workspace.root, workspace.policy.project.name, sought)
    more = f"\n\n({len(found) - SHOWN} more; name more words)" if len(found) > SHOWN else ""
    text = "\n\n".join(found[:SHOWN]) + more
    say({"lessons": found}, lambda: text or f"nothing of what was learned speaks of {sought!r}", as_json=json)
    return 0 if found else 1


def dead_end(repo: Path, text: str, *, json: bool) -> int:
    workspace = Workspace.open(repo)
    if not text.strip():
        raise InputError("expected what was tried and why it led nowhere")
    file = add_dead_end(workspace.root, workspace.policy.project.name, f"{text} ({person(workspace)})")
    say({"page": str(file)}, lambda: f"kept in {file}; the next plan is told of it where it fits", as_json=json)
    return 0
