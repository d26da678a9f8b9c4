"""The contract of a model plugin; a new model is one new module here with a module-level `PLUGIN`.

Around it: the data is whatever dataset has the plugin's `task`; metrics read its outputs; its values and its smoke
settings stand in `configs/NAME.yaml`. These attributes may be left out: `framework` (else `torch`); `requires`, the
modules beyond the hub's own that it needs; `extra`, what to install for them. They are imported inside `build`, so
that plugins can be listed without them.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import Batch, DataSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

TORCH, LIGHTNING = "torch", "lightning"


@runtime_checkable
class Plugin(Protocol):
    """All that every framework needs."""

    @property
    def name(self) -> str:
        """What `model.type` says in a configuration."""

    @property
    def task(self) -> str:
        """Kind of task, see `experiment_hub.tasks`; the dataset must be of the same kind."""

    @property
    def Config(self) -> type[Hyperparameters]:  # noqa: N802 -- plugins nest a class of this name
        """Hyperparameters, all required; the hub passes an instance of it to `build`."""

    def build(self, config: Any, spec: DataSpec) -> Any:
        """An untrained model of the framework; the hub has seeded every generator before."""


@runtime_checkable
class LightningPlugin(Plugin, Protocol):
    """`build` gives a LightningModule, which trains by its own steps and optimizers."""

    def outputs(self, model: Any, batch: Batch) -> "Tensor":
        """Logits [..., spec.outputs] for metrics; leading dimensions as in `batch.targets`."""


@runtime_checkable
class ModelPlugin(Plugin, Protocol):
    """A plugin for PyTorch."""

    def build(self, config: Any, spec: DataSpec) -> "nn.Module":
        """A model with freshly drawn weights."""

    def loss(self, model: "nn.Module", batch: Batch) -> "Tensor":
        """Mean loss over the batch, a scalar that can be differentiated."""

    def outputs(self, model: "nn.Module", batch: Batch) -> "Tensor":
        """Logits [..., spec.outputs] for metrics; leading dimensions as in `batch.targets`."""


@runtime_checkable
class StartsFrom(Protocol):
    """A plugin whose models may begin with weights that somebody trained before."""

    def starts_from(self, config: Any) -> str | None:
        """Run, or digest of a model in the artifact store; None to begin with fresh weights."""

    def start(self, model: Any, state: Mapping[str, "Tensor"]) -> None:
        """Fill them into a model that was just built; raises BadInputError when they do not fit."""


@runtime_checkable
class KeepsMore(Protocol):
    def keep(self, model: Any, folder: Path) -> None:
        """Write further files into the model's folder, beside all weights, which stand there already."""


def framework(plugin: Any) -> str:
    """Name of the runtime that trains it."""
    return str(getattr(plugin, "framework", TORCH))


def contract(plugin: Any) -> type:
    """The protocol that a plugin of its framework must satisfy."""
    return {TORCH: ModelPlugin, LIGHTNING: LightningPlugin}.get(framework(plugin), Plugin)


def missing(plugin: Any) -> Sequence[str]:
    """Libraries that it needs and that are not installed; nothing is imported to find out."""
    return [module for module in getattr(plugin, "requires", ()) if find_spec(module) is None]


def extra(plugin: Any) -> str:
    return str(getattr(plugin, "extra", plugin.name))
