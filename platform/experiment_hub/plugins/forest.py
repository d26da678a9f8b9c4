"""Random forest by scikit-learn."""

from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, DataSpec


class Forest:
    name = "forest"
    task = CLASSIFICATION
    framework = "estimator"
    requires = ("sklearn", "skops")
    extra = "sklearn"

    class Config(Hyperparameters):
        """Hyperparameters of `model`."""

        trees: PositiveInt
        depth: NonNegativeInt
        """Deepest allowed tree; 0 for no limit."""
        leaf: PositiveInt
        """Samples that a leaf holds at least."""
        features: float = Field(gt=0, le=1)
        """Fraction of the features that a split may choose from."""

    def build(self, config: Config, spec: DataSpec) -> Any:  # noqa: ARG002 -- an estimator learns its shape from the data
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            n_estimators=config.trees,
            max_depth=config.depth or None,
            min_samples_leaf=config.leaf,
            max_features=config.features,
            n_jobs=1,  # threads would sum the votes in another order from run to run
        )


PLUGIN = Forest()
