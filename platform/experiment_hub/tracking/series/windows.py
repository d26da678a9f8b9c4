"""The pair of files of one writer: room is claimed before it is mapped, so a full disk is an error and never a crash."""

import errno
import mmap
import os
import sys
from pathlib import Path

from experiment_hub.errors import BadInputError, DiskFullError
from experiment_hub.tracking.layout import NO_ROOM
from experiment_hub.tracking.series.layout import NAMES, POINTS

FIRST_BYTES = 64 * 1024
MOST_BYTES = 16 * 1024 * 1024
SPILL_BYTES = 16 * 1024 * 1024
SPILL_STEP = 32 * 1024  # after so many bytes in memory the disk is tried again


class Windows:
    """Windows of growing size onto the points file; while the disk is full, one that lives in memory only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._points = self._names = -1
        self._placed = 0
        """Bytes of the points file that windows so far cover."""
        self._size = 0
        """Of the current window."""
        self._named = 0
        """Bytes of the names file."""
        self._late = b""
        """Lines of names that the disk had no room for."""
        self._spilling = False
        self.map: mmap.mmap | bytearray = bytearray()

    def next(self, used: int) -> tuple[mmap.mmap | bytearray, int, int]:
        """A buffer, the offset of its first free byte and the end of what may be used; raises DiskFullError."""
        try:
            self._settle(used)
            self._enlarge()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise BadInputError(f"{self._folder} cannot be written: {error.strerror}") from error
            return self._spill(used, error)
        return self.map, 0, self._size

    def add_name(self, line: str) -> None:
        """Before any record uses its key."""
        before = self._late
        self._late += f"{line}\n".encode()
        try:
            self._open()
            self._write_names()
        except OSError as error:
            if error.errno not in NO_ROOM:
                self._late = before
                raise BadInputError(f"{self._folder} cannot be written: {error.strerror}") from error

    def sync(self) -> None:
        try:
            self._write_names()
            if isinstance(self.map, mmap.mmap):
                self.map.flush()
            for file in (self._names, self._points):
                if file >= 0:
                    os.fsync(file)
        except OSError as error:
            raise self._no_room(0, error) from error

    def close(self, used: int) -> None:
        """Raises DiskFullError when what waited in memory still has no room."""
        if self._points < 0 and not self._late:
            return
        try:
            self._settle(used)
            self._write_names()
            end = self._placed - (0 if self._spilling else self._size - used)
            os.ftruncate(self._points, end)
        except OSError as error:
            raise self._no_room(used if self._spilling else 0, error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the files without another word in them."""
        for file in (self._names, self._points):
            if file >= 0:
                os.close(file)
        self._points = self._names = -1
        self.map = bytearray()

    def _open(self) -> None:
        """Claim the next free number; two processes that try never get the same one."""
        if self._points >= 0:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max(
            (int(path.stem) for path in self._folder.glob(f"*{POINTS}") if path.stem.isdigit()), default=-1
        )
        while True:
            stem = self._folder / f"{number:04d}"
            try:
                self._points = os.open(f"{stem}{POINTS}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                number += 1
            else:
                break
        self._names = os.open(f"{stem}{NAMES}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _enlarge(self) -> None:
        self._open()
        self._write_names()
        size = min(max(FIRST_BYTES, self._placed), MOST_BYTES)
        _claim(self._points, self._placed, size)
        self.map = mmap.mmap(self._points, size, offset=self._placed)
        self._placed += size
        self._size = size

    def _settle(self, used: int) -> None:
        """Bring what waited in memory to the disk."""
        if not self._spilling:
            return
        self._open()
        self._write_names()
        size = -(-used // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY  # mappings begin at such offsets
        _claim(self._points, self._placed, size)
        with mmap.mmap(self._points, size, offset=self._placed) as target:
            target[:used] = memoryview(self.map)[:used]
        self._placed += size
        self._size = size
        self._spilling = False
        _say(f"{self._folder}: there is room again; all points are on the disk")

    def _spill(self, used: int, error: OSError) -> tuple[mmap.mmap | bytearray, int, int]:
        if not self._spilling:
            self._spilling, used = True, 0
            self.map = bytearray(SPILL_BYTES)
            _say(f"{self._folder}: the disk is full ({error.strerror}); points wait in memory until there is room")
        if used >= SPILL_BYTES:
            raise self._no_room(used, error) from error
        return self.map, used, used + SPILL_STEP

    def _write_names(self) -> None:
        """Whole lines or nothing, so that a key never counts half a line."""
        while self._late:
            written = os.write(self._names, self._late)
            if not self._late[:written].endswith(b"\n"):
                written = self._late.rfind(b"\n", 0, written) + 1
                os.ftruncate(self._names, self._named + written)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._named += written
            self._late = self._late[written:]

    def _no_room(self, waiting: int, error: OSError) -> DiskFullError:
        return DiskFullError(
            f"{self._folder}: {error.strerror}; {waiting // 32} points could not be written, what was logged before is "
            "safe; free some room on the disk"
        )


def _claim(file: int, begin: int, size: int) -> None:
    """Make the file longer with blocks that are really there; a hole would be a crash at the first full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, begin, size)
        return
    zeros = memoryview(bytes(size))  # macOS
    while zeros:
        done = os.pwrite(file, zeros, begin)
        zeros, begin = zeros[done:], begin + done


def _say(message: str) -> None:
    sys.stderr.write(f"hub: {message}\n")
