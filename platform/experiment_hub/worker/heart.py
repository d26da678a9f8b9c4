"""The beat of a worker, in a thread of its own, so that a slow launcher does not look like death."""

import threading
import time
from dataclasses import dataclass, field

from experiment_hub.errors import DatabaseGoneError
from experiment_hub.scheduler import workers
from experiment_hub.scheduler.workers import Standing
from experiment_hub.worker.post import Post

BEAT_S = 1.0
STUCK_S = 600.0
"""A main loop that has not come round for so long does not count as alive."""


@dataclass
class Heart:
    post: Post
    alive: bool = True
    """False once somebody declared this worker gone."""
    _heard: dict[str, Standing] = field(default_factory=dict)
    _last_round: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def round(self) -> dict[str, Standing]:
        """What was heard since the last round of the main loop."""
        self._last_round = time.monotonic()
        heard, self._heard = self._heard, {}
        return heard

    def _run(self) -> None:
        while not self._stop.wait(BEAT_S):
            if time.monotonic() - self._last_round < STUCK_S:
                self._beat()

    def _beat(self) -> None:
        held = list(self.post.attempts.values())
        try:
            seconds = {each.claim.id: each.seconds() for each in held}
            self.alive = workers.beat(self.post.engine, self.post.worker, seconds)
            self._heard = workers.standings(self.post.engine, [each.claim.id for each in held]) if held else {}
        except DatabaseGoneError:
            return  # the main loop says so; the next beat tries again
