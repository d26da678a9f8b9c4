"""Writing points: stores into a shared mapping of a file, which stay when the process is killed at any moment."""

import json
import os
import struct
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from experiment_hub.errors import BadInputError
from experiment_hub.tracking.series.layout import RECORD, REWIND
from experiment_hub.tracking.series.windows import Windows

_pack = RECORD.pack_into
_monotonic = time.monotonic
_SIZE = RECORD.size


class SeriesWriter:
    """The points of one process. Threads may share it; a forked child goes on in files of its own.

    While the disk is full, points wait in memory and a line on stderr says so; DiskFullError is raised once they do
    not fit there either, or when `close` still cannot write them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()  # reentrant: a signal handler may log as well
        self._busy = False
        """In the middle of something that a handler must not do a second time; what it logs waits."""
        self._waiting: list[tuple[dict[str, float], int, float]] = []
        self._begin()
        self._clock = time.time() - _monotonic()  # fixed, so that a jump of the clock does not bend the time axis
        _writers.add(self)

    def _begin(self) -> None:
        self._windows = Windows(self._folder)
        self._map = self._windows.map
        self._keys: dict[str, int] = {}
        self._offset = self._end = 0

    def log(self, values: Mapping[str, float], step: int) -> None:
        """One point for each name; when this returns, they survive `kill -9`. Raises BadInputError, DiskFullError."""
        now = self._clock + _monotonic()
        with self._lock:
            if self._busy:
                self._waiting.append((dict(values), step, now))
                return
            for name, value in values.items():
                key = self._keys.get(name) or self._new_key(name)
                while self._offset == self._end:
                    self._grow()
                offset = self._offset
                self._offset = offset + _SIZE  # first, so that a signal handler that logs takes the next place
                try:
                    _pack(self._map, offset, step, now, value, key)
                except (struct.error, TypeError, ValueError, RuntimeError) as error:
                    raise _refusal(name, value, step) from error

    def log_at(self, name: str, value: float, step: int, time: float) -> None:
        """One point of another clock: `time` is in seconds since the epoch."""
        with self._lock:
            before, self._clock = self._clock, time - _monotonic()
            try:
                self.log({name: value}, step)
            finally:
                self._clock = before

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what was logged for later steps so far counts no more, but stays in the files."""
        with self._lock:
            while self._offset == self._end:
                self._grow()
            offset = self._offset
            self._offset = offset + _SIZE
            _pack(self._map, offset, step, self._clock + _monotonic(), 0.0, REWIND)

    def flush(self) -> None:
        """Ask the system to put everything on the disk, against a loss of power; raises DiskFullError."""
        with self._lock, _Alone(self):
            self._windows.sync()

    def close(self) -> None:
        """Give unused room back. Logging afterwards begins new files."""
        with self._lock, _Alone(self):
            try:
                self._windows.close(self._offset)
            finally:
                self._begin()

    def _grow(self) -> None:
        with _Alone(self):
            if self._offset == self._end:  # else a handler was here in the moment before
                self._map, self._offset, self._end = self._windows.next(self._offset)

    def _new_key(self, name: str) -> int:
        if not isinstance(name, str):
            raise BadInputError(f"names of metrics are text, got {type(name).__name__}: {str(name)[:80]!r}")
        with _Alone(self):
            if name not in self._keys:
                self._windows.add_name(json.dumps(name))
                self._keys[name] = len(self._keys) + 1
        return self._keys[name]

    def _after_fork(self) -> None:
        """In the child: the files are the parent's, and its lock may have been held by a thread that is not here."""
        self._windows.abandon()
        self._lock, self._busy, self._waiting = threading.RLock(), False, []
        self._begin()

    def _catch_up(self) -> None:
        """Write what handlers logged meanwhile, with its own time."""
        while self._waiting:
            values, step, time_then = self._waiting.pop(0)
            before, self._clock = self._clock, time_then - _monotonic()
            try:
                self.log(values, step)
            finally:
                self._clock = before


class _Alone:
    """Around what a signal handler that logs must not enter a second time; the lock keeps other threads away."""

    def __init__(self, writer: SeriesWriter) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        self._writer._busy = True  # noqa: SLF001 -- part of it

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._writer._busy = False  # noqa: SLF001 -- part of it
        if kind is None:
            self._writer._catch_up()  # noqa: SLF001 -- part of it


_writers: weakref.WeakSet[SeriesWriter] = weakref.WeakSet()


def _in_child() -> None:
    for writer in list(_writers):
        writer._after_fork()  # noqa: SLF001 -- the hook belongs to the class


os.register_at_fork(after_in_child=_in_child)


def _refusal(name: str, value: object, step: object) -> BadInputError:
    if not hasattr(step, "__index__"):
        return BadInputError(f"metric {name[:80]!r}: a step is a whole number, got {type(step).__name__} {step!r:.80}")
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        what = f"{type(value).__name__} {value!r:.80}"
        return BadInputError(f"metric {name[:80]!r}: a value is one number, got {what}")
    return BadInputError(f"metric {name[:80]!r}: step {step!r:.80} or value {value!r:.80} is not one number that fits")
