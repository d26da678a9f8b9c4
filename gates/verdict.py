"""What a gate says: pass, fail or inconclusive, with findings and receipts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterable


class Answer(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """Could not be judged: a crash, a time-out, a missing tool, an empty selection. Blocks, but accuses nobody."""


_WORST = (Answer.FAIL, Answer.INCONCLUSIVE, Answer.PASS)


def worst(answers: Iterable[Answer]) -> Answer:
    given = set(answers)
    return next((answer for answer in _WORST if answer in given), Answer.PASS)


@dataclass(frozen=True, kw_only=True)
class Finding:
    rule: str
    """The rule's short name, `scope.outside` for instance."""
    message: str
    path: str = ""
    line: int = 0
    limit: str = ""
    """What was allowed, where the rule is a limit."""
    actual: str = ""
    need: Need | None = None
    """What a person could permit, so that this would not block; None where nobody can."""
    granted: str = ""
    """Id of the grant that lifted it: it is reported and blocks no more."""


@dataclass(frozen=True, kw_only=True)
class GateReceipt:
    """A receipt as reports show it."""

    command: str
    exit: int | None
    seconds: float
    output_sha256: str
    log: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    answer: Answer
    reason: str
    findings: tuple[Finding, ...] = ()
    receipts: tuple[GateReceipt, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(
            answer=Answer(data["answer"]),
            reason=data["reason"],
            findings=tuple(finding_from_json(finding) for finding in data["findings"]),
            receipts=tuple(GateReceipt(**receipt) for receipt in data["receipts"]),
        )


def finding_from_json(data: dict[str, Any]) -> Finding:
    need = data.get("need")
    return Finding(**{**data, "need": Need(**need) if need else None})


def passed(reason: str, *receipts: GateReceipt) -> Verdict:
    return Verdict(answer=Answer.PASS, reason=reason, receipts=receipts)


def not_applicable(why: str) -> Verdict:
    return passed(f"not applicable: {why}")


def judged(findings: Iterable[Finding], *, otherwise: str, receipts: Iterable[GateReceipt] = ()) -> Verdict:
    """Fail with the findings where there are any, pass with the reason `otherwise` where there are none."""
    found, proof = tuple(findings), tuple(receipts)
    if not found:
        return Verdict(answer=Answer.PASS, reason=otherwise, receipts=proof)
    first = found[0].message if len(found) == 1 else f"{found[0].message} (and {len(found) - 1} more)"
    return Verdict(answer=Answer.FAIL, reason=first, findings=found, receipts=proof)


def inconclusive(reason: str, *receipts: GateReceipt, findings: Iterable[Finding] = ()) -> Verdict:
    return Verdict(answer=Answer.INCONCLUSIVE, reason=reason, findings=tuple(findings), receipts=receipts)
