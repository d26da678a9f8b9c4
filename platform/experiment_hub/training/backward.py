"""One batch forward and backward: precision, accumulation, scaling."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.tasks import Batch

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
Loss = Callable[[Batch], Tensor]
"""Mean over a batch, differentiable."""


class Backward:
    """Gives the mean loss over a batch, detached; gradients are added to those that are there."""

    def __init__(self, loss: Loss, training: TrainingSection, device: torch.device) -> None:
        self._loss = loss
        self._micro = training.micro_batch_size
        self._device = device
        self._precision = PRECISIONS[training.precision] if training.precision else None
        enabled = training.precision == "fp16"
        self.scaler = torch.amp.GradScaler(device.type) if enabled else None
        self.unsynchronized: Callable[[], AbstractContextManager[None]] = nullcontext
        """Around all micro-batches but the last: processes exchange gradients once for each update."""

    def __call__(self, batch: Batch, *, weight: float = 1.0, largest: int | None = None) -> Tensor:
        """`weight` scales the gradients, not the loss that is given back; `largest` of the shares that processes have."""
        count = 1 if self._micro is None else -(-(largest or len(batch.targets)) // self._micro)
        if count == 1:
            return self._once(batch, weight, 1.0)
        total = torch.zeros((), device=self._device)
        *first, last = self._parts(batch, count)
        with self.unsynchronized():
            for part, share in first:
                total += self._once(part, weight, share)
        part, share = last
        return total.add_(self._once(part, weight, share))

    def _once(self, batch: Batch, weight: float, share: float) -> Tensor:
        if self._precision is None:
            loss = self._loss(batch)
        else:
            with torch.autocast(self._device.type, self._precision):
                loss = self._loss(batch)
        if share != 1.0:
            loss = loss * share
        scaled = loss if weight == 1.0 else loss * weight
        if self.scaler is not None:
            scaled = self.scaler.scale(scaled)
        scaled.backward()  # type: ignore[no-untyped-call] # torch ships it without types
        return loss.detach()

    @staticmethod
    def _parts(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
        """Micro-batches with their share of the samples, so that the sum is the mean over the whole batch.

        All processes have as many; one without a sample computes one that counts nothing.
        """
        pieces = zip(torch.tensor_split(batch.inputs, count), torch.tensor_split(batch.targets, count), strict=True)
        for inputs, targets in pieces:
            if len(targets):
                yield Batch(inputs, targets), len(targets) / len(batch.targets)
            else:
                yield Batch(batch.inputs[:1], batch.targets[:1]), 0.0
