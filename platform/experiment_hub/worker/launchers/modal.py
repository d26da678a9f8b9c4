"""Modal: one detached app for each attempt, its call spawned once and found again by its id."""

import importlib
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import Field, ValidationError

from experiment_hub.errors import MissingExtraError, NotAllowedError
from experiment_hub.files import write_atomically, write_json
from experiment_hub.strict import StrictModel
from experiment_hub.worker.launchers import modal_remote
from experiment_hub.worker.launchers.modal_gpus import misfit
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status

MOUNT = "/hub"
PACKAGE = Path(__file__).parents[2]
CODE = f"/root/{PACKAGE.name}"  # where Modal puts the package that a function comes from
RECORD = "modal.json"
RETRIES = 1  # of Modal's own, for containers that are lost; the command's time-out covers them all
LONGEST_S = 24 * 3600  # of a call, by Modal's documentation
RESERVE_SHARE, RESERVE_S = 0.05, 30.0  # of the time-out, for the last commit
LEAST_CPUS, LEAST_MIB = 0.125, 128
FROM_THE_WORKER = ("PATH", "HOME", "TMPDIR", "USER", "LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")
"""Variables that mean something on the worker's machine only."""
BROUGHT_BACK = ("health.json", "failure.json")


class Container(StrictModel):
    """What a job says under `modal` in its resources."""

    packages: list[str] = Field(
        default_factory=lambda: [
            "torch>=2.7",
            "numpy",
            "pydantic",
            "pyyaml",
            "sqlalchemy",
            "alembic",
            "typer",
            "psutil",
        ]
    )
    """For pip in the image."""
    index: str | None = "https://download.pytorch.org/whl/cu128"
    """Where pip looks as well; it decides for which CUDA torch was built."""
    cuda: str = "12.8"
    """CUDA that torch was built for; compared with the GPU before anything is paid."""
    volume: str = "experiment-hub"
    commit_every_s: float = Field(default=15.0, gt=0, le=60)
    secrets: list[str] = Field(default_factory=list)
    """Names of secrets that Modal keeps."""


class Modal:
    name = "modal"
    paid = True
    on_this_machine = False

    def check(self, launch: Launch) -> list[str]:
        """GPU against torch's build, time-out, nodes, and calls of the same job that still run; also notes all running apps."""
        try:
            container = _container(launch.resources)
        except NotAllowedError as error:
            return [str(error)]
        apps = sorted(app.description or app.app_id for app in _apps(_modal()))
        launch.folder.mkdir(parents=True, exist_ok=True)
        write_json(launch.folder / "modal-apps.json", apps)
        return [*_impossible(launch, container), *_duplicates(launch, apps)]

    def start(self, launch: Launch) -> Reference:
        record = launch.folder / RECORD
        if record.exists():
            known: Reference = json.loads(record.read_text(encoding="utf-8"))
            return known
        modal = _modal()
        for app in _apps(modal):  # a worker was killed after it had spawned the call and before it knew its id
            if app.description == _app_name(launch):
                app.stop()
        container = _container(launch.resources)
        app = modal.App(_app_name(launch))
        function = app.function(**_options(modal, launch, container))(modal_remote.run)
        with app.run(detach=True):
            call = function.spawn(_spec(launch, container))
            reference = _reference(launch, container, call.object_id, str(app.app_id))
            write_json(record, reference)  # before the client says goodbye, which may fail
        return reference

    def poll(self, reference: Reference) -> Status:
        modal = _modal()
        _bring_back(modal, reference)
        try:
            result = json.loads(modal.FunctionCall.from_id(reference["call"]).get(timeout=0))
        except modal.exception.ConnectionError as error:
            return Status("running", detail=f"Modal cannot be reached: {error}")
        except modal.exception.Error as error:
            return _without_result(modal, reference, error)
        except TimeoutError:
            return Status("running", billed_seconds=max(0.0, time.time() - reference["started"]))
        seconds = float(result["seconds"])
        return Status(
            "ended",
            exit_code=result["exit_code"],
            failure=result["failure"],
            billed_seconds=seconds,
            elapsed_seconds=seconds,
        )

    def stop(self, reference: Reference, *, grace_s: float) -> None:  # noqa: ARG002 -- Modal has a grace of its own
        modal = _modal()
        try:
            modal.FunctionCall.from_id(reference["call"]).cancel(terminate_containers=True)
        except modal.exception.NotFoundError:
            return

    def log(self, reference: Reference, offset: int) -> bytes:
        return (_read(_modal(), reference, "output.log") or b"")[offset:]


def _without_result(modal: ModuleType, reference: Reference, error: Exception) -> Status:
    """A call that came to an end in another way than by its own answer."""
    if isinstance(error, modal.exception.FunctionTimeoutError):
        return Status("ended", failure="time_out", billed_seconds=float(reference["timeout_s"]))
    if isinstance(error, modal.exception.InternalFailure):
        return Status("ended", failure="preempted", detail=f"Modal lost its container: {error}")
    if isinstance(error, modal.exception.OutputExpiredError | modal.exception.NotFoundError):
        return Status("ended", failure="lost", detail="Modal does not know this call any more")
    return Status("ended", failure="lost", detail=f"Modal ended the call: {error}")


