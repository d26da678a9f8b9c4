"""The lessons that a lead is told: those of the project's memory that share words with the request, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory.lessons import fitting

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace

MOST = 5
CHARACTERS = 6_000


def lessons(workspace: Workspace, request: str) -> str:
    found = fitting(workspace.root, workspace.policy.project.name, request)
    text = "\n\n".join(lesson.strip() for lesson in found[:MOST])
    if len(found) > MOST:
        text += f"\n\n({len(found) - MOST} more share words with the request)"
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}\n(cut here)"
