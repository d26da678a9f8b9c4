"""What happens to gradients that are NaN or infinite."""

import math
from typing import Any

from torch.nn.utils import get_total_norm

from experiment_hub.errors import NonFiniteError
from experiment_hub.training.callbacks.clipping import whole
from experiment_hub.training.callbacks.protocol import Callback, Loop


class GradientGuard(Callback):
    """Before a checkpoint the last gradients must be finite: a finite loss can come before weights that are not."""

    def before_save(self, loop: Loop) -> None:
        gradients = [each.grad for each in loop.model.parameters() if each.grad is not None]
        norm = whole(get_total_norm(gradients)).item() if gradients else 0.0
        if not math.isfinite(norm):
            raise NonFiniteError(
                f"gradient norm is {norm} in epoch {loop.position.epoch + 1}, step {loop.position.step}"
            )


class SkipSteps(Callback):
    """Leaves a bounded number of updates out; the weights stay what they were."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._skipped: list[int] = []

    def before_update(self, loop: Loop) -> bool:
        assert loop.gradient_norm is not None  # noqa: S101 -- GradientNorm or ClipNorm stands before this one
        if math.isfinite(loop.loss.item()) and math.isfinite(loop.gradient_norm.item()):
            return True
        step = loop.position.step + 1
        self._skipped.append(step)
        if len(self._skipped) > self._bound:
            raise NonFiniteError(
                f"loss or gradient is not finite in epoch {loop.position.epoch + 1}, step {step}, "
                f"after {self._bound} skipped steps: {', '.join(map(str, self._skipped[:-1]))}"
            )
        loop.say(f"step {step} is left out: its loss or gradient is NaN or infinite")
        return False

    def state(self) -> dict[str, Any]:
        return {"skipped": self._skipped}

    def restore(self, state: dict[str, Any]) -> None:
        self._skipped = list(state["skipped"])
