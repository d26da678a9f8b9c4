"""Optimizers by name."""

from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from experiment_hub.configuration.schema import TrainingSection

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}
KERNELS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "forloop": {"foreach": False, "fused": False}}


def build_optimizer(model: nn.Module, training: TrainingSection) -> Optimizer:
    factory = OPTIMIZERS[training.optimizer]
    kernel = KERNELS[training.optimizer_kernel] if training.optimizer_kernel else {}
    return factory(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, **kernel)
