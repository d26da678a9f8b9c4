"""The contract of a model plugin; a new model is one new module here with a module-level `PLUGIN`."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import Batch, DataSpec


@runtime_checkable
class ModelPlugin(Protocol):
    @property
    def name(self) -> str:
        """What `model.type` says in a configuration."""

    @property
    def task(self) -> str:
        """Kind of task, see `experiment_hub.tasks`; the dataset must be of the same kind."""

    @property
    def Config(self) -> type[Hyperparameters]:  # noqa: N802 -- plugins nest a class of this name
        """Hyperparameters, all required; the hub passes an instance of it to `build`."""

    def build(self, config: Any, spec: DataSpec) -> nn.Module:
        """A model with freshly drawn weights; the hub has seeded torch before."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean loss over the batch, a scalar that can be differentiated."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [..., spec.outputs] for metrics; leading dimensions as in `batch.targets`."""
