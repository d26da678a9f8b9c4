"""PyTorch: the hub's own loop."""

from pathlib import Path
from typing import Any

import numpy as np
import torch as pytorch
from numpy.typing import NDArray

from experiment_hub.plugins.protocol import TORCH
from experiment_hub.training.fitting import fit
from experiment_hub.training.runtimes import tensors
from experiment_hub.training.runtimes.protocol import Blueprint, Census, Hooks, Work
from experiment_hub.training.runtimes.starting import start


class TorchRuntime:
    name = TORCH

    def build(self, work: Work) -> pytorch.nn.Module:
        model: pytorch.nn.Module = work.blueprint.plugin.build(work.blueprint.config, work.blueprint.spec)
        start(work, model)
        return model.to(work.device)

    def fit(self, work: Work, model: pytorch.nn.Module, hooks: Hooks) -> dict[str, float]:
        return fit(work, model, hooks)

    def outputs(self, blueprint: Blueprint, model: pytorch.nn.Module, inputs: NDArray[Any]) -> NDArray[np.float64]:
        return tensors.outputs(blueprint, model, inputs)

    def census(self, model: pytorch.nn.Module) -> Census:
        return tensors.count(model)

    def save(self, blueprint: Blueprint, model: pytorch.nn.Module, folder: Path) -> None:
        tensors.save(blueprint, model, folder)

    def load(self, blueprint: Blueprint, folder: Path) -> pytorch.nn.Module:
        return tensors.load(blueprint.plugin.build(blueprint.config, blueprint.spec), folder)


RUNTIME = TorchRuntime()
