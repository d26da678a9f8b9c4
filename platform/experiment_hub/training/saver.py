"""Writes checkpoints behind the back of the loop."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Write = Callable[[], object]


class Saver:
    """One thread; of several writes under one name that wait, only the newest is carried out.

    What a write raised is raised by the next `submit`, or at the end: a full disk must not go unnoticed.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Write] = {}
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self.written = 0

    def submit(self, name: str, write: Write) -> None:
        with self._changed:
            self._raise()
            self._waiting.pop(name, None)
            self._waiting[name] = write  # at the end: what was submitted before is on the disk before
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until everything is on the disk."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._busy))
            self._raise()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Finishes what waits, also when the run has failed: its last good state is worth keeping."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                write = self._waiting.pop(next(iter(self._waiting)))
                self._busy = True
            self._carry_out(write)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _carry_out(self, write: Write) -> None:
        try:
            write()
            self.written += 1
        except Exception as error:  # noqa: BLE001 -- the edge of a thread: whatever it is, the loop raises it
            self._error = error
