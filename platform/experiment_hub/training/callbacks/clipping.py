"""Bounds gradients before each update."""

from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from experiment_hub.training.callbacks.protocol import Callback, Loop


class GradientNorm(Callback):
    """Measures the norm over all gradients, at every so many steps."""

    def __init__(self, every_steps: int) -> None:
        self._every = every_steps

    def before_update(self, loop: Loop) -> bool:
        if (loop.position.step + 1) % self._every:
            loop.gradient_norm = None
        else:
            gradients = [each.grad for each in loop.model.parameters() if each.grad is not None]
            loop.gradient_norm = whole(get_total_norm(gradients))
        return True


class GradientLog(Callback):
    """Logs the norm that something before it has measured."""

    def __init__(self, every_steps: int) -> None:
        self._every = every_steps

    def after_step(self, loop: Loop) -> None:
        if loop.gradient_norm is not None and loop.position.step % self._every == 0:
            loop.log(loop.position.step, {"train/gradient_norm": loop.gradient_norm.item()})


class ClipNorm(Callback):
    def __init__(self, norm: float) -> None:
        self._norm = norm

    def before_update(self, loop: Loop) -> bool:
        loop.gradient_norm = whole(clip_grad_norm_(loop.model.parameters(), self._norm))
        return True


class ClipValue(Callback):
    def __init__(self, value: float) -> None:
        self._value = value

    def before_update(self, loop: Loop) -> bool:
        clip_grad_value_(loop.model.parameters(), self._value)
        return True


def whole(norm: Tensor) -> Tensor:
    """A norm over sharded gradients comes in parts that belong together."""
    together: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return together
