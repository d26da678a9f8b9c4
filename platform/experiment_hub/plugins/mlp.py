"""Multilayer perceptron for classification."""

import itertools
from typing import Literal

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, Batch, DataSpec

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class Mlp:
    name = "mlp"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Hyperparameters of `model`."""

        hidden: tuple[PositiveInt, ...]
        """Width of each hidden layer, from input to output."""
        activation: Literal["relu", "gelu", "tanh"]
        dropout: float = Field(ge=0, lt=1)
        """Probability of zeroing a hidden unit during training."""

    def build(self, config: Config, spec: DataSpec) -> nn.Module:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise((*spec.input_shape, *config.hidden)):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[config.activation](), nn.Dropout(config.dropout)]
        width = config.hidden[-1] if config.hidden else spec.input_shape[0]
        return nn.Sequential(*layers, nn.Linear(width, spec.outputs))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.outputs(model, batch), batch.targets)

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [batch, classes]."""
        logits: Tensor = model(batch.inputs)
        return logits


PLUGIN = Mlp()
