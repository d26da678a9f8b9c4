"""Gaussian clusters around centres on a circle."""

import numpy as np
from pydantic import Field, PositiveInt

from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.streams import sample_ids, stream
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, DataSpec


class Blobs:
    name = "blobs"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Settings of `data`."""

        samples: PositiveInt
        classes: int = Field(ge=2)
        noise: float = Field(ge=0)
        """Standard deviation of a cluster; centres lie on the unit circle."""

    def generate(self, config: Config) -> Samples:
        targets = np.arange(config.samples, dtype=np.int64) % config.classes
        angles = 2 * np.pi * targets / config.classes
        centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        offsets = stream(self.name, "offset").standard_normal((config.samples, 2))
        return Samples(
            ids=sample_ids(self.name, config.samples),
            inputs=(centres + config.noise * offsets).astype(np.float32),
            targets=targets,
            spec=DataSpec(input_shape=(2,), outputs=config.classes),
        )


DATASET = Blobs()
