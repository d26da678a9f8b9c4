"""Ending what is under way when nobody needs its answer any more."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tickets.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancellation:
    """A switch that any thread may set, once and for all."""

    def __init__(self) -> None:
        self._set = False
        self._lock = threading.Lock()
        self._ends: list[Callable[[], None]] = []

    def set(self) -> None:
        """End what is under way, and let nothing more begin."""
        with self._lock:
            self._set = True
            for end in self._ends:
                end()

    def is_set(self) -> bool:
        return self._set

    def check(self) -> None:
        """Raise CancelledError once it is set."""
        if self._set:
            raise CancelledError("stopped: its answer is not needed any more")

    @contextlib.contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called if the switch is set while the block runs, or is set already; raise CancelledError then."""
        with self._lock:
            self._ends.append(end)
            if self._set:
                end()
        try:
            yield
        finally:
            with self._lock:  # nobody is in the middle of ending it once the block is left
                self._ends.remove(end)
        self.check()
