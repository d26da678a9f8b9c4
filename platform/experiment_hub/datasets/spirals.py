"""Interleaved spiral arms: not separable by a line, learnable by a small network."""

import numpy as np
from pydantic import Field, PositiveInt

from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.streams import sample_ids, stream
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, DataSpec

SWEEP = 4.0  # radians from the centre to the end of an arm


class Spirals:
    name = "spirals"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Settings of `data`."""

        samples: PositiveInt
        classes: int = Field(ge=2)
        noise: float = Field(ge=0)
        """Standard deviation of the angle, in radians."""

    def generate(self, config: Config) -> Samples:
        targets = np.arange(config.samples, dtype=np.int64) % config.classes
        radius = stream(self.name, "radius").random(config.samples)
        jitter = config.noise * stream(self.name, "angle").standard_normal(config.samples)
        angle = SWEEP * radius + 2 * np.pi * targets / config.classes + jitter
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return Samples(
            ids=sample_ids(self.name, config.samples),
            inputs=points.astype(np.float32),
            targets=targets,
            spec=DataSpec(input_shape=(2,), outputs=config.classes),
        )


DATASET = Spirals()
