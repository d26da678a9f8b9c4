"""Reports: their sections as fields that a model fills in, the Markdown that is made of them, and what is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agents.brief import SECTIONS
from agents.values import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LONGEST = 1 << 20
"""A report is kept up to this size; what follows is left out."""
_WHAT: dict[str, str] = {
    "Summary": "what was done, and why so",
    "Files Changed": "a Markdown list: each file that was changed, as `- path: what and why`, and no other file",
    "Verification": "which commands were run to check it, and what came of each",
    "Risks / Edge Cases": "what could go wrong; `none` is an answer",
    "Out-of-Scope Issues Found": "what else was noticed and left alone; `none` is an answer",
}
_HEADING = re.compile(r"^#{1,2}(?=\s)", re.MULTILINE)
_SECTION = re.compile(r"^## (Summary|Files Changed|Verification)\s*$", re.MULTILINE)
_ENOUGH = 2


def keys(fields: Sequence[str]) -> dict[str, str]:
    """Give the title of each section by a name that every model's service takes (`a-z`, digits, `_`), and no two alike."""
    named: dict[str, str] = {}
    for title in dict.fromkeys((*SECTIONS, *fields)):
        plain = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:48] or "field"
        named[plain if plain not in named else f"{plain}_{len(named)}"] = title
    return named


def asked_for(title: str) -> str:
    """Say to the model what belongs into a section."""
    return f"{title}: {_WHAT.get(title, 'the value, measured and not estimated')}"


def markdown(handed_in: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    """Render what was handed in; None where it has no section that was asked for."""
    parts = [f"## {title}\n\n{said}" for key, title in keys(fields).items() if (said := _inner(handed_in.get(key)))]
    return tidy("\n\n".join(parts))


def _inner(value: Any) -> str:
    """Give a section without headings that would end it."""
    return _HEADING.sub("###", text(value)).strip()


def tidy(said: str) -> str | None:
    """Give a text that can be written to a file anywhere; None for an empty one."""
    return said[:LONGEST].encode(errors="replace").decode().strip() or None


def read(path: Path) -> str | None:
    """Read what an agent wrote for us: a regular file of bearable size, or nothing."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(LONGEST).decode(errors="replace").strip() or None


def is_report(said: str) -> bool:
    """Say whether a text is the report already, though it was not asked for in this form."""
    return len(set(_SECTION.findall(said))) >= _ENOUGH


def lacking(said: str, *, acted: bool) -> str:
    """Say why what a model said last is no report; "" where it may be one."""
    if not said.strip():
        return "the model ended without a word"
    if not acted and "##" not in said and said.rstrip().endswith("?"):
        return "the model did nothing but ask a question; nobody is there to answer it"
    return ""
