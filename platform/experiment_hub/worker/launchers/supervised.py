"""A process of this machine under a shell of a few lines that outlives the worker and writes down how it ended.

The folder is the whole truth: `pid` is created once, by the one shell that won, and `exit` holds the exit status. A
worker that comes back finds both; the shell is told from a later process of the same number by its start and its boot.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from experiment_hub.errors import HubError
from experiment_hub.worker import machine
from experiment_hub.worker.folders import LOG
from experiment_hub.worker.launchers.protocol import Launch, Reference, Status

SHELL = "/bin/sh"
SCRIPT = """\
folder=$1; place=$2; shift 2
set -C
{ echo $$ >"$folder/pid"; } 2>/dev/null || exit 0
set +C
trap : TERM INT HUP
exec </dev/null >>"$folder/output.log" 2>&1
if cd "$place"; then "$@"; code=$?; else code=126; fi
echo "$code" >"$folder/exit.part" && mv "$folder/exit.part" "$folder/exit"
"""
APPEAR_S = 30.0
ENDING_S = 0.1
"""From writing down the exit status to the shell's own end."""
CHUNK_BYTES = 1 << 20
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Shells that this process started, so that they are reaped."""


def start(launch: Launch, argv: Sequence[str]) -> Reference:
    """Start once: a second call, from whatever process, finds the first one's shell."""
    for known in list(_children):
        _reap(known)
    launch.folder.mkdir(parents=True, exist_ok=True)
    if _pid(launch.folder) is None:
        command = [SHELL, "-c", SCRIPT, "hub-job", str(launch.folder), str(launch.working_folder), *argv]
        child = subprocess.Popen(
            command,
            env=dict(launch.environment),
            cwd=launch.folder,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _children[child.pid] = child
    pid = _wait_for_pid(launch.folder)
    place = {"folder": str(launch.folder), "host": machine.host(), "boot": machine.boot()}
    return {**place, "pid": pid, "started": _birth_of_shell(pid, launch.folder)}


def poll(reference: Reference) -> Status:
    status = _exit_status(reference)
    if status is None and not _alive(reference):
        status = _exit_status(reference)  # it may have ended between the two looks
        if status is None:
            _end_orphans(reference)
            return Status("ended", None, "lost", "its supervising shell is gone and left no exit status")
    if status is None:
        return Status("running", elapsed_seconds=machine.age_s(reference["started"]))
    _reap(reference["pid"], wait_s=ENDING_S)
    return Status("ended", status)


def stop(reference: Reference, *, grace_s: float) -> None:
    """SIGTERM for all of its session; SIGKILL after the grace for all but the shell, which writes down the end."""
    if not _alive(reference):
        return
    _end_session(reference, signal.SIGTERM)
    until = time.monotonic() + grace_s
    while time.monotonic() < until:
        if poll(reference).state == "ended":
            return
        time.sleep(0.02)
    while _alive(reference) and _end_session(reference, signal.SIGKILL):
        time.sleep(0.02)


def log(reference: Reference, offset: int) -> bytes:
    path = Path(reference["folder"]) / LOG
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)


def _pid(folder: Path) -> int | None:
    """None while nobody has started this attempt; 0 while the number is being written."""
    try:
        text = (folder / "pid").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else 0


def _wait_for_pid(folder: Path) -> int:
    until = time.monotonic() + APPEAR_S
    while time.monotonic() < until:
        if pid := _pid(folder):
            return pid
        time.sleep(0.0005)
    raise HubError(
        f"{folder}: no process appeared within {APPEAR_S:.0f} s; is the disk full, or the machine overloaded?"
    )


def _birth_of_shell(pid: int, folder: Path) -> float:
    """-1 when it has ended; a process that took over its number does not have the folder among its arguments."""
    started = machine.birth(pid)
    try:
        ours = started is not None and str(folder) in psutil.Process(pid).cmdline()
    except psutil.Error:
        ours = False
    return started if started is not None and ours else -1.0


def _exit_status(reference: Reference) -> int | None:
    try:
        return int((Path(reference["folder"]) / "exit").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _alive(reference: Reference) -> bool:
    _reap(reference["pid"])
    same_system = (reference["host"], reference["boot"]) == (machine.host(), machine.boot())
    return same_system and machine.birth(reference["pid"]) == reference["started"]


def _reap(pid: int, *, wait_s: float = 0.0) -> None:
    child = _children.get(pid)
    if child is None:
        return
    try:
        child.wait(timeout=wait_s)
    except subprocess.TimeoutExpired:
        return
    _children.pop(pid, None)


def _end_orphans(reference: Reference) -> None:
    """What a killed shell left running; its number is not given away as long as its session has members."""
    same_system = (reference["host"], reference["boot"]) == (machine.host(), machine.boot())
    if same_system and machine.birth(reference["pid"]) is None:
        _end_session(reference, signal.SIGKILL)


def _end_session(reference: Reference, number: signal.Signals) -> bool:
    """Signal everything in the shell's session but the shell itself; tells whether there was anything."""
    members = [pid for pid in psutil.pids() if pid != reference["pid"] and _session(pid) == reference["pid"]]
    for pid in members:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return bool(members)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
