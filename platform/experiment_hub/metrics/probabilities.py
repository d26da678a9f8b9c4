"""Numerics that several metric definitions share."""

import numpy as np

from experiment_hub.metrics.definition import Outputs, Targets


def negative_log_likelihood(outputs: Outputs, targets: Targets) -> Outputs:
    """Per sample [n], in nats; shifted by the maximum, so that large logits do not overflow."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    log_normalizer = np.log(np.exp(shifted).sum(axis=1))
    likelihoods: Outputs = log_normalizer - shifted[np.arange(len(targets)), targets]
    return likelihoods
