"""SIGTERM and SIGINT end a run between two steps, with a checkpoint of where it was."""

import os
import signal
import threading
from types import FrameType
from typing import Any

from experiment_hub.errors import RunKilledError
from experiment_hub.training.callbacks.protocol import Callback, Loop

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS = 8.0  # a step that takes longer is given up: whoever sent the signal may soon send SIGKILL


class Stopping(Callback):
    """The first signal waits for the end of the step, a second one, or the end of the grace, does not."""

    def __init__(self) -> None:
        self.signal = 0
        """Number of the one that arrived."""
        self._handlers: dict[signal.Signals, Any] = {}
        self._timer: threading.Timer | None = None

    def start(self, loop: Loop) -> None:
        del loop
        if threading.current_thread() is threading.main_thread():  # elsewhere Python refuses handlers
            self._handlers = {number: signal.signal(number, self._asked) for number in SIGNALS}

    def after_step(self, loop: Loop) -> None:
        if self.signal:
            loop.save()
            raise RunKilledError(self.signal)

    def finish(self, loop: Loop) -> None:
        del loop
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _asked(self, number: int, _: FrameType | None) -> None:
        if self.signal:
            raise RunKilledError(self.signal)
        self.signal = number
        self._timer = threading.Timer(GRACE_SECONDS, os.kill, (os.getpid(), number))
        self._timer.daemon = True
        self._timer.start()
