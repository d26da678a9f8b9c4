"""What a metric is: a versioned definition with a formula, a unit and a direction."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Outputs = NDArray[np.float64]
Targets = NDArray[np.int64]
Direction = Literal["min", "max"]
Aggregation = Literal["mean", "median", "minimum", "maximum"]
WORDS = ("name", "version", "unit", "direction", "formula", "aggregation", "source")
"""What makes a definition; a change of any of them is another version."""


@dataclass(frozen=True)
class MetricDefinition:
    name: str
    version: int
    """Goes up when the formula changes; figures of two versions are never compared."""
    unit: str
    direction: Direction
    """Whether a smaller (`min`) or a larger (`max`) value is better."""
    formula: str
    source: str
    """Where the definition comes from."""
    tasks: frozenset[str]
    """The kinds of task on which it means something."""
    compute: Callable[[Outputs, Targets], float]
    """Pure function of outputs [n, classes] (logits) and targets [n]; ignored targets are gone already."""

    aggregation: Aggregation = "mean"
    """How the figures of several seeds or groups become one."""

    def words(self) -> dict[str, str | int]:
        return {name: getattr(self, name) for name in WORDS}

    def fingerprint(self) -> str:
        """SHA-256 over the words of the definition; the code behind them is hashed on its own."""
        return hashlib.sha256(json.dumps(self.words(), sort_keys=True).encode()).hexdigest()

    def improvement(self, baseline: float, candidate: float) -> float:
        """Signed gain of the candidate: positive is better whatever the direction."""
        return candidate - baseline if self.direction == "max" else baseline - candidate
