"""`scripts/faults`: inflicts faults on the real command line, round after round, and counts the promises that broke."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from faults_kinds import KINDS
from faults_round import Tally
from faults_starter import Starter
from faults_table import Line, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).parent.parent.parent / "docs" / "faults.md"
FOREVER = 10**9


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True, kw_only=True)
class Job:
    kind: str
    seed: int


@dataclass(kw_only=True)
class Book:
    """What all lanes together have seen."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, tally: Tally) -> None:
        with self.lock:
            kept = self.tallies.setdefault(tally.kind, Tally(kind=tally.kind))
            kept.add(tally)
            self.broken[tally.kind] = self.broken.get(tally.kind, 0) + bool(tally.violations)
            said = "\n  ".join(tally.violations) if tally.violations else "kept"
            faults = ", ".join(f"{number} {name}" for name, number in tally.faults.items())
            tell(f"{tally.kind} {kept.rounds}: {faults} in {tally.seconds:.1f} s: {said}")

    def line(self, kind: str) -> Line:
        tally, control = self.tallies[kind], KINDS[kind].caught
        missed = (
            max(0, round(control * tally.rounds + 0.4999) - tally.faults["caught"]) if control else self.broken[kind]
        )
        return Line(tally=tally, broken=missed)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "kinds", nargs="*", choices=[*KINDS, []], metavar="kind", help=f"one of {', '.join(KINDS)}; default: all"
    )
    parser.add_argument("--full", action="store_true", help="the long form: hours")
    parser.add_argument("--minutes", type=float, help="go round all kinds until the time is up")
    parser.add_argument("--rounds", type=int, help="so many rounds of each kind")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round of each kind")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once")
    parser.add_argument("--write", action="store_true", help=f"put the counts into {PAGE.name}")
    return parser.parse_args(words)


def jobs(asked: argparse.Namespace, kinds: Sequence[str]) -> Iterator[Job]:
    """Give the rounds, one of each kind in turn, so that whenever it ends each has had its share."""
    wanted = {kind: asked.rounds or (KINDS[kind].full if asked.full else KINDS[kind].short) for kind in kinds}
    if asked.minutes and not asked.rounds and not asked.full:
        wanted = dict.fromkeys(kinds, FOREVER)
    short = not (asked.full or asked.minutes or asked.rounds)
    for number in count():
        turn = [kind for kind in kinds if number < wanted[kind]]
        if not turn:
            return
        yield from (Job(kind=kind, seed=asked.seed + number * (KINDS[kind].stride if short else 1)) for kind in turn)


def main(words: Sequence[str]) -> int:
    asked = arguments(words)
    kinds = []
    for kind in asked.kinds or KINDS:
        why = KINDS[kind].trouble()
        tell(f"{kind}: {'left out, ' + why if why else KINDS[kind].says}")
        kinds += [] if why else [kind]
    book, todo, until = Book(), jobs(asked, kinds), time.monotonic() + 60 * (asked.minutes or FOREVER)
    with ThreadPoolExecutor(asked.jobs) as lanes:
        for done in [lanes.submit(_lane, todo, book, until) for _ in range(asked.jobs)]:
            done.result()
    lines = {kind: book.line(kind) for kind in kinds if kind in book.tallies}
    tell("\n".join(str(line) for line in lines.values()))
    if asked.write:
        write(PAGE, lines)
    return int(any(line.broken for line in lines.values()))


_TURN = threading.Lock()


def _lane(todo: Iterator[Job], book: Book, until: float) -> None:
    """Take one round after the other; each lane has a starter of its own, so that a sweep ends nobody else's round."""
    with Starter() as starter:
        while time.monotonic() < until:
            with _TURN:
                job = next(todo, None)
            if job is None:
                return
            book.enter(KINDS[job.kind].run(starter, job.seed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
