"""How sure a model is against how often it is right, in bins of equal width."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiment_hub.metrics.definition import Outputs, Targets

BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True)
class Reliability:
    """One entry for each bin, from sureness 0 to 1; means of an empty bin are 0."""

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    """Mean probability of the predicted class."""
    accuracy: NDArray[np.float64]

    def expected_error(self) -> float:
        weights = self.counts / self.counts.sum()
        return float((weights * np.abs(self.accuracy - self.confidence)).sum())


def reliability(outputs: Outputs, targets: Targets) -> Reliability:
    """Bin k holds predictions with a probability in (k / 15, (k + 1) / 15]."""
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    sureness = 1 / shifted.sum(axis=1)  # the largest shifted value is exactly 1
    right = outputs.argmax(axis=1) == targets
    bins = np.clip(np.ceil(sureness * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights=each, minlength=BINS) for each in (sureness, right.astype(np.float64)))
    confidence, accuracy = (each / np.maximum(counts, 1) for each in sums)
    return Reliability(counts, confidence, accuracy)
