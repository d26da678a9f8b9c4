"""Making sure that what was written survives a power cut."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sync(folder: Path) -> None:
    """Put everything written so far on the file system of the folder on the disk itself.

    Git with its defaults and one `syncfs` loses nothing at a power cut; `core.fsync=all` does, and is slower:
    git never syncs folders.
    """
    if sys.platform == "linux":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed", str(folder))
        finally:
            os.close(descriptor)
    else:
        os.sync()


def write_durably(target: Path, data: bytes) -> None:
    """Replace the file so that a crash leaves the old content or the new, nothing between."""
    target.parent.mkdir(parents=True, exist_ok=True)
    ready = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    with ready.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    ready.replace(target)
