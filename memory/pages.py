"""`memory/<project>.md`: one entry for each feature, written from receipts, for people to read and keep."""

from __future__ import annotations

import re
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
            return f"**{title}**\n\n" + "\n".join(f"- {_flat(line)}" for line in lines or ("none",)) + "\n"

        head = f"## {self.date} {self.feature}: {_flat(self.title)} [{self.grade}]\n"
        decision = f"**Decision**: {_flat(self.decision)}\n"
        return "\n".join(
            (head, block("Result", self.result), decision, block("Learnings", self.learnings), block("Next", self.next))
        )


def _flat(text: str) -> str:
    """Keep what others wrote on one line, where it can begin no heading and no entry."""
    return " ".join(text.split())


def page(root: Path, project: str) -> Path:
    return root / "memory" / f"{project}.md"


def write(root: Path, project: str, entry: Entry) -> Path:
    """Add the entry to the page, or replace the one of the same feature; everything else on the page stays."""
    target = page(root, project)
    with _LOCK:
        # as bytes: line ends and whatever else people wrote stay as they are
        text = target.read_bytes().decode(errors="surrogateescape") if target.exists() else _header(project)
        _replace(target, _with(text, entry))
    return target


DEAD_ENDS = "## Dead ends\n\nWhat was tried and led nowhere; nobody needs to try it again without a new reason.\n"


def add_dead_end(root: Path, project: str, text: str) -> Path:
    """Add a line to the page's list of dead ends, once."""
    target = page(root, project)
    line = f"- {_flat(text)}\n"
    with _LOCK:
        known = target.read_bytes().decode(errors="surrogateescape") if target.exists() else _header(project)
        if line not in known:
            _replace(target, _with_dead_end(known, line))
    return target


def _with_dead_end(text: str, line: str) -> str:
    """Put the line at the end of the list, which stands before all entries."""
    title, _, introduction = DEAD_ENDS.partition("\n\n")
    if title not in text.splitlines():
        first = re.search(r"^## ", text, re.MULTILINE)
        place = first.start() if first else len(text)
        gap = "" if text[:place].endswith("\n\n") else "\n"
        return f"{text[:place]}{gap}{title}\n\n{introduction}\n{line}\n{text[place:]}"
    begin = text.index(f"{title}\n") + len(title)
    following = re.compile(r"^## ", re.MULTILINE).search(text, begin)
    end = following.start() if following else len(text)
    return f"{text[:end].rstrip()}\n{line}\n{text[end:]}"


def _replace(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    ready = target.with_name(f".{target.name}.tmp")
    ready.write_bytes(text.encode(errors="surrogateescape"))
    ready.replace(target)


def _header(project: str) -> str:
    grades = "; ".join(f"{grade} {meaning}" for grade, meaning in GRADES.items())
    return HEADER.format(project=project, grades=grades)


def _with(text: str, entry: Entry) -> str:
    place = _place(text, entry.feature)
    if place is not None:
        return f"{text[: place[0]]}{entry.render()}{text[place[1] :]}"
    gap = "" if text.endswith("\n\n") or not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{entry.render()}"


def _place(text: str, feature: str) -> tuple[int, int] | None:
    """Find where the entry of a feature begins and ends: behind its last list, or before the next heading."""
    head = re.search(rf"^## \S+ {re.escape(feature)}: ", text, re.MULTILINE)
    if head is None:
        return None
    following = re.compile(r"^##? ", re.MULTILINE).search(text, head.end())
    limit = following.start() if following else len(text)
    last = re.compile(r"^\*\*Next\*\*\r?\n\r?\n(?:- [^\n]*(?:\n|$))*", re.MULTILINE).search(text, head.end(), limit)
    return head.start(), last.end() if last else limit
