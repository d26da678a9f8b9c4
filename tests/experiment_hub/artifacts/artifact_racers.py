"""Writers and collectors in processes of their own, forked here so that starting them takes no time.

`python artifact_racers.py HOME race` lets them work until they met often enough; `... HOME kill` kills them at random
moments of their work, again and again. Prints how many contents were stored and removed.
"""

import ctypes
import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.artifacts.retention import collect

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ENOUGH = 20
ROUNDS = 6
LIMIT_SECONDS = 100
WRITERS, COLLECTORS = 3, 2
FORK = multiprocessing.get_context("fork")


Job = Callable[[Path, int, ctypes.c_int], None]


class Racers:
    """Each counts for itself in shared memory without a lock: a lock would die with whoever is killed holding it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._counts = [FORK.RawValue(ctypes.c_int, 0) for _ in range(WRITERS + COLLECTORS)]
        self._running: list[BaseProcess] = []

    @property
    def stored(self) -> int:
        return sum(count.value for count in self._counts[:WRITERS])

    @property
    def removed(self) -> int:
        return sum(count.value for count in self._counts[WRITERS:])

    def start(self, seed: int) -> None:
        work: list[tuple[Job, int]] = [(write, index) for index in range(WRITERS)]
        work += [(clean, index) for index in range(WRITERS, WRITERS + COLLECTORS)]
        self._running = [
            FORK.Process(target=job, args=(self.home, 100 * seed + index, self._counts[index])) for job, index in work
        ]
        for racer in self._running:
            racer.start()

    def wait(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not until():
            if time.monotonic() > end or any(racer.exitcode is not None for racer in self._running):
                self.kill()
                raise SystemExit(f"failed or too slow: stored {self.stored}, removed {self.removed}")
            time.sleep(0.001)

    def kill(self) -> None:
        for racer in self._running:
            racer.kill()
            racer.join()


def write(home: Path, seed: int, stored: ctypes.c_int) -> None:
    """Store one of a few folders under one name, read it back, give the name up, for ever."""
    dice, known = random.Random(seed), catalog(home)
    folders = sorted((home.parent / "made").iterdir())
    while True:
        made = known.log(("run", f"w{seed % 100}"), "model", dice.choice(folders))
        known.verify(made.digest)
        stored.value += 1
        if dice.random() < 0.7:
            known.unlink("run", f"w{seed % 100}", "model")
            time.sleep(dice.uniform(0, 0.02))


def clean(home: Path, _: int, removed: ctypes.c_int) -> None:
    known = catalog(home)
    while True:
        removed.value += collect(known, dry_run=False).removed.count
        time.sleep(0.02)


def main(home: Path, how: str) -> None:
    known, racers, dice = catalog(home), Racers(home), random.Random(7)
    known.log(("user", "me"), "warm", b"warm")
    collect(known, dry_run=False)  # everything is imported now, before the race
    for round_ in range(ROUNDS if how == "kill" else 1):
        racers.start(round_)
        goal = racers.stored + (dice.randrange(1, 6) if how == "kill" else ENOUGH)
        racers.wait(lambda: racers.stored >= goal and (how == "kill" or racers.removed > 0))  # noqa: B023 -- called at once
        time.sleep(dice.uniform(0, 0.03))
        racers.kill()
        for link in known.links():
            known.verify(link.digest)
    sys.stdout.write(f"{racers.stored} {racers.removed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
