"""Ends training when a figure has not become better for a while."""

from collections.abc import Mapping
from typing import Any

from experiment_hub.configuration.schema import EarlyStopSection
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.training.callbacks.protocol import Callback, Loop


class BestFigure:
    """The best value of one figure so far, in the direction that its definition calls better."""

    def __init__(self, figure: str, definition: MetricDefinition, minimum_delta: float = 0.0) -> None:
        self.figure = figure
        self.value: float | None = None
        self._definition = definition
        self._delta = minimum_delta

    def better(self, values: Mapping[str, float]) -> bool:
        return self.value is None or self._definition.improvement(self.value, values[self.figure]) > self._delta


class EarlyStop(Callback):
    def __init__(self, section: EarlyStopSection, definition: MetricDefinition) -> None:
        self._best = BestFigure(section.metric, definition, section.minimum_delta)
        self._patience = section.patience
        self._waited = 0

    def would_stop(self, values: Mapping[str, float]) -> bool:
        """Whether these figures are the last; nothing changes, so that a checkpoint can still be kept before."""
        return not self._best.better(values) and self._waited + 1 >= self._patience

    def after_epoch(self, loop: Loop, values: Mapping[str, float]) -> None:
        if self.would_stop(values):
            loop.say(f"{self._best.figure} has not become better for {self._patience} epochs: training ends")
        if self._best.better(values):
            self._best.value, self._waited = values[self._best.figure], 0
        else:
            self._waited += 1

    def state(self) -> dict[str, Any]:
        return {"best": self._best.value, "waited": self._waited}

    def restore(self, state: dict[str, Any]) -> None:
        self._best.value, self._waited = state["best"], state["waited"]
