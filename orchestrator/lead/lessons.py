"""The lessons that fit: entries of the project's memory whose words the request shares."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memory.pages import page
from orchestrator.lead.repository_map import words

if TYPE_CHECKING:
    from orchestrator.workspace import Workspace

MOST = 5
CHARACTERS = 6_000
READ_BYTES = 4 << 20
_ENTRY = re.compile(r"^## ", re.MULTILINE)
COMMON = frozenset({"add", "and", "are", "attempt", "for", "from", "none", "that", "the", "this", "ticket", "with"})
"""Words that say nothing about what an entry is about."""


def lessons(workspace: Workspace, request: str) -> str:
    """Give the entries that share most words with the request, at most `MOST`, the newer first among equals."""
    entries = _entries(workspace)
    wanted = words(request) - COMMON
    scored = [(len(wanted & words(entry)), place, entry) for place, entry in enumerate(entries)]
    fitting = sorted((one for one in scored if one[0]), reverse=True)
    text = "\n\n".join(entry.strip() for _, _, entry in fitting[:MOST])
    if len(fitting) > MOST:
        text += f"\n\n({len(fitting) - MOST} more entries share words with the request)"
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}\n(cut here)"


def _entries(workspace: Workspace) -> list[str]:
    """Split the page at its second-level headings, newest last; a page that is not there has none."""
    file = page(workspace.root, workspace.policy.project.name)
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        text = stream.read(READ_BYTES).decode(errors="replace")
    starts = [match.start() for match in _ENTRY.finditer(text)]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
