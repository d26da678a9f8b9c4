"""Tiny images of strokes for convolutional models: each class is one shape, shifted and noisy."""

import numpy as np
from pydantic import Field, PositiveInt

from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.streams import sample_ids, stream
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, DataSpec

SIZE = 8
SHAPES = (
    ("#####", ".....", ".....", ".....", "....."),
    ("#....", "#....", "#....", "#....", "#...."),
    ("#....", ".#...", "..#..", "...#.", "....#"),
    ("..#..", "..#..", "#####", "..#..", "..#.."),
    ("#####", "#...#", "#...#", "#...#", "#####"),
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
)
EXTENT = len(SHAPES[0])


class Glyphs:
    name = "glyphs"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Settings of `data`."""

        samples: PositiveInt
        classes: int = Field(ge=2, le=len(SHAPES))
        noise: float = Field(ge=0)
        """Standard deviation of what is added to each pixel; ink is 1, paper 0."""

    def generate(self, config: Config) -> Samples:
        targets = np.arange(config.samples, dtype=np.int64) % config.classes
        shapes = np.array([[[cell == "#" for cell in line] for line in shape] for shape in SHAPES], dtype=np.float64)
        corners = stream(self.name, "corner").integers(0, SIZE - EXTENT + 1, (config.samples, 2))
        images = config.noise * stream(self.name, "pixel").standard_normal((config.samples, SIZE, SIZE))
        span = np.arange(EXTENT)
        rows, columns = (corners[:, axis, None] + span for axis in (0, 1))
        images[np.arange(config.samples)[:, None, None], rows[:, :, None], columns[:, None, :]] += shapes[targets]
        return Samples(
            ids=sample_ids(self.name, config.samples),
            inputs=images[:, None].astype(np.float32),
            targets=targets,
            spec=DataSpec(input_shape=(1, SIZE, SIZE), outputs=config.classes),
        )


DATASET = Glyphs()
