"""Look into a layer from a test: a fresh process mounts it, and the test sees that process's files.

A fork of the test process itself would not do: libraries that other tests imported start threads in every child, and a process
with threads cannot enter a user namespace.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees import overlay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worktrees.layer import Layer

_HOLD = """
import runpy, sys
runpy.run_path(sys.argv[1])["enter"]([sys.argv[2:]])
print("mounted", flush=True)
sys.stdin.read()
"""


@contextmanager
def mounted(layer: Layer) -> Iterator[Path]:
    """Give the folder of the mounted tree, as long as the context lasts."""
    places = [str(place) for place in (layer.lower, layer.upper, layer.work, layer.at, *layer.between)]
    argv = [sys.executable, "-I", "-S", "-c", _HOLD, overlay.__file__, *places]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mounted\n", (
            "the layer could not be mounted; the reason is on the error stream"
        )
        yield Path(f"/proc/{holder.pid}/root{layer.at}")
