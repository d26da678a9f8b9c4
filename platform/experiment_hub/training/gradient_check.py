"""One batch before training: every trainable parameter must get a finite gradient, and no frozen one any."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from experiment_hub.configuration.schema import GradientCheckSection
from experiment_hub.tasks import Batch
from experiment_hub.training.backward import Loss
from experiment_hub.training.determinism import capture_rng, restore_rng

SHOWN = 5


@dataclass(frozen=True)
class GradientReport:
    none: list[str] = field(default_factory=list)
    """Trainable, but the loss does not depend on them."""
    not_finite: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    """Frozen, yet they got a gradient."""

    @property
    def flows(self) -> bool:
        return not (self.none or self.not_finite or self.frozen)

    def sentence(self) -> str:
        parts = {
            "no gradient reaches": self.none,
            "the gradient is NaN or infinite of": self.not_finite,
            "a frozen parameter gets a gradient:": self.frozen,
        }
        return "; ".join(f"{words} {_listed(names)}" for words, names in parts.items() if names)


def check_gradients(model: nn.Module, loss: Loss, batch: Batch, section: GradientCheckSection) -> GradientReport:
    """Leaves weights, buffers, gradients and generators as they were."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    generators = capture_rng()
    model.zero_grad(set_to_none=True)
    loss(batch).backward()  # type: ignore[no-untyped-call] # torch ships it without types
    report = _report(dict(model.named_parameters()), section)
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    restore_rng(generators)
    return report


def _report(parameters: dict[str, nn.Parameter], section: GradientCheckSection) -> GradientReport:
    asked = {
        name: each for name, each in parameters.items() if not any(fnmatchcase(name, only) for only in section.allow)
    }
    return GradientReport(
        none=[name for name, each in asked.items() if each.requires_grad and each.grad is None],
        not_finite=[name for name, each in asked.items() if each.grad is not None and not _finite(each.grad)],
        frozen=[name for name, each in asked.items() if not each.requires_grad and each.grad is not None],
    )


def _finite(gradient: Tensor) -> bool:
    return bool(torch.isfinite(gradient).all())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
