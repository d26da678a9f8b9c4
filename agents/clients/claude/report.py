"""The report as Claude Code hands it in: by a tool that is bound to a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.reports import asked_for, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOL = "StructuredOutput"
HAND_IN = (
    f"\n\nHand in your report by calling the tool `{TOOL}`, once, as the last thing you do: one field for each section. "
    "That takes the place of a file with the report; write none.\n"
)
"""Said after the brief, which speaks to all clients alike."""


def form(fields: Sequence[str]) -> dict[str, Any]:
    """Give the JSON schema of a report: each section a text, and none left out."""
    named = keys(fields)
    properties = {key: {"type": "string", "description": asked_for(title)} for key, title in named.items()}
    return {"type": "object", "properties": properties, "required": list(named), "additionalProperties": False}
