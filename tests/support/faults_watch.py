"""Tells, within a fraction of a millisecond, that a file was deleted or written: the end of a step of the journal."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DELETED = 0x200
WRITTEN = 0x2
EVENT = struct.Struct("iIII")


class Commits:
    """Counts commits of the databases in a folder: SQLite deletes its rollback journal at each, or writes its log ahead."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.count = 0

    def wait(self, *, until: int, seconds: float) -> bool:
        """Wait for the commit of that number; False when it did not come in time."""
        deadline = time.monotonic() + seconds
        while self.count < until:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                return False
            self._take(os.read(self._descriptor, 1 << 16))
        return True

    def _take(self, data: bytes) -> None:
        while data:
            _, mask, _, length = EVENT.unpack_from(data)
            name = data[EVENT.size : EVENT.size + length].rstrip(b"\0")
            data = data[EVENT.size + length :]
            self.count += (mask & DELETED and name.endswith(b".sqlite-journal")) or name.endswith(b".sqlite-wal")


@contextmanager
def commits(folder: Path) -> Iterator[Commits]:
    """Watch the databases in the folder; Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(folder), DELETED | WRITTEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify", str(folder))
    try:
        yield Commits(descriptor)
    finally:
        os.close(descriptor)
