"""The report as Claude Code hands it in: the form it is bound to, and the Markdown that is made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOOL = "StructuredOutput"
SECTIONS: dict[str, str] = {
    "Summary": "What was done, and why so.",
    "Files Changed": "A list with one item for each file that was changed, which begins with its path; no other file.",
    "Verification": "Which commands were run, and what came of each.",
    "Risks / Edge Cases": "What could go wrong; `none` is an answer.",
    "Out-of-Scope Issues Found": "What else was noticed and left alone; `none` is an answer.",
}
HAND_IN = (
    f"\n\nHand in your report by calling the tool `{TOOL}`, once, as the last thing you do: one field for each section. "
    "That takes the place of a file with the report; write none.\n"
)
"""Said after the brief, which speaks to all clients alike."""
LONGEST = 1 << 20
"""Characters of a report that are kept."""
_HEADING = re.compile(r"^#{1,2}(?=\s)", re.MULTILINE)


def form(fields: Sequence[str]) -> dict[str, Any]:
    """Give the JSON schema of a report: each section a text, and none left out."""
    keys = _keys(fields)
    properties = {
        key: {
            "type": "string",
            "description": f"{title}: {SECTIONS.get(title, 'the value, measured and not estimated')}",
        }
        for key, title in keys.items()
    }
    return {"type": "object", "properties": properties, "required": list(keys), "additionalProperties": False}


def markdown(handed_in: Any, fields: Sequence[str]) -> str | None:
    """Render what was handed in; None where it has no section that was asked for."""
    if not isinstance(handed_in, dict):
        return None
    parts = [f"## {title}\n\n{text}" for key, title in _keys(fields).items() if (text := _text(handed_in, key))]
    return tidy("\n\n".join(parts))


def tidy(text: str) -> str | None:
    """Give a text that can be written to a file anywhere; None for an empty one."""
    return text[:LONGEST].encode(errors="replace").decode().strip() or None


def _keys(fields: Sequence[str]) -> dict[str, str]:
    """Name each section as the model's service takes it (`a-z`, digits, `_`), and no two alike."""
    keys: dict[str, str] = {}
    for title in dict.fromkeys((*SECTIONS, *fields)):
        plain = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:48] or "field"
        keys[plain if plain not in keys else f"{plain}_{len(keys)}"] = title
    return keys


def _text(handed_in: Mapping[str, Any], key: str) -> str:
    """Give a section without headings that would end it."""
    value = handed_in.get(key)
    return _HEADING.sub("###", value).strip() if isinstance(value, str) else ""
