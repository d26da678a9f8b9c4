"""The command on a Ray cluster: one detached actor for each attempt, which outlives the worker and is found by its name.

`--option ray.address=...` names the cluster, default `auto`. The nodes need the hub and what the command needs.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiment_hub.errors import HubError, MissingExtraError
from experiment_hub.worker.launchers import supervised
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status

NAMESPACE = "experiment_hub"
ANSWER_S = 60.0


class Host:
    """On a node: the command and what is known about it."""

    def __init__(self, launch: Launch) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"hub-{launch.job_id}-"))
        own = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "CUDA_VISIBLE_DEVICES"}}
        environment = {**launch.environment, **own}  # programs and GPUs are the node's
        place = launch.working_folder if launch.working_folder.is_dir() else folder
        here = Launch(
            launch.job_id, launch.attempt, launch.argv, folder, place, environment, launch.timeout_s, launch.resources
        )
        self._reference = supervised.start(here, here.argv)

    def poll(self) -> Status:
        return supervised.poll(self._reference)

    def stop(self, grace_s: float) -> None:
        supervised.stop(self._reference, grace_s=grace_s)

    def log(self, offset: int) -> bytes:
        return supervised.log(self._reference, offset)


@dataclass(frozen=True)
class Ray:
    name: str = "ray"
    paid: bool = False
    on_this_machine: bool = False

    def check(self, launch: Launch) -> list[str]:
        if find_spec("ray") is None:
            raise MissingExtraError("the launcher ray", "ray", "ray")
        settings = launch.resources.get("ray", {})
        return [] if isinstance(settings, dict) else ["ray: expected settings such as ray.address=auto"]

    def start(self, launch: Launch) -> Reference:
        """By its name: a second call, from whatever worker, finds the first one's actor."""
        address = str(launch.resources.get("ray", {}).get("address", "auto"))
        ray = _connected(address)
        name = f"{launch.job_id}-{launch.attempt}"
        asked = launch.resources
        options = {"num_cpus": asked.get("cpus", 1), "num_gpus": asked.get("gpus", 0), "max_restarts": 0}
        if asked.get("memory_mib"):
            options["memory"] = asked["memory_mib"] << 20
        detached = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
        ray.remote(Host).options(**options, **detached).remote(launch)
        return {"address": address, "name": name}

    def poll(self, reference: Reference) -> Status:
        ray = _connected(reference["address"])
        actor = _actor(ray, reference)
        if actor is None:
            return Status("ended", None, "lost", "its actor is gone from the Ray cluster")
        try:
            return ray.get(actor.poll.remote(), timeout=1.0)  # type: ignore[no-any-return] # Ray's types end here
        except ray.exceptions.GetTimeoutError:
            return Status("starting", detail="waits for room in the Ray cluster")
        except ray.exceptions.RayActorError as error:
            return Status("ended", None, "lost", f"its actor died: {str(error).splitlines()[0]}")

    def stop(self, reference: Reference, *, grace_s: float) -> None:
        """Ends the command, or forgets one that has ended: the actor holds its share of the cluster until then."""
        ray = _connected(reference["address"])
        actor = _actor(ray, reference)
        if actor is None:
            return
        try:
            ended = ray.get(actor.poll.remote(), timeout=1.0).state == "ended"
            if not ended:
                ray.get(actor.stop.remote(grace_s), timeout=grace_s + ANSWER_S)
                return
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            pass  # it never got room, or is dead: nothing runs
        ray.kill(actor)

    def log(self, reference: Reference, offset: int) -> bytes:
        ray = _connected(reference["address"])
        actor = _actor(ray, reference)
        try:
            return b"" if actor is None else ray.get(actor.log.remote(offset), timeout=1.0)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            return b""


def _connected(address: str) -> Any:
    import ray

    if not ray.is_initialized():
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, subprocess.SubprocessError) as error:
            raise HubError(f"no Ray cluster at {address!r}: {error}") from error
    return ray


def _actor(ray: Any, reference: Reference) -> Any:
    try:
        return ray.get_actor(reference["name"], namespace=NAMESPACE)
    except ValueError:  # Ray's way to say that there is none
        return None


LAUNCHER = Ray()
