"""What all parts of a worker share: its options, its rooms, the attempts that it looks after."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from experiment_hub.scheduler.claims import Offer
from experiment_hub.worker import machine
from experiment_hub.worker.attempt import Attempt
from experiment_hub.worker.launchers.protocol import Launcher
from experiment_hub.worker.money import Purse


@dataclass(frozen=True, kw_only=True)
class Options:
    capacity: int
    """Jobs at a time."""
    gpus: int
    gpu: str | None
    cpus: float
    memory_mib: int
    labels: tuple[str, ...] = ()
    once: bool = False
    """End when there is nothing left that this worker could do."""
    silence_s: float = 30.0
    """So long a worker may be silent before its jobs are taken over."""
    grace_s: float = 30.0
    """Between asking a command to end and ending it."""
    drain_s: float = 10.0
    """So long a worker that is asked to leave waits for its jobs; then they go on without it."""


@dataclass
class Post:
    home: Path
    engine: Engine
    options: Options
    launchers: Mapping[str, Launcher]
    say: Callable[[str], None]
    worker: str = ""
    attempts: dict[str, Attempt] = field(default_factory=dict)

    @property
    def purse(self) -> Purse:
        return Purse(self.engine, self.home)

    def resources(self) -> dict[str, Any]:
        """For the workers' table."""
        return {
            "home": str(self.home),
            "capacity": self.options.capacity,
            "gpus": self.options.gpus,
            "gpu": self.options.gpu,
            "gpu_ids": machine.gpu_ids(self.options.gpus)[: self.options.gpus],
            "cpus": self.options.cpus,
            "memory_mib": self.options.memory_mib,
            "launchers": sorted(self.launchers),
            "labels": list(self.options.labels),
        }

    def offer(self, *, without: Collection[str] = ()) -> Offer:
        """What is free when these jobs are gone."""
        held = [each for each in self.attempts.values() if each.claim.id not in without]
        here = [each.claim for each in held if each.launcher.on_this_machine]
        used = {gpu for claim in here for gpu in claim.assigned.get("gpus", ())}
        asked = [claim.resources for claim in here]
        return Offer(
            jobs=self.options.capacity - len(held),
            gpus=tuple(gpu for gpu in range(self.options.gpus) if gpu not in used),
            cpus=self.options.cpus - sum(each["cpus"] for each in asked),
            memory_mib=self.options.memory_mib - sum(each["memory_mib"] for each in asked),
            total_gpus=self.options.gpus,
            total_cpus=self.options.cpus,
            total_memory_mib=self.options.memory_mib,
            gpu=self.options.gpu,
            here=tuple(name for name, each in self.launchers.items() if each.on_this_machine),
            elsewhere=tuple(name for name, each in self.launchers.items() if not each.on_this_machine),
            labels=self.options.labels,
        )


def options(*, gpus: int | None = None, gpu: str | None = None, capacity: int | None = None, **more: Any) -> Options:
    """What is not said is what this machine has."""
    found = machine.gpus() if gpus is None else machine.Gpus(gpus, None)
    cores = machine.cpus()
    return Options(
        capacity=cores if capacity is None else capacity,
        gpus=found.count,
        gpu=gpu or found.kind,
        cpus=float(cores),
        memory_mib=machine.memory_mib(),
        **more,
    )
