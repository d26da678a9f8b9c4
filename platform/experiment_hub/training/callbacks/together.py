"""Processes that train one model keep checkpoints and stop at the same step: both take all of them."""

from experiment_hub.errors import RunKilledError
from experiment_hub.training.callbacks.protocol import Callback, Loop
from experiment_hub.training.callbacks.saving import Saving
from experiment_hub.training.callbacks.stopping import Stopping

ACCELERATOR_STEPS = 16  # an accelerator waits for every agreement


class Together(Callback):
    def __init__(self, saving: Saving, stopping: Stopping) -> None:
        self._saving, self._stopping = saving, stopping
        self._due = False

    def start(self, loop: Loop) -> None:
        self._saving.start(loop)
        self._stopping.start(loop)

    def after_step(self, loop: Loop) -> None:
        self._due = self._due or self._saving.due(loop)
        if not loop.loss.is_cpu and loop.position.step % ACCELERATOR_STEPS:
            return
        due, number = loop.plan.team.largest(int(self._due), self._stopping.signal)
        if due or number:
            loop.save()
            self._saving.done()
            self._due = False
        if number:
            raise RunKilledError(number)

    def finish(self, loop: Loop) -> None:
        self._stopping.finish(loop)
