"""One round: a place, processes of the command line on it, the end of the run, and the verdict."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults_invariants import Scene, violations
from faults_place import Wish, place_in
from faults_starter import Surroundings
from faults_witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults_place import Place
    from faults_starter import Started, Starter

PATIENCE_S = 120.0
"""A run that takes longer hangs: that is a violation, not a slow machine."""
LINGER_S = 15.0
MEMORY, ENOUGH = Path("/dev/shm"), 3 << 30
DEFECT = 70


@dataclass(kw_only=True)
class Tally:
    """What a kind of fault came to."""

    kind: str
    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """How many of what were inflicted."""
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.rounds += other.rounds
        self.faults += other.faults
        self.violations += other.violations
        self.seconds += other.seconds


@dataclass(kw_only=True)
class Round:
    """A place under attack."""

    place: Place
    starter: Starter
    witness: Witness
    dice: random.Random
    tally: Tally
    seed: int

    under: tuple[str, ...] = ()
    """A program that runs the command line from now on."""

    def start(self, *arguments: str) -> Started:
        demo, outputs = self.place.demo, self.place.folder / "said"
        return self.starter.start(
            *arguments, scene=Surroundings(cwd=demo.root, env=demo.environment, outputs=outputs, under=self.under)
        )

    def begin(self) -> Started:
        """Ask for the feature."""
        return self.start("feature", "everything", "--json")

    def broken(self, said: str) -> None:
        self.tally.violations.append(f"{self.tally.kind}, seed {self.seed}: {said}")

    def end(self, started: Started, *, seconds: float = PATIENCE_S) -> int | None:
        """Wait for the end of a process; what never ends, or ends as a defect, breaks a promise."""
        code = self.starter.wait(started, seconds=seconds)
        self.witness.look()
        if code is None:
            self.broken(f"`{started.out}` did not end within {seconds:.0f} s: {started.said()[-600:]}")
            self.starter.sweep()
        if code == DEFECT:
            self.broken(f"a defect of Signalbox: {started.said()[-600:]}")
        return code

    @property
    def asked(self) -> str:
        """The feature that was taken down; empty where none was, or where it ended before there was a plan."""
        rows = self.place.rows("SELECT id FROM features WHERE state != 'invalid'")
        return str(rows[0]["id"]) if rows else ""

    def await_asked(self, started: Started) -> None:
        """Wait until the request is taken down, or its process ended: a second one would be a second feature."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.asked and self.starter.poll(started) is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def go_on(self) -> Started:
        """Go on as a person would: `resume`, or the request again where nobody knows of it."""
        return self.start("resume", self.asked, "--json") if self.asked else self.begin()

    def finish(self) -> dict[str, Any]:
        """Have the interrupted run finished."""
        started = self.go_on()
        self.end(started)
        return self.hear(started)

    def hear(self, started: Started) -> dict[str, Any]:
        """Take down what a process said at its end."""
        try:
            outcome = dict(json.loads(started.out.read_text(encoding="utf-8") or "{}"))
        except ValueError:
            self.broken(f"standard output is not one JSON document: {started.said()[-600:]}")
            return {}
        self.witness.hear(outcome)
        return outcome

    def retry(self) -> None:
        """Send what ended otherwise on its way again, until all has landed or nothing changes any more."""
        for _ in range(3):
            rows = self.place.rows("SELECT id, state FROM tickets WHERE state != 'landed'")
            if not rows:
                return
            for row in rows:
                if row["state"] != "blocked":
                    self.end(self.start("tickets", "retry", row["id"]))
            self.finish()

    def judge(self, **facts: Any) -> None:
        """Check every promise, the chain of the log, and that nothing runs on."""
        self.witness.look()
        for said in violations(Scene(place=self.place, witness=self.witness, **facts)):
            self.broken(said)
        checked = self.start("log", "--verify", "--records", "--json")
        if self.end(checked) != 0 or not self.hear(checked).get("intact"):
            self.broken(f"the chain of the log: {checked.said()[-300:]}")
        deadline = time.monotonic() + LINGER_S
        while (left := self.starter.living()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if left:
            self.broken(f"still running after the end: {left[:3]}")


def quick_folder() -> Path | None:
    """Give a folder in memory where there is one with room, so that a round does not wait for a disk."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH else None


@contextmanager
def round_of(
    starter: Starter, kind: str, seed: int, wish: Wish | None = None, disk: Path | None = None
) -> Iterator[Round]:
    """Make a place for one round; it is removed afterwards, unless a promise was broken there."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{kind}-{seed}-", dir=quick_folder()))
    place = place_in(folder, wish or Wish(), disk=disk)
    tally = Tally(kind=kind, rounds=1)
    made = Round(
        place=place, starter=starter, witness=Witness(place=place), dice=random.Random(seed), tally=tally, seed=seed
    )
    try:
        yield made
    finally:
        starter.sweep()
        tally.seconds = time.monotonic() - began
        if not tally.violations:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            if disk:  # it is unmounted next, and what broke with it
                with suppress(shutil.Error):
                    shutil.copytree(disk, folder / "disk", symlinks=True, ignore_dangling_symlinks=True)
            tally.violations.append(f"{kind}, seed {seed}: kept in {folder}")
