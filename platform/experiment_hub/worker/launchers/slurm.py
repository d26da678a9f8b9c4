"""A batch job of Slurm, by submitit; the folder of the home must be on a file system that the nodes share.

What Slurm needs to know goes into `--option slurm.KEY=VALUE` (`partition`, `account`, `qos`, `constraint`, ...).
`slurm.cluster` is `slurm`, or `local` for submitit's own executor, which runs the same job as a process. The command
runs under the same few lines of shell as on one machine: they let one shell of an attempt through, however often it
was submitted, and write down its exit status, so a worker that was killed between `sbatch` and its own record is safe.
"""

import math
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiment_hub.errors import MissingExtraError
from experiment_hub.worker.folders import LOG
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status
from experiment_hub.worker.launchers.supervised import CHUNK_BYTES, SCRIPT, SHELL

MARGIN_S = 120.0
"""Slurm's own limit lies behind the queue's, so that the queue ends a job at its time-out."""
FAILURES = {
    "PREEMPTED": "preempted",
    "NODE_FAIL": "preempted",
    "BOOT_FAIL": "preempted",
    "TIMEOUT": "time_out",
    "DEADLINE": "time_out",
    "OUT_OF_MEMORY": "out_of_memory",
    "CANCELLED": "killed",
    "REVOKED": "killed",
}
UNKNOWN = {"UNKNOWN", "COMPLETED", "FAILED", "INTERRUPTED", "FINISHED"}
"""Slurm has nothing more to say, and our shell has left no exit status: it never ran, or died with its node."""
WAITING = {"PENDING", "CONFIGURING", "READY", "REQUEUED", "RESV_DEL_HOLD"}
TOP = ("cluster",)
MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Slurm:
    name: str = "slurm"
    paid: bool = False
    on_this_machine: bool = False

    def check(self, launch: Launch) -> list[str]:
        if find_spec("submitit") is None:
            raise MissingExtraError("the launcher slurm", "submitit", "slurm")
        settings = launch.resources.get("slurm", {})
        if not isinstance(settings, dict) or settings.get("cluster", "slurm") not in {"slurm", "local"}:
            return ["slurm.cluster: expected slurm or local"]
        return []

    def start(self, launch: Launch) -> Reference:
        folder = launch.folder / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        job = _executor(launch, folder).submit(
            run_under_shell, str(folder), str(launch.working_folder), list(launch.argv), dict(launch.environment)
        )
        return {"folder": str(folder), "id": str(job.job_id), "cluster": _cluster(launch)}

    def poll(self, reference: Reference) -> Status:
        exit_file = Path(reference["folder"]) / "exit"
        state = _job(reference).state.split()[0].rstrip("+") if not exit_file.is_file() else ""
        if exit_file.is_file():  # looked at after the state, because it may have ended in between
            return Status("ended", int(exit_file.read_text(encoding="ascii")))
        if state in FAILURES:
            return Status("ended", None, FAILURES[state], f"Slurm says {state}")
        if state in UNKNOWN and _job(reference).done(force_check=True) and not exit_file.is_file():
            return Status("ended", None, "lost", f"Slurm says {state}, and the command left no exit status")
        return Status("starting" if state in WAITING else "running")

    def stop(self, reference: Reference, *, grace_s: float) -> None:  # noqa: ARG002 -- of the protocol
        """Slurm has a grace of its own (KillWait)."""
        if self.poll(reference).state != "ended":
            _job(reference).cancel()

    def log(self, reference: Reference, offset: int) -> bytes:
        path = Path(reference["folder"]) / LOG
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)


def run_under_shell(folder: str, place: str, argv: list[str], environment: dict[str, str]) -> None:
    """On the node; the shell has written down the exit status, so there is nothing to give back."""
    subprocess.run([SHELL, "-c", SCRIPT, "hub-job", folder, place, *argv], env=environment, check=False)


def _cluster(launch: Launch) -> str:
    return str(launch.resources.get("slurm", {}).get("cluster", "slurm"))


def _executor(launch: Launch, folder: Path) -> Any:
    import submitit

    executor = submitit.AutoExecutor(folder=folder / "submitit", cluster=_cluster(launch))
    executor.update_parameters(**_parameters(launch))
    return executor


def _parameters(launch: Launch) -> dict[str, Any]:
    asked = launch.resources
    own = {key: value for key, value in asked.get("slurm", {}).items() if key not in TOP}
    memory: dict[str, Any] = {"mem_gb": asked["memory_mib"] / MIB_PER_GIB} if asked.get("memory_mib") else {}
    return {
        "name": f"hub-{launch.job_id}-{launch.attempt}",
        "timeout_min": math.ceil((launch.timeout_s + MARGIN_S) / 60),
        "nodes": asked.get("nodes", 1),
        "gpus_per_node": asked.get("gpus", 0),
        "cpus_per_task": max(1, math.ceil(asked.get("cpus", 1))),
        **memory,
        **{f"slurm_{key}": value for key, value in own.items()},
    }


def _job(reference: Reference) -> Any:
    import submitit
    from submitit.local.local import LocalJob

    kind = submitit.SlurmJob if reference["cluster"] == "slurm" else LocalJob
    return kind(Path(reference["folder"]) / "submitit", reference["id"])


LAUNCHER = Slurm()
