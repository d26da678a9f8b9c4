"""scikit-learn: any classifier with `predict_proba` or `decision_function`.

Of the `training` section only `epochs` and `batch_size` speak to an estimator, and only where it has `partial_fit`;
otherwise it is fitted once. There are no checkpoints: a run that was stopped is fitted again from the beginning.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.errors import BrokenExtensionError
from experiment_hub.training.runtimes.bridges import estimators
from experiment_hub.training.runtimes.honouring import refuse_unfollowed
from experiment_hub.training.runtimes.measuring import measure_splits
from experiment_hub.training.runtimes.protocol import Blueprint, Hooks, Work

SMALLEST = float(np.finfo(np.float64).eps)  # of a probability before its logarithm, as sklearn.metrics.log_loss clips


class EstimatorRuntime:
    name = "estimator"

    def build(self, work: Work) -> Any:
        """With the run's seed wherever the estimator, or a part of it, asks for a `random_state`."""
        refuse_unfollowed(work)
        estimator = work.blueprint.plugin.build(work.blueprint.config, work.blueprint.spec)
        if not (hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")):
            raise BrokenExtensionError(
                f"model {work.blueprint.plugin.name!r}: {type(estimator).__name__} has neither predict_proba nor "
                "decision_function, so it has no outputs to measure"
            )
        seeds = [name for name in estimator.get_params(deep=True) if name.rpartition("__")[2] == "random_state"]
        return estimator.set_params(**dict.fromkeys(seeds, work.seed))

    def fit(self, work: Work, model: Any, hooks: Hooks) -> dict[str, float]:
        passes = work.training.epochs if hasattr(model, "partial_fit") else 1
        values: dict[str, float] = {}
        for epoch in range(1, passes + 1):
            step = _one_pass(work, model, epoch)
            values = measure_splits(self, work, model, last=epoch == passes)
            hooks.on_epoch(epoch, step, values)
        return values

    def outputs(self, blueprint: Blueprint, model: Any, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Logarithms of probabilities, whose softmax is the probabilities; else the decision function as it is."""
        flat = _rows(inputs)
        if hasattr(model, "predict_proba"):
            known = np.log(np.clip(np.asarray(model.predict_proba(flat), dtype=np.float64), SMALLEST, None))
        else:
            known = _per_class(np.asarray(model.decision_function(flat), dtype=np.float64))
        logits = np.full((len(flat), blueprint.spec.outputs), min(np.log(SMALLEST), known.min(initial=0.0)))
        logits[:, np.asarray(model.classes_, dtype=np.int64)] = known  # a class without training samples stays last
        return logits

    def census(self, model: Any) -> None:  # noqa: ARG002 -- an estimator has no common notion of a parameter
        return None

    def save(self, blueprint: Blueprint, model: Any, folder: Path) -> None:  # noqa: ARG002 -- the estimator says all
        estimators.save(model, folder)

    def load(self, blueprint: Blueprint, folder: Path) -> Any:
        return estimators.load(blueprint, folder)


def _one_pass(work: Work, model: Any, epoch: int) -> int:
    """Fit once, or in shuffled batches that depend on seed and epoch alone; returns the steps done so far."""
    train, size = work.data["train"], work.training.batch_size
    if not hasattr(model, "partial_fit"):
        model.fit(_rows(train.inputs), train.targets)
        return 1
    order = np.random.default_rng([work.seed, epoch]).permutation(len(train.targets))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    classes = np.arange(work.blueprint.spec.outputs)
    for rows in batches:
        model.partial_fit(_rows(train.inputs[rows]), train.targets[rows], classes=classes)
    return epoch * len(batches)


def _rows(inputs: NDArray[Any]) -> NDArray[Any]:
    """[samples, features]: what an estimator takes, whatever the shape of a sample."""
    return inputs.reshape(len(inputs), -1)


def _per_class(decision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two classes share one number: the logit of the second against the first."""
    return np.stack([np.zeros_like(decision), decision], axis=1) if decision.ndim == 1 else decision


RUNTIME = EstimatorRuntime()
