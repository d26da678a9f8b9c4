"""What a ticket's reports say beside each other: its attempts, and the two passes of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.reports.words import Report, cleaned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PASSES = ("worktree", "integrated")


@dataclass(frozen=True, kw_only=True)
class Try:
    """One report in one row."""

    attempt: int
    stage: str
    verdict: str
    refused: str
    """Names of the gates that did not pass."""
    files: int
    added: int
    deleted: int
    seconds: float
    this: bool


def tries(history: Sequence[Report], report: Report | None = None) -> Iterator[Try]:
    """Give a row for each report, the oldest first; `this` marks the one that is being read."""
    for one in history:
        yield Try(
            attempt=one["attempt"],
            stage=one["pass"],
            verdict=one["verdict"],
            refused=", ".join(cleaned(gate["name"]) for gate in one["gates"] if gate["verdict"] != "pass"),
            files=len(one["changes"]),
            added=sum(change["added"] for change in one["changes"]),
            deleted=sum(change["deleted"] for change in one["changes"]),
            seconds=sum(gate["seconds"] for gate in one["gates"]),
            this=one == report,
        )


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One gate in both passes."""

    name: str
    verdicts: tuple[str, str]
    reasons: tuple[str, str]

    @property
    def calm(self) -> bool:
        return self.verdicts == ("pass", "pass")


def both_passes(report: Report, history: Sequence[Report]) -> list[Compared]:
    """Put the newest reports of both passes of the report's attempt side by side; empty where there is only one."""
    last = {one["pass"]: one for one in (*history, report) if one["attempt"] == report["attempt"]}
    if set(last) != set(PASSES):
        return []
    first, second = ({gate["name"]: gate for gate in cleaned(last[stage])["gates"]} for stage in PASSES)
    names = [*first, *(name for name in second if name not in first)]
    missing = {"verdict": "-", "reason": "did not run"}
    pairs = ((name, first.get(name, missing), second.get(name, missing)) for name in names)
    return [
        Compared(name=name, verdicts=(one["verdict"], two["verdict"]), reasons=(one["reason"], two["reason"]))
        for name, one, two in pairs
    ]
