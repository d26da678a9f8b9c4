"""Strings to be copied: `abca|abca`; only the second half is asked."""

import numpy as np
from pydantic import Field, PositiveInt

from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.streams import sample_ids, stream
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import IGNORED_TARGET, NEXT_TOKEN, DataSpec


class CharCopy:
    name = "char_copy"
    task = NEXT_TOKEN

    class Config(Hyperparameters):
        """Settings of `data`."""

        samples: PositiveInt
        length: PositiveInt
        """Characters to copy; a sequence is twice as long."""
        symbols: int = Field(ge=2)
        """Size of the alphabet; the separator is one token more."""

    def generate(self, config: Config) -> Samples:
        text = stream(self.name, "text").integers(0, config.symbols, (config.samples, config.length), dtype=np.int64)
        separator = np.full((config.samples, 1), config.symbols, dtype=np.int64)
        line = np.concatenate([text, separator, text], axis=1)
        targets = line[:, 1:].copy()
        targets[:, : config.length] = IGNORED_TARGET  # the first copy is random: nothing can predict it
        return Samples(
            ids=sample_ids(self.name, config.samples),
            inputs=line[:, :-1].copy(),
            targets=targets,
            spec=DataSpec(input_shape=(2 * config.length,), outputs=config.symbols + 1),
        )


DATASET = CharCopy()
