"""Multilayer perceptron as a LightningModule, which brings its own step, optimizer and logging."""

import itertools
from typing import Any

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, Batch, DataSpec


class LightningMlp:
    name = "lightning_mlp"
    task = CLASSIFICATION
    framework = "lightning"
    requires = ("lightning",)
    extra = "lightning"

    class Config(Hyperparameters):
        """Hyperparameters of `model`."""

        hidden: tuple[PositiveInt, ...]
        """Width of each hidden layer, from input to output."""
        rate: float = Field(gt=0)
        """Learning rate of the module's own Adam; `training.learning_rate` is the hub's loop's."""
        dropout: float = Field(ge=0, lt=1)

    def build(self, config: Config, spec: DataSpec) -> Any:
        from experiment_hub.plugins.modules.lightning_classifier import Classifier

        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise((*spec.input_shape, *config.hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
        width = config.hidden[-1] if config.hidden else spec.input_shape[0]
        return Classifier(nn.Sequential(*layers, nn.Linear(width, spec.outputs)), config.rate)

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [batch, classes]."""
        logits: Tensor = model(batch.inputs)
        return logits


PLUGIN = LightningMlp()
