"""Watches the loss of every step: logs it, and ends a run whose loss is NaN or infinite."""

import math
import time

import torch

from experiment_hub.errors import NonFiniteError
from experiment_hub.training.callbacks.protocol import Callback, Loop

FETCH_STEPS, FETCH_SECONDS = 64, 1.0  # on an accelerator: each fetch waits for everything that was asked of it before


class LossMonitor(Callback):
    """On a CPU at every step; on an accelerator in batches of values, before each checkpoint and at the end."""

    def __init__(self, *, every_steps: int, tolerant: bool) -> None:
        self._every = every_steps
        self._tolerant = tolerant
        """Whether somebody else decides about a loss that is not finite."""
        self._waiting: list[tuple[int, torch.Tensor]] = []
        self._fetched = time.monotonic()

    def after_step(self, loop: Loop) -> None:
        if loop.loss.is_cpu:
            self._judge(loop, loop.position.step, loop.loss.item())
            return
        self._waiting.append((loop.position.step, loop.loss))
        if len(self._waiting) >= FETCH_STEPS or time.monotonic() - self._fetched > FETCH_SECONDS:
            self.before_save(loop)

    def before_save(self, loop: Loop) -> None:
        """Every loss so far is known and finite after this."""
        if self._waiting:
            steps, losses = zip(*self._waiting, strict=True)
            self._waiting = []
            for step, value in zip(steps, torch.stack(losses).tolist(), strict=True):
                self._judge(loop, step, value)
        self._fetched = time.monotonic()

    def finish(self, loop: Loop) -> None:
        self.before_save(loop)

    def _judge(self, loop: Loop, step: int, value: float) -> None:
        if step % self._every == 0:
            loop.log(step, {"train/loss": value})
        if not (self._tolerant or math.isfinite(value)):
            if step % self._every:
                loop.log(step, {"train/loss": value})
            raise NonFiniteError(f"loss is {value} in epoch {loop.position.epoch + 1}, step {step}")
