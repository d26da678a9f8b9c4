"""The table of docs/faults.md: one line for each kind, made from what was really run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faults_kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from faults_round import Tally

BEGIN, END = "<!-- begin of the table: written by scripts/faults --write -->", "<!-- end of the table -->"
HEAD = "| kind | what | rounds | faults | violations | bound | on | minutes |\n|---|---|---:|---|---:|---|---|---:|"
FEW = 3.0
"""Of a rate that showed itself 0 times in n: at most 3/n, with 95 % confidence."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the table says of a kind."""

    tally: Tally
    broken: int
    """Rounds in which a promise was broken, or, for a control, in which one too few was caught."""

    @property
    def bound(self) -> str:
        share = KINDS[self.tally.kind].caught
        if share:
            caught = self.tally.faults["caught"] / max(1, self.tally.rounds)
            return f"caught {caught:.0%} (≥ {share:.0%} wanted)"
        if self.broken:
            return f"{self.broken / self.tally.rounds:.1%} of rounds"
        faults = self.tally.faults.total() or self.tally.rounds
        return f"≤ {min(1, FEW / self.tally.rounds):.2%} of rounds, ≤ {min(1, FEW / faults):.2%} of faults"

    def __str__(self) -> str:
        named = self.tally.faults.most_common(6)
        rest = self.tally.faults.total() - sum(count for _, count in named)
        faults = ", ".join(f"{count} {name}" for name, count in named) + (f", {rest} others" if rest else "")
        today, minutes = datetime.now(UTC).date().isoformat(), self.tally.seconds / 60
        kind = self.tally.kind
        return (
            f"| `{kind}` | {KINDS[kind].says} | {self.tally.rounds} | {self.tally.faults.total()}: {faults} "
            f"| {self.broken} | {self.bound} | {today} | {minutes:.0f} |"
        )


def write(page: Path, lines: dict[str, Line]) -> None:
    """Put the lines into the page's table; those of kinds that were not run stay as they are."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    known = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` .*$", table, re.MULTILINE)}
    known |= {kind: str(line) for kind, line in lines.items()}
    rows = "\n".join(known[kind] for kind in KINDS if kind in known)
    page.write_text(f"{before}{BEGIN}\n{HEAD}\n{rows}\n{END}{after}", encoding="utf-8")
