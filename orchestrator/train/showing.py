"""What a person sees of the train, written by its conductor and read by `orchestrate status`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memory.trains import Trains
    from orchestrator.train.cars import Car
    from orchestrator.train.model import Candidate, Decision
    from orchestrator.train.runs import Runs
    from orchestrator.workspace import Workspace

STATES = {"pass": "passed", "fail": "red", "inconclusive": "unclear"}


class Showing:
    """Keeps the picture of one train; it is written only when it changed."""

    def __init__(self, workspace: Workspace, trains: Trains) -> None:
        self._workspace, self._trains = workspace, trains
        self._shown: dict[str, Any] = {}
        self._late: set[str] = set()

    def show(self, head: str, cars: Mapping[str, Car], decision: Decision, runs: Runs, *, slots: int) -> None:
        record = decision.record
        data = {
            "head": head,
            "window": record.window,
            "slots": slots,
            "batch": max((len(one.members) for one in decision.order), default=1),
            "rate": round(_rate(record.passed, record.failed), 3),
            "order": [_candidate(one, runs) for one in decision.order],
            "waiting": [
                {
                    "ticket": car.id,
                    "position": position,
                    "since": car.joined_at,
                    "reason": decision.reasons.get(car.id, ""),
                }
                for position, car in enumerate(sorted(cars.values(), key=lambda car: car.seq), 1)
            ],
        }
        if data != self._shown:
            self._trains.show(self._workspace.policy.project.target, data)
            self._shown = data
        self._report_late(cars)

    def _report_late(self, cars: Mapping[str, Car]) -> None:
        """Say once of each change that it waits for long."""
        patience = self._workspace.policy.train.patience_s
        for car in cars.values():
            waited = time.time() - datetime.fromisoformat(car.joined_at).astimezone(UTC).timestamp()
            if waited > patience and car.id not in self._late:
                self._late.add(car.id)
                data = {"seconds": round(waited), "reason": f"it has waited for {waited / 60:.0f} minutes to land"}
                self._workspace.records.note("train.waiting", car.row.about, data)


def _candidate(candidate: Candidate, runs: Runs) -> dict[str, Any]:
    told: dict[str, Any] = {"changes": list(candidate.members), "ahead": list(candidate.ahead)}
    if candidate in runs.known:
        _, judgement = runs.known[candidate]
        return told | {"state": STATES[judgement.verdict], "seconds": round(judgement.seconds, 1)}
    if candidate in runs.running:
        run = runs.running[candidate]
        return told | {"state": "judging", "gate": run.gate, "since": run.begun_at}
    return told | {"state": "waiting"}


def _rate(passed: Mapping[str, int], failed: Mapping[str, int]) -> float:
    """Share of changes that were found guilty so far."""
    good, bad = sum(passed.values()), sum(failed.values())
    return bad / (good + bad) if good + bad else 0.0
