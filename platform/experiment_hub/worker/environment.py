"""Everything that a job's command finds when it starts: folder, files, variables."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiment_hub.files import write_atomically
from experiment_hub.scheduler.claims import Claim
from experiment_hub.worker import machine
from experiment_hub.worker.folders import FAILURE, HEALTH, attempt_folder
from experiment_hub.worker.launchers.protocol import Launch

INHERITED = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LD_LIBRARY_PATH", "PYTHONPATH")
"""Beside PATH; anything else a job says itself, so that a worker's own settings do not leak into results."""


def prepare(claim: Claim, home: Path) -> Launch:
    """What the launcher gets; nothing is written yet."""
    folder = attempt_folder(home, claim.id, claim.attempt)
    return Launch(
        job_id=claim.id,
        attempt=claim.attempt,
        argv=_argv(claim),
        folder=folder,
        working_folder=Path(claim.payload["folder"] or folder),
        environment=_environment(claim, home, folder),
        timeout_s=claim.timeout_s,
        resources=claim.resources,
    )


def lay_out(claim: Claim, launch: Launch) -> None:
    """The attempt's folder with the job's files; again after a crash, with the same content."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    for name, text in claim.payload["files"].items():
        write_atomically(launch.folder / name, text.encode())


def _argv(claim: Claim) -> tuple[str, ...]:
    again = claim.payload["again"]
    if claim.attempt > 1 and again and claim.run_ids:
        return tuple(each.replace("{run}", claim.run_ids[-1]) for each in again)
    return tuple(claim.payload["argv"])


def _environment(claim: Claim, home: Path, folder: Path) -> Mapping[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"  # so that `hub` is this hub
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": ",".join(_gpus(claim.assigned)),
        **claim.payload["environment"],
        "HUB_HOME": str(home),
        "HUB_JOB": claim.id,
        "HUB_ATTEMPT": str(claim.attempt),
        "HUB_FAILURE_FILE": str(folder / FAILURE),
        "HUB_HEALTH_FILE": str(folder / HEALTH),
        "HUB_LEASES": json.dumps(claim.assigned.get("leases", {})),
    }


def _gpus(assigned: Mapping[str, Any]) -> list[str]:
    """By the names that this worker itself was given, if it was given some."""
    indexes = assigned.get("gpus", ())
    names = machine.gpu_ids(max(indexes, default=-1) + 1)
    return [names[index] for index in indexes if index < len(names)]
