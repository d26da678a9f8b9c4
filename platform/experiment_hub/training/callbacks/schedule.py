"""The learning rate of each step, as a pure function of its number."""

import math

from experiment_hub.configuration.schema import ScheduleSection
from experiment_hub.training.callbacks.protocol import Callback, Loop


def share(section: ScheduleSection, step: int, steps: int) -> float:
    """Share of the full rate at a step (from 0) of `steps`."""
    if step < section.warmup_steps:
        return (step + 1) / section.warmup_steps
    if section.kind == "step":
        assert section.every_steps is not None  # noqa: S101 -- the schema asks for both
        assert section.factor is not None  # noqa: S101 -- see above
        return float(section.factor ** ((step - section.warmup_steps) // section.every_steps))
    if section.kind == "constant":
        return 1.0
    done = (step - section.warmup_steps) / max(1, steps - section.warmup_steps)
    left = 1 - done if section.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
    return section.minimum + (1 - section.minimum) * left


class Schedule(Callback):
    def __init__(self, section: ScheduleSection, *, log_every_steps: int) -> None:
        self._section = section
        self._every = log_every_steps

    def start(self, loop: Loop) -> None:
        self._set(loop)

    def after_step(self, loop: Loop) -> None:
        step = loop.position.step
        if step % self._every == 0:
            loop.log(step, {"train/learning_rate": loop.optimizer.param_groups[0]["lr"]})
        self._set(loop)

    def _set(self, loop: Loop) -> None:
        """The rate of the step that comes next."""
        rate = loop.plan.training.learning_rate * share(self._section, loop.position.step, loop.plan.steps)
        for group in loop.optimizer.param_groups:
            group["lr"] = rate
