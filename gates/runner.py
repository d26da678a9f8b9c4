"""Asks every gate about one case. All of them run: the report names everything that is wrong at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gates.protocol import key
from gates.verdict import Answer, Verdict, inconclusive, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gates.protocol import Case, Gate


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one gate said about one case."""

    name: str
    verdict: Verdict
    cached: bool
    seconds: float


def judge(
    case: Case, gates: Mapping[str, Gate], *, tell: Callable[[str], None] = lambda _name: None
) -> tuple[Judged, ...]:
    """Ask the gates in their order; `tell` hears the name of each before it is asked."""
    results: list[Judged] = []
    for gate in gates.values():
        tell(gate.name)
        receipts = tuple((receipt.command, receipt.exit) for result in results for receipt in result.verdict.receipts)
        results.append(_ask(gate, replace(case, known_receipts=receipts)))
    return tuple(results)


def overall(results: tuple[Judged, ...]) -> Answer:
    return worst(result.verdict.answer for result in results)


def _ask(gate: Gate, case: Case) -> Judged:
    started = time.monotonic()
    identity = key(gate, case)
    if known := case.store.get(identity):
        return Judged(name=gate.name, verdict=Verdict.from_json(known), cached=True, seconds=time.monotonic() - started)
    try:
        verdict = gate.verify(case)
    except Exception as error:  # noqa: BLE001 - a process edge: a gate that crashes has not judged, whoever wrote it
        verdict = inconclusive(f"the gate itself broke: {type(error).__name__}: {error}")
    if verdict.answer is not Answer.INCONCLUSIVE:
        case.store.put(identity, verdict.to_json())
    return Judged(name=gate.name, verdict=verdict, cached=False, seconds=time.monotonic() - started)
