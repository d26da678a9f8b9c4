"""How fast the loop goes and what memory it holds, about once a second."""

import time

import psutil
import torch

from experiment_hub.training.callbacks.protocol import Callback, Loop

SECONDS = 1.0


class Throughput(Callback):
    def __init__(self) -> None:
        self._process = psutil.Process()
        self._rows = self._steps = 0
        self._since = time.monotonic()

    def start(self, loop: Loop) -> None:
        del loop
        self._rows = self._steps = 0
        self._since = time.monotonic()

    def after_step(self, loop: Loop) -> None:
        self._rows += loop.rows
        self._steps += 1
        if time.monotonic() - self._since >= SECONDS:
            self._report(loop)

    def finish(self, loop: Loop) -> None:
        if self._steps:
            self._report(loop)

    def _report(self, loop: Loop) -> None:
        if loop.loss.is_cuda:
            torch.cuda.synchronize(loop.loss.device)  # what was only asked for is not done
        seconds = max(time.monotonic() - self._since, 1e-9)
        values = {
            "train/samples_per_second": self._rows / seconds,
            "train/step_ms": 1000 * seconds / self._steps,
            "train/memory_bytes": float(self._process.memory_info().rss),
        }
        if loop.plan.batch_tokens:
            values["train/tokens_per_second"] = self._rows * loop.plan.batch_tokens / seconds
        if loop.loss.is_cuda:
            values["train/cuda_bytes"] = float(torch.cuda.max_memory_allocated(loop.loss.device))
        loop.log(loop.position.step, values)
        self._rows = self._steps = 0
        self._since = time.monotonic()
