"""Eyes on everything that a hostile agent could change: compared before and after."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from hostile_place import Place
    from worktrees.checkout import Checkout

Marks = dict[str, dict[str, object]]
"""What stands, by place and name."""
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/var/spool/cron/crontabs", "/etc/cron.d")
KEYS = 16
_CLOCK = time.time() - time.monotonic()


def marks(place: Place, spec: Checkout) -> Marks:
    git, state = place.repo / ".git", place.repo / ".orchestrate"
    return {
        "outside": prints(place.root / "outside"),
        "the person's home": prints(place.root / "person"),
        "the main checkout": prints(place.repo, leave_out=(git, state)),
        ".git": prints(git),
        "the state": prints(state, leave_out=(state / "logs", state / "checkouts")),
        "another attempt": prints(place.worktrees / ".homes" / "T-0002-1"),
        "the worktrees": _names(place.worktrees),
        "the snapshot": prints(Path(spec.snapshot)) if spec.snapshot else {},
        "the harness's environment": _environment(),
        "a process of the person": victim_marks(place.victim.pid),
        "a service": dict(place.visits),
        "the machine": _machine(place),
    }


def victim_marks(pid: int) -> dict[str, object]:
    place = Path("/proc", str(pid))
    try:
        one = psutil.Process(pid)
        status = (place / "status").read_text()
        kept: dict[str, object] = {name: status.split(f"{name}:")[1].split()[0] for name in ("State", "TracerPid")}
        more = (one.nice(), one.ionice(), one.cpu_affinity(), os.sched_getscheduler(pid))
        return {**kept, "limits": (place / "limits").read_text(), "more": more, "oom": _read(place / "oom_score_adj")}
    except (OSError, psutil.Error, IndexError):
        return {"State": "gone"}


def _names(folder: Path) -> dict[str, object]:
    inner = (path for path in folder.glob("*/*") if path.parent.name.startswith("."))
    return {str(path): "there" for path in (*folder.iterdir(), *inner)}


def _environment() -> dict[str, object]:
    """Look at the interpreter that everybody shares: modes of its folders, names in them."""
    folders = (Path(sys.prefix), Path(sys.executable).parent, Path(sysconfig.get_path("purelib")))
    return {str(one): (_mode(one), sorted(os.listdir(one))) for one in folders if one.is_dir()}  # noqa: PTH208 - names are enough


def _machine(place: Place) -> dict[str, object]:
    found: dict[str, object] = {"host name": socket.gethostname()}
    for folder in map(Path, SHARED):
        with suppress(OSError):
            entries = [entry for entry in folder.iterdir() if place.token in entry.name]
            found |= {str(entry): entry.read_bytes() if entry.is_file() else "there" for entry in entries}
    for kind in ("shm", "sem", "msg"):
        rows = [line.split() for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]]
        found |= {f"{kind} {row[0]}": row[1] for row in rows if 0 <= int(row[0]) - place.shared_key < KEYS}
    queue = ctypes.CDLL("librt.so.1").mq_open(f"/{place.token}".encode(), os.O_RDONLY)
    if queue >= 0:
        os.close(queue)
        found["a message queue"] = "there"
    return {**found, "clock": round((time.time() - time.monotonic() - _CLOCK) / 60)}


def prints(folder: Path, *, leave_out: tuple[Path, ...] = ()) -> dict[str, object]:
    """Describe all that stands there."""
    found: dict[str, object] = {}
    todo = [folder]
    while todo:
        place = todo.pop()
        if place in leave_out:
            continue
        found[str(place)] = _print(place)
        if stat.S_ISDIR(place.lstat().st_mode):
            todo += list(place.iterdir())
    for place in leave_out:  # what is made in there shows in the folder around it
        found.pop(str(place.parent), None)
    return found


def _print(place: Path) -> tuple[int, ...]:
    status = place.lstat()
    # the time of the last change of any kind, which nobody can set back, stands for content and attributes
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_mode, status.st_uid, status.st_gid, status.st_size, *times)


def _mode(path: Path) -> str:
    status = path.lstat()
    return f"{status.st_mode:o} {status.st_uid} {status.st_gid}"


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def settled(before_or_after: Marks) -> Marks:
    """Leave out what the harness itself writes when it captures: objects and its own refs."""
    own = ("/.git/objects", "/refs/orchestrate")
    git = {
        name: value
        for name, value in before_or_after[".git"].items()
        if not any(part in name for part in own) and not name.endswith(("/.git", "/refs"))
    }
    return {**before_or_after, ".git": git, "the state": {}}


def differences(before: Marks, after: Marks) -> list[str]:
    """Say what is not as it was, by place."""
    return [
        f"{place}: {name} {'is new' if name not in old else 'is gone' if name not in after[place] else 'changed'}"
        for place, old in before.items()
        for name in sorted(old.keys() | after[place].keys())
        if old.get(name) != after[place].get(name)
    ]
