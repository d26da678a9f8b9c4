"""Counts of true against predicted classes."""

import numpy as np
from numpy.typing import NDArray

from experiment_hub.metrics.definition import Outputs, Targets


def confusion(outputs: Outputs, targets: Targets) -> NDArray[np.int64]:
    """[true, predicted]; of equal outputs the first counts as predicted."""
    classes = outputs.shape[1]
    pairs = targets * classes + outputs.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
