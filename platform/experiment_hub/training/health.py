"""Whether a run is sound, told soon after its start: a finite loss, gradients that flow, a checkpoint on the disk."""

import os
from pathlib import Path
from typing import Any

from experiment_hub.files import write_atomically, write_json
from experiment_hub.training.callbacks.protocol import Callback, Loop
from experiment_hub.training.gradient_check import GradientReport
from experiment_hub.training.saver import Saver

FILE = "health.json"
VARIABLE = "HUB_HEALTH_FILE"


def write(folder: Path, *, gradient_flow: bool, detail: str = "") -> None:
    """Of a run that has got as far as a checkpoint with a loss that is a number."""
    document: dict[str, Any] = {"finite_loss": True, "gradient_flow": gradient_flow, "checkpoint": True}
    write_json(folder / FILE, {**document, "detail": detail})


def conclude(folder: Path) -> None:
    """After the end: a framework that keeps no checkpoints and knows no gradients was sound if it got this far."""
    if not (folder / FILE).exists():
        write(folder, gradient_flow=True, detail="nothing but the end was checked")
    publish(folder)


def publish(folder: Path) -> None:
    """To the file that HUB_HEALTH_FILE names, once there is something to tell."""
    named, source = os.environ.get(VARIABLE), folder / FILE
    if named and source.exists() and not Path(named).exists():
        write_atomically(Path(named), source.read_bytes())


class Health(Callback):
    """Writes `health.json` after the step at which the first checkpoint is known to be on the disk.

    No checkpoint is written before every loss so far was found finite, so that one stands for both.
    """

    def __init__(self, folder: Path, saver: Saver, report: GradientReport) -> None:
        self._folder, self._saver, self._report = folder, saver, report
        self._written = False

    def after_step(self, loop: Loop) -> None:
        del loop
        if not self._written and self._saver.written:
            self.conclude()

    def conclude(self) -> None:
        if not self._written:
            self._written = True
            write(self._folder, gradient_flow=self._report.flows, detail=self._report.sentence())
