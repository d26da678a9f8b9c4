"""What a job asks to pay for."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from experiment_hub.canonical import content_hash
from experiment_hub.errors import NotAllowedError
from experiment_hub.metadata.tables import Job

LONGEST_S = 30 * 24 * 3600
"""A time-out is the bound of what a job may cost, so there is one for the time-out."""
MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Request:
    """All that a price depends on; raises NotAllowedError for figures that bound nothing."""

    job_id: str
    project: str
    launcher: str
    timeout_s: float
    """Of one attempt."""
    attempts: int
    """How often it may be started at most."""
    work: str
    """Digest of what runs: an approval is good for this and nothing else."""
    gpu: str | None = None
    gpus: int = 0
    """For each node."""
    nodes: int = 1
    cpus: float = 0.0
    memory_gib: float = 0.0
    storage_gib: float = 0.0
    fan_out: str | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("timeout_s", 1, LONGEST_S),
            ("attempts", 1, 100),
            ("gpus", 0, 1024),
            ("nodes", 1, 1024),
            ("cpus", 0, 4096),
            ("memory_gib", 0, 65536),
            ("storage_gib", 0, 1 << 20),
        ):
            _between(name, getattr(self, name), low, high)
        if self.gpus and not self.gpu:
            raise NotAllowedError("paid compute: gpus without gpu: name its type, such as `gpu: H100`; prices differ")

    def bound(self) -> dict[str, Any]:
        """What an estimate's hash covers; not the job's name, so that a job sent again with equal content has one hash."""
        return {key: value for key, value in asdict(self).items() if key != "job_id"}


def request_for(job: Job, *, attempts: int) -> Request:
    """The request of a job as it stands in the queue."""
    asked = job.resources
    known = {"gpu", "gpus", "nodes", "cpus", "memory_mib", "storage_gib"}
    return Request(
        job_id=job.id,
        project=job.project,
        launcher=job.launcher,
        timeout_s=job.timeout_s,
        attempts=attempts,
        work=content_hash({"payload": job.payload, "launcher": {k: v for k, v in asked.items() if k not in known}}),
        gpu=asked.get("gpu"),
        gpus=asked.get("gpus") or (1 if asked.get("gpu") else 0),
        nodes=asked.get("nodes") or 1,
        cpus=asked.get("cpus") or 0.0,
        memory_gib=(asked.get("memory_mib") or 0) / MIB_PER_GIB,
        storage_gib=asked.get("storage_gib") or 0.0,
        fan_out=job.fan_out,
    )


def _between(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):
        raise NotAllowedError(f"paid compute: {name}: expected a number from {low} to {high}, got {value!r}")
