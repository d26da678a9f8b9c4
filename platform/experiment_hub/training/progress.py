"""Tells people how far a run is: a line when something happened, and one when nothing did for a while."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

SECONDS = 5.0  # between two lines about epochs
SILENCE_SECONDS = 30.0  # after which a line says that the run is still there
TICK_SECONDS = 1.0
BAR = 24  # characters
Say = Callable[[str], None]


class Reporter:
    """A context manager; a thread of its own speaks while a step or an epoch takes long."""

    def __init__(self, run_id: str, epochs: int, say: Say, tick: Callable[[], None]) -> None:
        self._run_id, self._epochs, self._say, self._tick = run_id, epochs, say, tick
        """`tick` is called about once a second, from the thread."""
        self._epoch = self.step = 0
        self._figures: Mapping[str, float] = {}
        self._spoke = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def on_epoch(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        self._epoch, self.step, self._figures = epoch, step, values
        if time.monotonic() - self._spoke >= SECONDS:
            self._speak()

    def _watch(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._tick()
            if time.monotonic() - self._spoke >= SILENCE_SECONDS:
                self._speak()

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        done = BAR * self._epoch // max(1, self._epochs)
        bar = f"[{'#' * done}{'.' * (BAR - done)}]"
        place = f"epoch {self._epoch} of {self._epochs}, step {self.step}"
        self._say(", ".join([f"{self._run_id}: {bar} {place}", *shown(self._figures)]))


def shown(values: Mapping[str, float]) -> list[str]:
    return [f"{name} {value:.4g}" for name, value in values.items()]
