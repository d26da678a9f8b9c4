"""`memory/<project>.md`: one entry for each feature, written from receipts, for people to read and keep."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


_LOCK = threading.Lock()  # features of one runner end side by side; two runners of one repository never do
GRADES = {
    "E1": "measured by the harness itself, repeated with several seeds",
    "E2": "measured by the harness itself, once",
    "E3": "shown by tests that the harness ran",
    "E4": "reported by an agent and not contradicted",
    "E5": "argued",
    "E6": "guessed",
}
HEADER = """# {project}: what the project learned

Written by Signalbox from receipts, newest entry last. Evidence grades: {grades}.
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one feature taught."""

    feature: str
    title: str
    date: str
    grade: str
    result: tuple[str, ...]
    """With figures, refused attempts included."""
    decision: str
    learnings: tuple[str, ...]
    next: tuple[str, ...]

    def render(self) -> str:
        def block(title: str, lines: tuple[str, ...]) -> str:
            return f"**{title}**\n\n" + "\n".join(f"- {line}" for line in lines or ("none",)) + "\n"

        head = f"## {self.date} {self.feature}: {self.title} [{self.grade}]\n"
        decision = f"**Decision**: {self.decision}\n"
        return "\n".join((head, block("Result", self.result), decision, block("Learnings", self.learnings), block("Next", self.next)))


def page(root: Path, project: str) -> Path:
    return root / "memory" / f"{project}.md"


def write(root: Path, project: str, entry: Entry) -> Path:
    """Add the entry to the page, or replace the one of the same feature; everything else on the page stays."""
    target = page(root, project)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK:
        text = target.read_text(encoding="utf-8") if target.exists() else _header(project)
        ready = target.with_name(f".{target.name}.tmp")
        ready.write_text(_with(text, entry), encoding="utf-8")
        ready.replace(target)
    return target


def _header(project: str) -> str:
    grades = "; ".join(f"{grade} {meaning}" for grade, meaning in GRADES.items())
    return HEADER.format(project=project, grades=grades)


def _with(text: str, entry: Entry) -> str:
    before, found, rest = _around(text, entry.feature)
    after = rest if found else ""
    return f"{before.rstrip()}\n\n{entry.render()}{after}"


def _around(text: str, feature: str) -> tuple[str, bool, str]:
    """Split the page around the entry of a feature."""
    lines = text.splitlines(keepends=True)
    heads = [index for index, line in enumerate(lines) if line.startswith("## ")]
    for place, index in enumerate(heads):
        if f" {feature}:" in lines[index]:
            end = heads[place + 1] if place + 1 < len(heads) else len(lines)
            rest = "".join(lines[end:])
            return "".join(lines[:index]), True, f"\n{rest}" if rest else ""
    return text, False, ""
