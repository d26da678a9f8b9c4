"""Lightning: a LightningModule as it is, trained by Lightning's Trainer.

Steps, losses, optimizers and what is logged are the module's own. The hub gives data, seeds and epochs, measures its
metrics after each epoch and keeps a checkpoint there, at which a stopped run goes on exactly.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.errors import BrokenExtensionError, MissingExtraError
from experiment_hub.plugins.protocol import LIGHTNING
from experiment_hub.training.runtimes import tensors
from experiment_hub.training.runtimes.honouring import refuse_unfollowed
from experiment_hub.training.runtimes.protocol import Blueprint, Census, Hooks, Work
from experiment_hub.training.runtimes.starting import start


class LightningRuntime:
    name = LIGHTNING

    def build(self, work: Work) -> Any:
        _require()
        refuse_unfollowed(work)
        from lightning.pytorch import LightningModule

        model = work.blueprint.plugin.build(work.blueprint.config, work.blueprint.spec)
        if not isinstance(model, LightningModule):
            raise BrokenExtensionError(
                f"model {work.blueprint.plugin.name!r}: build must give a LightningModule, not {type(model).__name__}"
            )
        start(work, model)
        return model.to(work.device)

    def fit(self, work: Work, model: Any, hooks: Hooks) -> dict[str, float]:
        _require()
        from experiment_hub.training.runtimes.bridges import lightning_trainer

        return lightning_trainer.fit(self, work, model, hooks)

    def outputs(self, blueprint: Blueprint, model: Any, inputs: NDArray[Any]) -> NDArray[np.float64]:
        return tensors.outputs(blueprint, model, inputs)

    def census(self, model: Any) -> Census:
        return tensors.count(model)

    def save(self, blueprint: Blueprint, model: Any, folder: Path) -> None:
        tensors.save(blueprint, model, folder)

    def load(self, blueprint: Blueprint, folder: Path) -> Any:
        _require()
        return tensors.load(blueprint.plugin.build(blueprint.config, blueprint.spec), folder)


def _require() -> None:
    try:
        import lightning  # noqa: F401 -- only to see that it is there
    except ImportError as error:
        raise MissingExtraError("training a LightningModule", "lightning", "lightning") from error


RUNTIME = LightningRuntime()
