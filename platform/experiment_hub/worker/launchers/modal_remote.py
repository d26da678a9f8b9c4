"""What runs in Modal's container: the command, its output on the volume, commits while it runs.

Standard library only, and Modal's own client for the volume. Modal may start a call again after its container was lost;
the seconds of all of those starts count against one time-out, so that a call never costs more than was agreed to.
"""

import importlib
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

TICK_S = 0.1
GRACE_S = 10.0


def run(spec: dict[str, Any]) -> str:
    """JSON with `exit_code`, `failure` and `seconds`; a command that fails is a result, so Modal does not try it again."""
    volume = importlib.import_module("modal").Volume.from_name(spec["volume"])
    folder = Path(spec["mount"]) / spec["key"]
    folder.mkdir(parents=True, exist_ok=True)
    used = _used(folder)
    result = _supervise(spec, folder, volume, used)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    volume.commit()
    return json.dumps(result)


def _supervise(spec: dict[str, Any], folder: Path, volume: Any, used: float) -> dict[str, Any]:
    began = committed = time.monotonic()
    failure = None
    with (folder / "output.log").open("ab") as output:
        process = _start(spec, folder, output)
        while process.poll() is None and failure is None:
            time.sleep(TICK_S)
            seconds = used + time.monotonic() - began
            if seconds >= spec["deadline_s"]:
                failure = "time_out"
            elif time.monotonic() - committed >= spec["commit_every_s"]:
                (folder / "seconds").write_text(str(seconds), encoding="utf-8")
                volume.commit()
                committed = time.monotonic()
        _end(process)
    seconds = used + time.monotonic() - began
    (folder / "seconds").write_text(str(seconds), encoding="utf-8")
    return {"exit_code": process.returncode, "failure": failure, "seconds": round(seconds, 3)}


def _start(spec: dict[str, Any], folder: Path, output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        spec["argv"],
        cwd=folder,
        env={**os.environ, **_here(spec, folder)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _here(spec: dict[str, Any], folder: Path) -> dict[str, str]:
    """The job's variables, with the paths that they have in this container."""
    return {
        **spec["environment"],
        "HUB_HOME": str(Path(spec["mount"]) / "home"),
        "HUB_FAILURE_FILE": str(folder / "failure.json"),
        "HUB_HEALTH_FILE": str(folder / "health.json"),
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole process group; one that has ended by itself may have left children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


def _used(folder: Path) -> float:
    """Seconds of earlier starts of the same call."""
    with suppress(OSError, ValueError):
        return float((folder / "seconds").read_text(encoding="utf-8"))
    return 0.0