def _modal() -> ModuleType:
    try:
        return importlib.import_module("modal")
    except ImportError as error:
        raise MissingExtraError("launcher modal", "modal", "modal") from error


def _container(resources: Mapping[str, Any]) -> Container:
    try:
        return Container.model_validate_json(json.dumps(resources.get("modal", {})))
    except ValidationError as error:
        first = error.errors()[0]
        raise NotAllowedError(f"modal: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _apps(modal: ModuleType) -> list[Any]:
    """Everything that runs in the environment, whoever started it."""
    return list(modal.Environment.from_context().apps.list())


def _app_name(launch: Launch) -> str:
    return f"hub-{launch.job_id}-{launch.attempt}"


def _impossible(launch: Launch, container: Container) -> list[str]:
    found = []
    if launch.timeout_s > LONGEST_S:
        found.append(f"Modal ends a call after {LONGEST_S} s, the time-out is {launch.timeout_s:g} s")
    if launch.resources.get("nodes", 1) > 1:
        found.append("the launcher modal starts one container; several nodes are not possible")
    gpu = launch.resources.get("gpu")
    if gpu and (objection := misfit(str(gpu), container.cuda)):
        found.append(objection)
    return found


def _duplicates(launch: Launch, apps: list[str]) -> list[str]:
    mine = [name for name in apps if name.startswith(f"hub-{launch.job_id}-") and name != _app_name(launch)]
    return [f"app {name}, an attempt of the same job, still runs on Modal" for name in mine]


def _options(modal: ModuleType, launch: Launch, container: Container) -> dict[str, Any]:
    """Limits equal what was asked for: Modal bills what is used, and what is used must be what was estimated."""
    asked = launch.resources
    cpus = max(float(asked.get("cpus") or 0), LEAST_CPUS)
    memory = max(int(asked.get("memory_mib") or 0), LEAST_MIB)
    gpu = f"{asked['gpu']}:{asked.get('gpus') or 1}" if asked.get("gpu") else None
    return {
        "image": _image(modal, container),
        "gpu": gpu,
        "cpu": (cpus, cpus),
        "memory": (memory, memory),
        "timeout": max(1, math.ceil(launch.timeout_s)),
        "retries": RETRIES,
        "volumes": {MOUNT: modal.Volume.from_name(container.volume, create_if_missing=True)},
        "secrets": [modal.Secret.from_name(name) for name in container.secrets],
        "max_containers": 1,
        "single_use_containers": True,
        "_experimental_restrict_output": True,  # the answer comes as CBOR: no pickle from outside is ever loaded
    }


def _image(modal: ModuleType, container: Container) -> Any:
    """The worker's Python version, because the call's argument was pickled by it; Modal itself adds the hub's modules."""
    image = modal.Image.debian_slim(python_version=f"{sys.version_info.major}.{sys.version_info.minor}")
    if container.packages:
        image = image.pip_install(*container.packages, extra_index_url=container.index)
    return image.add_local_dir(PACKAGE / "configs", f"{CODE}/configs")


def _spec(launch: Launch, container: Container) -> dict[str, Any]:
    python = "python" if launch.argv[0] == sys.executable else launch.argv[0]
    return {
        "argv": [python, *launch.argv[1:]],
        "environment": {name: text for name, text in launch.environment.items() if name not in FROM_THE_WORKER},
        "volume": container.volume,
        "mount": MOUNT,
        "key": _key(launch),
        "deadline_s": launch.timeout_s - min(RESERVE_S, launch.timeout_s * RESERVE_SHARE),
        "commit_every_s": container.commit_every_s,
    }


def _key(launch: Launch) -> str:
    return f"jobs/{launch.job_id}/{launch.attempt}"


def _reference(launch: Launch, container: Container, call: str, app: str) -> Reference:
    return {
        "attempt": launch.attempt,
        "call": call,
        "app": app,
        "volume": container.volume,
        "key": _key(launch),
        "folder": str(launch.folder),
        "timeout_s": launch.timeout_s,
        "started": time.time(),
    }


def _bring_back(modal: ModuleType, reference: Reference) -> None:
    """What the queue looks at while and after a job runs, as far as it has been committed."""
    folder = Path(reference["folder"])
    for name in BROUGHT_BACK:
        content = _read(modal, reference, name)
        if content is not None and folder.is_dir():
            write_atomically(folder / name, content)


def _read(modal: ModuleType, reference: Reference, name: str) -> bytes | None:
    try:
        return b"".join(modal.Volume.from_name(reference["volume"]).read_file(f"{reference['key']}/{name}"))
    except (FileNotFoundError, modal.exception.NotFoundError, modal.exception.ConnectionError):
        return None


LAUNCHER = Modal()
