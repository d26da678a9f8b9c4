"""Deaths of the harness: at every step of its journal, and at random with several of them at work."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from faults_place import Wish
from faults_round import Tally, round_of
from faults_watch import commits

if TYPE_CHECKING:
    from faults_round import Round
    from faults_starter import Started, Starter
    from faults_watch import Commits

HARNESSES = 3
KILLS = 10
SHORTEST_S, LONGEST_S = 0.02, 0.5


def steps(starter: Starter, seed: int) -> Tally:
    """Kill at the commit of number `seed` of either database, and again at a random one of the recovery; finish."""
    in_one_run = count_steps(starter)
    with round_of(starter, "steps", seed) as here:
        here.place.state.mkdir()
        with commits(here.place.state) as journal:
            started, until = here.begin(), 1 + (seed - 1) % in_one_run
            while until and _reached(here, journal, started, until):
                started.kill(group=here.dice.random() < 0.5)
                here.witness.look()
                here.tally.faults[here.witness.kinds[-1] if here.witness.kinds else "before the first event"] += 1
                until = journal.count + here.dice.randint(1, 30) if here.dice.random() < 0.5 else 0
                started = here.start("resume", "--json") if until else started
            here.end(started)
        here.finish()
        here.judge()
    return here.tally


def _reached(here: Round, journal: Commits, started: Started, until: int) -> bool:
    """Wait for the commit of that number; False when the run ended before."""
    while here.starter.poll(started) is None:
        if journal.wait(until=until, seconds=0.2):
            return True
    return False


@cache
def count_steps(starter: Starter) -> int:
    """Count the commits of a run that nobody disturbs."""
    with round_of(starter, "steps", 0) as here:
        here.place.state.mkdir()
        with commits(here.place.state) as journal:
            started = here.begin()
            while starter.poll(started) is None:
                journal.wait(until=journal.count + 1, seconds=0.2)
        here.judge()
    return max(1, journal.count)


def kills(starter: Starter, seed: int) -> Tally:
    """Kill one of several harnesses at a random moment, start it again, and so on; the others take over meanwhile."""
    with round_of(starter, "kills", seed, Wish(keys="abcd", sandbox="auto" if seed % 4 == 3 else "none")) as here:
        lanes = [here.begin()]
        here.await_asked(lanes[0])
        lanes += [here.start("resume") for _ in range(HARNESSES - 1)]
        for _ in range(KILLS):
            starter.wait(lanes[0], seconds=here.dice.uniform(SHORTEST_S, LONGEST_S))
            _kill_one(here, lanes)
        for started in lanes:
            here.end(started)
        here.finish()
        here.judge()
    return here.tally


def _kill_one(here: Round, lanes: list[Started]) -> None:
    at_work = [lane for lane, started in enumerate(lanes) if here.starter.poll(started) is None]
    lane = here.dice.choice(at_work or range(len(lanes)))
    if at_work:
        whole = here.dice.random() < 0.3
        lanes[lane].kill(group=whole)
        here.tally.faults["with its group" if whole else "alone"] += 1
    here.witness.look()
    lanes[lane] = here.start("resume")
