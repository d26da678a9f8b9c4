"""Cuts of the power: repository and state lie on one disk, and what the device had not received is gone."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faults_disk import power
from faults_place import Wish
from faults_round import PATIENCE_S, Tally, quick_folder, round_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults_disk import Disk
    from faults_round import Round
    from faults_starter import Starter

CUTS = 4
SHORTEST_S, LONGEST_S = 0.05, 1.5
FORGETFUL = ("strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null")
NO_SYNC = ("-e", "trace=fsync,fdatasync,syncfs,sync", "-e", "inject=fsync,fdatasync,syncfs,sync:retval=0")


@contextmanager
def _powered(starter: Starter, kind: str, seed: int) -> Iterator[tuple[Round, Disk]]:
    with (
        tempfile.TemporaryDirectory(prefix="faults-disk-", dir=quick_folder()) as scratch,
        power(Path(scratch)) as disk,
        round_of(starter, kind, seed, Wish(keys="abcd"), disk=disk.at) as here,
    ):
        disk.settle()  # the repository itself was there before
        yield here, disk


def _cut(here: Round, disk: Disk) -> None:
    """What was read before the cut had been acknowledged before it."""
    here.witness.look()
    disk.freeze()
    here.starter.sweep()
    disk.thaw()
    here.tally.faults["cuts"] += 1


def cuts(starter: Starter, seed: int) -> Tally:
    """Cut the power several times in a run, and once more after it said that all is done."""
    with _powered(starter, "cuts", seed) as (here, disk):
        started = here.begin()
        for _ in range(CUTS):
            starter.wait(started, seconds=here.dice.uniform(SHORTEST_S, LONGEST_S))
            _cut(here, disk)
            started = here.go_on()
        here.end(started)
        here.finish()
        _cut(here, disk)
        here.judge(acknowledged_only=True)
    return here.tally


def forgetful(starter: Starter, seed: int) -> Tally:
    """The control: the same with every sync left out has to be caught. What breaks here is the proof, not a fault."""
    with _powered(starter, "forgetful", seed) as (here, disk):
        here.under = (*FORGETFUL, *NO_SYNC)
        started = here.begin()
        for _ in range(int(PATIENCE_S)):
            here.witness.look()
            if here.witness.captured or starter.wait(started, seconds=0.2) is not None:
                break
        starter.wait(started, seconds=here.dice.uniform(SHORTEST_S, LONGEST_S))
        _cut(here, disk)
        here.under = ()
        here.finish()
        here.judge(acknowledged_only=True)
        here.tally.faults["caught"] += bool(here.tally.violations)
        here.tally.violations.clear()
    return here.tally
