"""The command that an agent's client starts before a tool call: the quick client where a compiler is there, else Python's."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
from importlib import resources
from typing import TYPE_CHECKING

from worktrees.confinement import Confinement
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from pathlib import Path

_COMPILATIONS: tuple[tuple[str, ...], ...] = (
    ("-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie", "-DBARE"),
    ("-O2", "-static"),
    ("-O2",),
)
"""The one that starts soonest first; not every compiler and processor can have it."""
_LONGEST_COMPILATION_S = 60.0
_MAKING = threading.Lock()


def client_command(folder: Path, *, http: bool = False) -> list[str]:
    """Give the command of a client below `folder`, which must be readable for the agent; made at the first call.

    `http`: for places where the agent may open no unix socket.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _MAKING:  # attempts start side by side
        compiled = None if http else _compiled(folder)
        if compiled:
            return [str(compiled)]
        script = folder / "guard.py"
        _put(script, _source("guard.py"))
        return [sys.executable, "-I", "-S", str(script)]


def _compiled(folder: Path) -> Path | None:
    compiler = shutil.which("cc")
    if not compiler or sys.platform != "linux":
        return None
    source = _source("guard.c")
    target = folder / f"guard-{hashlib.sha256(source).hexdigest()[:16]}"
    made = target.is_file() or any(_compile(compiler, flags, source, target) for flags in _COMPILATIONS)
    return target if made else None


def _compile(compiler: str, flags: tuple[str, ...], source: bytes, target: Path) -> bool:
    code, made = target.with_suffix(f".{os.getpid()}.c"), target.with_suffix(f".{os.getpid()}")
    code.write_bytes(source)
    launch = Launch(
        command=[compiler, *flags, "-o", str(made), str(code)],
        cwd=target.parent,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        confinement=Confinement(level="none", write=(target.parent,)),
    )
    receipt = run(launch, log=target.with_suffix(".log"), bounds=Bounds(timeout_s=_LONGEST_COMPILATION_S))
    code.unlink()
    if receipt.exit != 0:
        return False
    made.replace(target)
    return True


def _source(name: str) -> bytes:
    return resources.files("orchestrator").joinpath(name).read_bytes()


def _put(file: Path, data: bytes) -> None:
    made = file.with_suffix(f".{os.getpid()}")
    made.write_bytes(data)
    made.replace(file)
