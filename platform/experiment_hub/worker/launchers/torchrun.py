"""The command once per process by torchrun, on this machine: `resources.gpus` processes, or as many as the job says.

`--option torchrun.processes=2` sets the number where it is not that of the GPUs. Restarts are the queue's business,
which knows why an attempt failed, so torchrun does none.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from experiment_hub.errors import MissingExtraError
from experiment_hub.worker.launchers import supervised
from experiment_hub.worker.launchers.local import Local, missing
from experiment_hub.worker.launchers.protocol import Launch, Reference


@dataclass(frozen=True)
class Torchrun(Local):
    name: str = "torchrun"

    def check(self, launch: Launch) -> list[str]:
        if find_spec("torch") is None:
            raise MissingExtraError("the launcher torchrun", "torch", "hub")
        return [*missing(launch, launch.argv[0]), *_wrong(launch.resources)]

    def start(self, launch: Launch) -> Reference:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0"]
        return supervised.start(
            launch, [*torchrun, f"--nproc-per-node={_processes(launch.resources)}", "--no-python", *launch.argv]
        )


def _processes(resources: Mapping[str, Any]) -> Any:
    settings = resources.get("torchrun", {})
    return settings.get("processes") or max(1, resources.get("gpus", 0)) if isinstance(settings, dict) else None


def _wrong(resources: Mapping[str, Any]) -> list[str]:
    count = _processes(resources)
    fine = isinstance(count, int) and not isinstance(count, bool) and count >= 1
    return [] if fine else [f"torchrun.processes: expected a number from 1 on, got {count!r}"]


LAUNCHER = Torchrun()
