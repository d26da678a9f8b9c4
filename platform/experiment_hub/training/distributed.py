"""Several processes, started by torchrun, train one model: each takes its share of every batch, rank 0 records."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as collective
from torch import Tensor, nn

from experiment_hub.configuration.schema import DistributedSection
from experiment_hub.errors import ConfigurationError
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.tasks import Batch

STARTED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Team:
    """Which of how many processes this one is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """This process's rows of a batch, and by how much their mean loss counts in the mean over processes.

        A process without a row computes one that counts nothing: it must take part in the exchange of gradients.
        """
        own = torch.tensor_split(rows, self.size)[self.rank]
        return (own, len(own) * self.size / len(rows)) if len(own) else (rows[:1], 0.0)

    def largest_share(self, rows: Tensor) -> int:
        return -(-len(rows) // self.size)

    def told(self, value: ValueT) -> ValueT:
        """The value of rank 0, everywhere."""
        if self.size == 1:
            return value
        values = [value]
        collective.broadcast_object_list(values)
        return values[0]

    def gathered(self, value: ValueT) -> list[ValueT]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        collective.all_gather_object(values, value)
        return values

    def mean(self, value: Tensor) -> Tensor:
        """Over processes; exchanged where the value is."""
        collective.all_reduce(value)
        return value.div_(self.size)

    def largest(self, *values: int) -> list[int]:
        """Of each value over all processes, by which they agree what to do next."""
        device = "cuda" if collective.get_backend() == "nccl" else "cpu"
        together = torch.tensor(values, dtype=torch.int64, device=device)
        collective.all_reduce(together, op=collective.ReduceOp.MAX)
        return [int(each) for each in together.tolist()]


ALONE = Team()


def check(section: DistributedSection | None, environment: Mapping[str, str]) -> None:
    """The configuration decides, not the environment: raises ConfigurationError where they do not agree."""
    started = all(name in environment for name in STARTED)
    if section is None and started:
        raise ConfigurationError(
            "training.distributed is missing, but torchrun started this process as one of "
            f"{environment['WORLD_SIZE']}: each would train a run of its own; name a strategy or start one process"
        )
    if section is None:
        return
    if not started:
        raise ConfigurationError(
            f"training.distributed: expected {section.processes} processes, this is a single one: start it by "
            f"`torchrun --nproc-per-node {section.processes} -m experiment_hub run ...`"
        )
    if int(environment["WORLD_SIZE"]) != section.processes:
        raise ConfigurationError(
            f"training.distributed.processes is {section.processes}, torchrun started {environment['WORLD_SIZE']}"
        )


@contextmanager
def team(section: DistributedSection | None, device: torch.device) -> Iterator[Team]:
    """Joins the other processes; raises ConfigurationError when configuration and environment do not agree."""
    check(section, os.environ)
    if section is None:
        yield Team()
        return
    if collective.is_initialized():  # the same process has joined them for several runs
        yield current()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    collective.init_process_group(backend, timeout=timedelta(seconds=section.timeout_seconds))
    try:
        yield current()
    finally:
        collective.destroy_process_group()


def current() -> Team:
    if not collective.is_initialized():
        return Team()
    return Team(collective.get_rank(), collective.get_world_size())


def own_device(device: torch.device, team: Team) -> torch.device:
    """On a machine with several accelerators, each process has the one of its local rank."""
    if team.size == 1 or device.type != "cuda":
        return device
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(own)
    return own


class Objective(nn.Module):
    """A plugin's functions as one module, so that whatever part of the model they call is found ready."""

    def __init__(self, plugin: ModelPlugin, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._plugin = plugin

    def forward(self, batch: Batch, function: str) -> Tensor:
        """`function` is loss or outputs."""
        result: Tensor = getattr(self._plugin, function)(self.model, batch)
        return result


@dataclass(frozen=True)
class Shared:
    """A model that several processes train."""

    model: nn.Module
    """Holds the parameters to be optimized."""
    call: Callable[[Batch, str], Tensor]
    unsynchronized: Callable[[], AbstractContextManager[None]]
    """Gradients stay here meanwhile."""


class SharedPlugin:
    """A plugin whose outputs come from the model that the processes share."""

    def __init__(self, plugin: ModelPlugin, shared: Shared) -> None:
        self.name, self.task, self.Config = plugin.name, plugin.task, plugin.Config
        self.build, self.loss = plugin.build, plugin.loss
        self._shared = shared

    def outputs(self, _: nn.Module, batch: Batch) -> Tensor:
        return self._shared.call(batch, "outputs")


def shared(plugin: ModelPlugin, model: nn.Module, strategy: str) -> Shared:
    """The same model in every process (`ddp`), or a part of each parameter in each (`fsdp`)."""
    return _replicated(plugin, model) if strategy == "ddp" else _sharded(plugin, model)


def _replicated(plugin: ModelPlugin, model: nn.Module) -> Shared:
    from torch.nn.parallel import DistributedDataParallel

    wrapped = DistributedDataParallel(Objective(plugin, model))
    return Shared(model, wrapped, wrapped.no_sync)


def _sharded(plugin: ModelPlugin, model: nn.Module) -> Shared:
    import copy

    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = next(model.parameters()).device
    mesh = init_device_mesh(device.type, (collective.get_world_size(),))
    objective = Objective(plugin, copy.deepcopy(model))
    for part in _parts(objective.model):
        fully_shard(part, mesh=mesh)
    whole = fully_shard(objective, mesh=mesh)  # the same object, with more methods

    @contextmanager
    def unsynchronized() -> Iterator[None]:
        whole.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            whole.set_requires_gradient_sync(True)

    return Shared(objective.model, objective, unsynchronized)


def _parts(model: nn.Module) -> list[nn.Module]:
    """What is gathered and freed one after the other: elements of lists and sequences, innermost first."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList | nn.Sequential)]
    parts = dict.fromkeys(part for each in reversed(lists) for part in each)
    return [part for part in parts if any(True for _ in part.parameters())]


def spread(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors, as they stand in a checkpoint, laid out as the parameters of a model are."""
    return {name: laid_out(value, like[name]) for name, value in state.items()}


def laid_out(value: Any, like: Tensor) -> Any:
    if not hasattr(like, "device_mesh") or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)  # noqa: S101 -- only these have a mesh
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
