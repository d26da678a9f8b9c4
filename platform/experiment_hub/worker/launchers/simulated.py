"""A paid provider that takes no money: prices, delays, preemption, faults and bills, for tests and demonstrations."""

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from experiment_hub.errors import NotAllowedError
from experiment_hub.files import write_json
from experiment_hub.strict import StrictModel
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status

MACHINE = Path(__file__).with_name("simulated_provider.py")


class Fault(StrictModel):
    kind: Literal["refuse", "preempt", "lose"]
    """No machine is free; the machine is taken away; the provider forgets the call."""
    attempt: int = Field(default=1, ge=1)
    after_s: float = Field(default=0.0, ge=0)
    """Simulated seconds after the start."""


class Provider(StrictModel):
    """What a job says under `simulated` in its resources."""

    speed: float = Field(default=1.0, gt=0, le=100_000)
    """Simulated seconds in a real one: an hour of a demonstration need not last an hour."""
    start_delay_s: float = Field(default=0.0, ge=0)
    preempt_per_hour: float = Field(default=0.0, ge=0)
    """Mean number of preemptions in a simulated hour, at random but the same for one seed, job and attempt."""
    seed: int = 0
    faults: list[Fault] = Field(default_factory=list)
    invoice_delay_s: float = Field(default=0.0, ge=0)
    """Real seconds until the provider knows the bill of a call that it lost."""


class Simulated:
    name = "simulated"
    paid = True
    on_this_machine = False

    def check(self, launch: Launch) -> list[str]:
        """Broken settings, and calls of the same job that still run."""
        try:
            _provider(launch.resources)
        except NotAllowedError as error:
            return [str(error)]
        mine = _calls(launch).glob(f"{launch.job_id}-*/call.json")
        others = [path.parent for path in mine if path.parent.name != _key(launch)]
        return [
            f"call {other.name} of the same job still runs at the simulated provider"
            for other in others
            if self.poll({"folder": str(other), "invoice_delay_s": 0.0}).state != "ended"
        ]

    def start(self, launch: Launch) -> Reference:
        provider = _provider(launch.resources)
        folder = _calls(launch) / _key(launch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "call.json").exists():
            write_json(folder / "call.json", _call(launch, provider))
        subprocess.run(
            [sys.executable, "-I", str(MACHINE), str(folder)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        return {"attempt": launch.attempt, "folder": str(folder), "invoice_delay_s": provider.invoice_delay_s}

    def poll(self, reference: Reference) -> Status:
        folder = Path(reference["folder"])
        alive = _served(folder)  # before the status, or else a call that ends in between looks lost
        status = _json(folder / "status.json")
        if status is None:
            return Status("starting") if alive else Status("ended", failure="lost", detail="no machine ever served it")
        if status["state"] != "ended" and alive:
            seconds = status["billed_seconds"]
            return Status(status["state"], billed_seconds=seconds, elapsed_seconds=seconds)
        if status["state"] != "ended":
            status = {**status, "failure": "lost", "detail": "its machine is gone"}
        return _ended(status, reference)

    def stop(self, reference: Reference, *, grace_s: float) -> None:
        folder = Path(reference["folder"])
        if folder.is_dir() and self.poll(reference).state != "ended":
            write_json(folder / "stop.json", {"grace_s": grace_s})

    def log(self, reference: Reference, offset: int) -> bytes:
        try:
            with (Path(reference["folder"]) / "output.log").open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""


def _provider(resources: Mapping[str, Any]) -> Provider:
    try:
        return Provider.model_validate_json(json.dumps(resources.get("simulated", {})))
    except ValidationError as error:
        first = error.errors()[0]
        raise NotAllowedError(f"simulated: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _calls(launch: Launch) -> Path:
    """The provider's own disk; all workers of a home see it, as they would see a provider."""
    return Path(launch.environment.get("HUB_HOME", launch.folder)).absolute() / "simulated" / "calls"


def _key(launch: Launch) -> str:
    return f"{launch.job_id}-{launch.attempt}"


def _call(launch: Launch, provider: Provider) -> dict[str, Any]:
    return {
        **provider.model_dump(exclude={"invoice_delay_s"}),
        "key": _key(launch),
        "attempt": launch.attempt,
        "argv": list(launch.argv),
        "working_folder": str(launch.working_folder),
        "environment": dict(launch.environment),
        "timeout_s": launch.timeout_s,
    }


def _served(folder: Path) -> bool:
    """Whether a machine holds the call's lock."""
    try:
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _ended(status: dict[str, Any], reference: Reference) -> Status:
    known = status.get("failure") != "lost" or time.time() - status["at"] >= reference["invoice_delay_s"]
    return Status(
        "ended",
        exit_code=status.get("exit_code"),
        failure=status.get("failure"),
        detail=status.get("detail", ""),
        billed_seconds=status["billed_seconds"] if known else None,
        elapsed_seconds=status["billed_seconds"],
    )


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


LAUNCHER = Simulated()
