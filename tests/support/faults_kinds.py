"""The kinds of faults by name, and how many rounds of each are worth what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import faults_calls
import faults_clock
import faults_cuts
import faults_disk
import faults_kills
import faults_spoils

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults_round import Tally
    from faults_starter import Starter


@dataclass(frozen=True, kw_only=True)
class Kind:
    run: Callable[[Starter, int], Tally]
    """One round; the seed decides everything but the moment."""
    says: str
    short: int
    """Rounds in CI."""
    full: int
    """Rounds of the long form."""
    trouble: Callable[[], str] = lambda: ""
    """Why it cannot be had here; empty where it can."""
    stride: int = 1
    """From one seed of the short form to the next; the long form takes them all."""
    caught: float = 0.0
    """Of a control: the share of rounds in which a broken promise has to be seen."""


KINDS: dict[str, Kind] = {
    "steps": Kind(run=faults_kills.steps, says="killed at each commit of its databases", short=6, full=250, stride=23),
    "kills": Kind(run=faults_kills.kills, says="three at work, ten killed at random in each round", short=3, full=500),
    "cuts": Kind(
        run=faults_cuts.cuts,
        says="power cut five times in each round: ext4 with repository and state, as its device had it",
        short=2,
        full=60,
        trouble=faults_disk.trouble,
    ),
    "forgetful": Kind(
        run=faults_cuts.forgetful,
        says="the control: power cut with every sync left out; it has to be caught",
        short=1,
        full=30,
        trouble=lambda: faults_disk.trouble() or faults_calls.trouble(),
        caught=0.8,
    ),
    "calls": Kind(
        run=faults_calls.calls,
        says="system calls of harness and git that fail (EIO, ENOSPC, EMFILE, EROFS, ...) or are slow",
        short=3,
        full=1000,
        trouble=faults_calls.trouble,
        stride=5,
    ),
    "full": Kind(
        run=faults_spoils.full,
        says="no space or no inodes in the middle of a run, then space again",
        short=2,
        full=100,
        trouble=faults_disk.no_small_disk,
    ),
    "paused": Kind(
        run=faults_spoils.paused, says="owners stopped while others go on, then woken up", short=2, full=100
    ),
    "clocks": Kind(
        run=faults_spoils.clocks,
        says="killed, and the clock jumps an hour or a day",
        short=1,
        full=100,
        trouble=faults_clock.trouble,
    ),
    "leftovers": Kind(
        run=faults_spoils.leftovers,
        says="stale locks, half-made files, numbers of processes used again",
        short=2,
        full=100,
    ),
    "people": Kind(
        run=faults_spoils.people,
        says="a person commits, switches, rebases, deletes branches and collects garbage",
        short=0,
        full=100,
    ),
}
