"""Small convolutional classifier for images."""

import itertools

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from experiment_hub.errors import ConfigurationError
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, Batch, DataSpec


class Network(nn.Module):
    """Each stage halves height and width; the mean over what is left goes to the classes."""

    def __init__(self, channels: tuple[int, ...], classes: int, dropout: float) -> None:
        super().__init__()
        stages = itertools.pairwise(channels)
        self.stages = nn.Sequential(*(_stage(inputs, outputs) for inputs, outputs in stages))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        logits: Tensor = self.head(self.dropout(self.stages(images).mean(dim=(2, 3))))
        return logits


def _stage(inputs: int, outputs: int) -> nn.Module:
    # one group is a layer norm over channels and places: unlike batch norm, a sample never depends on its neighbours
    norm = nn.GroupNorm(1, outputs)
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1), norm, nn.ReLU())


class Convnet:
    name = "convnet"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Hyperparameters of `model`."""

        channels: tuple[PositiveInt, ...] = Field(min_length=1)
        """Channels after each stage; a stage halves height and width."""
        dropout: float = Field(ge=0, lt=1)
        """Probability of zeroing a channel before the last layer."""

    def build(self, config: Config, spec: DataSpec) -> nn.Module:
        if len(spec.input_shape) != 3:  # noqa: PLR2004 -- channels, height, width
            raise ConfigurationError(
                f"data.name: model {self.name} needs images (channels, height, width), not samples of shape {spec.input_shape}"
            )
        return Network((spec.input_shape[0], *config.channels), spec.outputs, config.dropout)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.outputs(model, batch), batch.targets)

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [batch, classes]."""
        logits: Tensor = model(batch.inputs)
        return logits


PLUGIN = Convnet()
