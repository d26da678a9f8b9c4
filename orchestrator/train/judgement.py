"""One candidate before the gates: every member's change on the one tree that all of them make."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from gates.catalogue import catalogue
from memory.events import About, now
from orchestrator.judging import Asked, judged, keep, logs_of, workshop
from orchestrator.train.model import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gates.workshop import Workshop
    from memory.records import Records
    from memory.trains import PredictionRow
    from orchestrator.train.cars import Part, Prediction
    from orchestrator.workspace import Workspace

Answer = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the gates said of one candidate."""

    verdict: Answer
    reports: Mapping[str, dict[str, Any]]
    """By ticket."""
    hashes: Mapping[str, str]
    """Of the reports, by ticket: what they are kept under."""
    blamed: frozenset[str] = frozenset()
    """Members that a gate on their own change refused."""
    seconds: float = 0.0

    unclear: int = 0
    """Tries before that could not judge it."""

    @property
    def tally(self) -> Tally:
        """A refusal is bound to content, and the gate of tests has run again what failed: asking once more tells nothing new."""
        said = self.verdict
        unclear = self.unclear + (said == "inconclusive")
        failed = said == "fail"
        return Tally(
            passes=int(said == "pass"), fails=int(failed), inconclusive=unclear, confirmed=failed, blamed=self.blamed
        )


@dataclass(kw_only=True)
class Run:
    """Gates at work on one candidate; whoever predicted otherwise meanwhile may cancel it."""

    prediction: Prediction
    begun: float = field(default_factory=time.monotonic)
    begun_at: str = field(default_factory=now)
    gate: str = ""
    """Which gate is at work."""
    failing: bool = False
    """Something failed, and is being looked at more closely: the answer will hardly be a pass."""
    cancelled: bool = False
    ring: Callable[[], None] = lambda: None
    """Called when there is something new to see."""
    judged_beside: Callable[[str], bool] = lambda _tree: False
    """Says whether another run is at work on a tree."""
    _place: Workshop | None = None

    def cancel(self) -> None:
        self.cancelled = True
        if self._place:
            self._place.cancel()

    def judge(self, workspace: Workspace) -> Judgement:
        """Ask the gates; raise CancelledError where the answer is not wanted any more."""
        made, first = self.prediction, self.prediction.parts[0].car
        logs = logs_of(workspace, first.attempt) / "integrated" / made.key[:8]
        with workshop(workspace, made.before, logs=logs) as place:
            self._place = place
            place.failing, place.judged_beside = self._fails, self.judged_beside
            if self.cancelled:
                place.cancel()
            reports = {part.car.id: self._asked(workspace, part, place) for part in made.parts}
        with workspace.database.transaction():
            hashes = {part.car.id: _keep(workspace, part, reports[part.car.id]) for part in made.parts}
        return summed_up(reports, hashes, seconds=time.monotonic() - self.begun)

    def _asked(self, workspace: Workspace, part: Part, place: Workshop) -> dict[str, Any]:
        row, attempt = part.car.row, part.car.attempt
        asked = Asked(
            row=row,
            attempt=attempt,
            changes=part.changes,
            stage="integrated",
            said=(attempt.outcome or {}).get("report"),
            whole=self.prediction.whole if len(self.prediction.parts) > 1 else None,
        )
        return judged(workspace, asked, place, tell=self._at)

    def _at(self, gate: str) -> None:
        self.gate = gate

    def _fails(self) -> None:
        if not self.failing:
            self.failing = True
            self.ring()


def _keep(workspace: Workspace, part: Part, report: dict[str, Any]) -> str:
    row, attempt = part.car.row, part.car.attempt
    return keep(workspace, report, About(feature=row.feature, ticket=row.id, attempt=attempt.number))


def summed_up(reports: Mapping[str, dict[str, Any]], hashes: Mapping[str, str], *, seconds: float) -> Judgement:
    """Take the worst answer; a member that its own change damns is named."""
    verdicts = {report["verdict"] for report in reports.values()}
    verdict: Answer = "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"
    blamed = frozenset(ticket for ticket, report in reports.items() if _damned(report))
    return Judgement(verdict=verdict, reports=reports, hashes=hashes, blamed=blamed, seconds=seconds)


def _damned(report: dict[str, Any]) -> bool:
    gates = catalogue()
    return any(gate["verdict"] == "fail" and gates[gate["name"]].judges == "change" for gate in report["gates"])


def from_kept(kept: PredictionRow, records: Records) -> Judgement:
    """Give what was said of the same content before."""
    hashes = dict(zip(kept.changes, kept.reports, strict=True))
    told = {ticket: records.report(sha256) for ticket, sha256 in hashes.items()}
    verdict = cast("Answer", kept.verdict)
    blamed = frozenset(kept.blamed)
    return Judgement(verdict=verdict, reports=told, hashes=hashes, blamed=blamed, seconds=kept.seconds)
