"""Gates at work: what is being judged, what is known of candidates on the present head, and what is no longer wanted."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from memory.trains import PredictionRow
from orchestrator.train.judgement import Judgement, Run, from_kept
from tickets.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from memory.trains import Trains
    from orchestrator.train.cars import Prediction
    from orchestrator.train.model import Candidate
    from orchestrator.workspace import Workspace


class Runs:
    """Runs side by side, each in a thread of its own; their answers are kept by content, wherever the target is then."""

    def __init__(self, workspace: Workspace, trains: Trains, *, slots: int, ring: Callable[[], None]) -> None:
        self._workspace, self._trains, self._ring = workspace, trains, ring
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="gates")
        self._under_way: dict[Candidate, tuple[Run, Future[Judgement]]] = {}
        self._fading: list[Future[Judgement]] = []
        """Cancelled ones that have not ended yet: they still take a place."""
        self.known: dict[Candidate, tuple[Prediction, Judgement]] = {}
        self._doubted: set[Candidate] = set()
        """Something failed in their runs, which were ended before they could say whose fault it is."""

    @property
    def running(self) -> Mapping[Candidate, Run]:
        return {candidate: run for candidate, (run, _) in self._under_way.items()}

    @property
    def failing(self) -> frozenset[Candidate]:
        """Candidates of which something failed, but nobody has looked at it closely enough to blame anybody."""
        return frozenset({candidate for candidate, run in self.running.items() if run.failing} | self._doubted)

    @property
    def fading(self) -> int:
        self._fading = [future for future in self._fading if not future.done()]
        return len(self._fading)

    def start(self, candidate: Candidate, prediction: Prediction) -> bool:
        """Judge it, unless its like was judged before; say whether the answer is known at once."""
        kept = self._trains.prediction(prediction.key)
        if kept and kept.verdict != "inconclusive":
            self.known[candidate] = (prediction, from_kept(kept, self._workspace.records))
            return True
        run = Run(prediction=prediction, ring=self._ring, judged_beside=self._is_judged)
        future = self._pool.submit(run.judge, self._workspace)
        self._under_way[candidate] = (run, future)
        future.add_done_callback(lambda _: self._ring())
        return False

    def _is_judged(self, tree: str) -> bool:
        """Say whether a run on this tree is under way; asked by the threads of others."""
        return any(run.prediction.tree == tree for run, _ in list(self._under_way.values()))

    def collect(self) -> bool:
        """Take in what has ended, and say whether anything had; a defect in a run is raised here."""
        ended = [candidate for candidate, (_, future) in self._under_way.items() if future.done()]
        for candidate in ended:
            run, future = self._under_way.pop(candidate)
            with suppress(CancelledError):
                self._learn(candidate, _of(run.prediction, candidate), future.result())
        return bool(ended)

    def _learn(self, candidate: Candidate, prediction: Prediction, judgement: Judgement) -> None:
        if before := self.known.get(candidate):
            judgement = replace(judgement, unclear=before[1].tally.inconclusive)
        self.known[candidate] = (prediction, judgement)
        self._doubted.discard(candidate)
        self._trains.keep_prediction(_kept(self._workspace.policy.project.target, prediction, judgement))

    def cancel(self, candidates: Iterable[Candidate]) -> None:
        for candidate in list(candidates):
            run, future = self._under_way.pop(candidate)
            run.cancel()
            if run.failing:
                self._doubted.add(candidate)
            if not future.cancel():
                self._fading.append(future)

    def moved(self, landed: tuple[str, ...]) -> None:
        """Call every candidate by its name on the new head; what did not stand on the landed ones is not known any more."""
        self.cancel([one for one in self._under_way if one.after(landed) is None])
        self._under_way = {_on(one, landed): run for one, run in self._under_way.items()}
        self._doubted = {_on(one, landed) for one in self._doubted if one.after(landed)}
        kept = [(_on(one, landed), found) for one, found in self.known.items() if one.after(landed)]
        kept.sort(key=lambda one: one[1][1].verdict == "pass")  # two may be the same tree now: a pass outweighs
        self.known = {candidate: (_of(made, candidate), judgement) for candidate, (made, judgement) in kept}

    def forget(self) -> None:
        """Somebody else moved the target: what was predicted stands on a head that is gone."""
        self.cancel(self._under_way)
        self._doubted.clear()
        self.known.clear()

    def close(self) -> None:
        self.cancel(self._under_way)
        self._pool.shutdown(wait=True, cancel_futures=True)


def _on(candidate: Candidate, landed: tuple[str, ...]) -> Candidate:
    renamed = candidate.after(landed)
    assert renamed is not None  # noqa: S101 - the others were taken out before
    return renamed


def _of(prediction: Prediction, candidate: Candidate) -> Prediction:
    """Leave out members that have landed meanwhile: the tree is the same, and they land only once."""
    parts = tuple(part for part in prediction.parts if part.car.id in candidate.members)
    return prediction if len(parts) == len(prediction.parts) else replace(prediction, parts=parts)


def _kept(target: str, prediction: Prediction, judgement: Judgement) -> PredictionRow:
    return PredictionRow(
        key=prediction.key,
        target=target,
        changes=tuple(judgement.reports),
        tree=prediction.tree,
        verdict=judgement.verdict,
        blamed=tuple(sorted(judgement.blamed)),
        reports=tuple(judgement.hashes[ticket] for ticket in judgement.reports),
        seconds=judgement.seconds,
    )
