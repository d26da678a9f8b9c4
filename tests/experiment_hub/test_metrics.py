import math

import numpy as np
import pytest

from experiment_hub.metrics.registry import metric, metrics

OUTPUTS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]))
TARGETS = np.array([0, 1, 0])
MEAN = -(math.log(0.7) + math.log(0.8) + math.log(0.25)) / 3


@pytest.mark.parametrize(("name", "expected"), [("loss", MEAN), ("accuracy", 2 / 3), ("perplexity", math.exp(MEAN))])
def test_values_worked_out_by_hand(name: str, expected: float) -> None:
    assert metric(name).compute(OUTPUTS, TARGETS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", list(metrics()))
def test_every_definition_is_complete_and_deterministic(name: str) -> None:
    definition = metric(name)
    assert definition.version >= 1
    assert definition.direction in {"min", "max"}
    assert all((definition.unit, definition.formula, definition.source, definition.tasks))
    outputs = np.random.Generator(np.random.Philox(key=1)).standard_normal((50, 4))
    targets = np.arange(50) % 4
    assert definition.compute(outputs, targets) == definition.compute(outputs.copy(), targets.copy())


def test_large_logits_do_not_overflow() -> None:
    assert metric("loss").compute(np.array([[1e6, 0.0]]), np.array([0])) == 0.0
    assert metric("loss").compute(np.array([[1e6, 0.0]]), np.array([1])) == 1e6


def test_improvement_follows_the_direction() -> None:
    assert metric("accuracy").improvement(0.5, 0.75) == 0.25
    assert metric("loss").improvement(0.5, 0.75) == -0.25
