"""When a checkpoint is due: after so many steps, and after so much time."""

import time

from experiment_hub.training.callbacks.protocol import Callback, Loop

FIRST_SECONDS = 1.0  # a full disk or a state that cannot be saved shows in the first moments, not after the night


class Saving(Callback):
    def __init__(self, *, every_steps: int, every_seconds: float | None) -> None:
        self._steps = every_steps
        self._seconds = every_seconds
        self._due = float("inf")

    def start(self, loop: Loop) -> None:
        del loop
        if self._seconds is not None:
            self._due = time.monotonic() + min(FIRST_SECONDS, self._seconds)

    def due(self, loop: Loop) -> bool:
        return loop.position.step % self._steps == 0 or time.monotonic() >= self._due

    def done(self) -> None:
        if self._seconds is not None:
            self._due = time.monotonic() + self._seconds

    def after_step(self, loop: Loop) -> None:
        if self.due(loop):
            loop.save()
            self.done()
