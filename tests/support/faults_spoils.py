"""Worlds that turn against the harness: disks that are full, owners that sleep, clocks that jump, files that others left, people at work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from faults_clock import set_by
from faults_disk import small
from faults_place import Wish
from faults_round import Tally, round_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults_round import Round
    from faults_starter import Starter

FULL_EXIT = 4
CLOCKS = {"a day back": -86400, "an hour back": -3600, "an hour ahead": 3600, "a day ahead": 86400}
INODES = 6000
SIGNED = 3
"""Words of an owner's name: machine, number of the process, when that began."""


def _some(here: Round, shortest: float = 0.1, longest: float = 1.5) -> float:
    return here.dice.uniform(shortest, longest)


# no space


def full(starter: Starter, seed: int) -> Tally:
    """Fill the disk, or use up its inodes, in the middle of a run; give the space back, resume."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-full-") as scratch,
        small(Path(scratch) / "disk", mib=320, inodes=INODES) as disk,
        round_of(starter, "full", seed, Wish(keys="abc"), disk=disk) as here,
    ):
        started = here.begin()
        starter.wait(started, seconds=_some(here))
        hog = disk / "hog"
        hog.mkdir()
        how = here.dice.choice(("bytes", "all but some bytes", "inodes"))
        _fill(hog, how, spare=here.dice.randint(0, 600) << 10)
        here.tally.faults[how] += 1
        code = here.end(started)
        if code not in {0, 1, FULL_EXIT}:
            here.broken(f"a full disk ended the run with {code}: {started.said()[-500:]}")
        starter.sweep()
        shutil.rmtree(hog)
        here.finish()
        here.retry()
        here.judge()
    return here.tally


def _fill(hog: Path, how: str, *, spare: int) -> None:
    with suppress(OSError):
        if how == "inodes":
            for number in range(INODES):
                (hog / str(number)).touch()
            return
        free = shutil.disk_usage(hog).free - (spare if how != "bytes" else 0)
        with (hog / "bytes").open("wb", buffering=0) as stream:
            while free > 0:
                free -= stream.write(bytes(min(free, 1 << 20)))


# no time


def paused(starter: Starter, seed: int) -> Tally:
    """Stop the harness at work for longer than others wait, let others go on, wake it up."""
    with round_of(starter, "paused", seed, Wish(keys="abc", seconds=0.1)) as here:
        lanes = [here.begin()]
        here.await_asked(lanes[0])
        lanes.append(here.start("resume"))
        for _ in range(3):
            starter.wait(lanes[0], seconds=_some(here, 0.05, 0.8))
            lane = here.dice.randrange(2)
            if starter.poll(lanes[lane]) is not None:
                lanes[lane] = here.start("resume")
                continue
            os.kill(lanes[lane].pid, signal.SIGSTOP)
            here.tally.faults["pauses"] += 1
            starter.wait(lanes[1 - lane], seconds=_some(here, 0.5, 3.0))
            here.witness.look()
            with suppress(ProcessLookupError):
                os.kill(lanes[lane].pid, signal.SIGCONT)
        for started in lanes:
            here.end(started)
        here.finish()
        here.judge()
    return here.tally


def clocks(starter: Starter, seed: int) -> Tally:
    """Kill the harness and go on with a clock that has jumped, forth or back; more than once."""
    with round_of(starter, "clocks", seed, Wish(keys="abc")) as here:
        started = here.begin()
        for _ in range(3):
            starter.wait(started, seconds=_some(here))
            started.kill(group=here.dice.random() < 0.5)
            here.witness.look()
            jump = here.dice.choice(list(CLOCKS))
            here.tally.faults[jump] += 1
            here.under = set_by(CLOCKS[jump])
            started = here.go_on()
        here.end(started)
        here.under = ()
        here.finish()
        here.judge()
    return here.tally


# no order


def leftovers(starter: Starter, seed: int) -> Tally:
    """Kill the harness and put there what killed gits, half-finished writers and other processes of the same number leave."""
    with round_of(starter, "leftovers", seed, Wish(keys="abc")) as here:
        started = here.begin()
        for _ in range(2):
            starter.wait(started, seconds=_some(here))
            starter.sweep()
            here.witness.look()
            for litter in here.dice.sample(LITTER, 4):
                litter(here)
                here.tally.faults[litter.__name__.strip("_").replace("_", " ")] += 1
            started = here.go_on()
        here.end(started)
        here.finish()
        here.judge()
    return here.tally


def _stale_ref_lock(here: Round) -> None:
    (here.place.root / ".git/refs/heads/main.lock").touch()


def _stale_attempt_lock(here: Round) -> None:
    ref = here.place.root / ".git/refs/orchestrate/attempts/T-0001/2.lock"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.touch()


def _stale_index_lock(here: Round) -> None:
    (here.place.root / ".git/index.lock").touch()


def _half_packed_refs(here: Round) -> None:
    (here.place.root / ".git/packed-refs.new").write_text("# pack-refs with: peeled\n", encoding="utf-8")
    (here.place.root / ".git/packed-refs.lock").touch()


def _half_object(here: Round) -> None:
    (here.place.root / ".git/objects/tmp_obj_AbCdEf").write_bytes(b"x\x9c")


def _torn_object(here: Round) -> None:
    folder = here.place.root / ".git/objects/5e"
    folder.mkdir(exist_ok=True)
    (folder / "ab0123456789abcdef0123456789abcdef0123").touch()


def _half_records(here: Round) -> None:
    here.place.state.mkdir(exist_ok=True)
    (here.place.state / "checkouts").mkdir(exist_ok=True)
    (here.place.state / "checkouts/.T-0001-1.json.4194303-1.tmp").write_text('{"ticket": "T-00', encoding="utf-8")
    (here.place.state / "index-4194303-abcd").mkdir(exist_ok=True)


def _half_lease(here: Round) -> None:
    (here.place.beside / ".leases" / "1").mkdir(parents=True, exist_ok=True)
    (here.place.beside / ".leases" / "1" / "half").write_text("x", encoding="utf-8")


def _strange_folder(here: Round) -> None:
    (here.place.beside / "t-0009-nobody").mkdir(parents=True, exist_ok=True)
    (here.place.beside / "t-0009-nobody" / "note").write_text("mine\n", encoding="utf-8")


def _owner_whose_number_lives_on(here: Round) -> None:
    """Say of every live checkout and every keeper that it has the number of a process of another kind: of this one."""
    for file in (here.place.state / "checkouts").glob("T-*.json"):
        with suppress(ValueError):
            record = json.loads(file.read_text(encoding="utf-8"))
            file.write_text(json.dumps({**record, "owner": os.getpid()}), encoding="utf-8")
    for lock in (here.place.state / "keepers").glob("T-*/lock"):
        words = lock.read_text(encoding="utf-8").split()
        if len(words) == SIGNED:
            lock.write_text(f"{words[0]} {os.getpid()} {words[2]}", encoding="utf-8")


LITTER: tuple[Callable[[Round], None], ...] = (
    _stale_ref_lock,
    _stale_attempt_lock,
    _stale_index_lock,
    _half_packed_refs,
    _half_object,
    _torn_object,
    _half_records,
    _half_lease,
    _strange_folder,
    _owner_whose_number_lives_on,
)


# no peace


def people(starter: Starter, seed: int) -> Tally:
    """Have a person commit, switch, rebase, delete branches and collect garbage in the repository while the run goes on."""
    with round_of(starter, "people", seed, Wish(keys="abcd")) as here:
        foreign: set[str] = set()
        started = here.begin()
        while starter.wait(started, seconds=_some(here, 0.05, 0.4)) is None:
            act = here.dice.choice(DEEDS)
            with suppress(subprocess.SubprocessError, OSError):
                act(here, foreign)
            here.tally.faults[act.__name__.strip("_").replace("_", " ")] += 1
            here.witness.look()
        here.end(started)
        here.place.demo.git("switch", "-q", "main", check=False)
        here.place.demo.git("reset", "-q", "--hard", check=False)
        here.retry()
        here.finish()
        here.retry()
        here.place.demo.git("switch", "-q", "main", check=False)
        here.judge(foreign=frozenset(foreign))
    return here.tally


def _commits_to_the_target(here: Round, foreign: set[str]) -> None:
    git = here.place.demo.git
    if git("symbolic-ref", "--short", "HEAD", check=False) != "main" or git("status", "--porcelain", "-uno"):
        return
    name = f"person-{time.monotonic_ns()}.txt"
    here.place.demo.write(name, "by hand\n")
    git("add", name, check=False)
    before = git("rev-parse", "main")
    git("commit", "-qm", "by hand", "--", name, check=False)
    if (after := git("rev-parse", "main")) != before and "by hand" in git("log", "-1", "--format=%s", after):
        foreign.add(after)


def _switches(here: Round, _: set[str]) -> None:
    here.place.demo.git("switch", "-q", "-C", "elsewhere", "main", check=False)
    here.place.demo.git("switch", "-q", "main", check=False)


def _deletes_branches(here: Round, _: set[str]) -> None:
    for name in here.place.demo.git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads/tickets", check=False
    ).split():
        here.place.demo.git("branch", "-qD", name, check=False)


def _rebases(here: Round, _: set[str]) -> None:
    git = here.place.demo.git
    git("branch", "-f", "topic", here.place.begin, check=False)
    git("worktree", "add", "-q", "-f", str(here.place.folder / "topic"), "topic", check=False)
    git("-C", str(here.place.folder / "topic"), "commit", "-q", "--allow-empty", "-m", "topic", check=False)
    git("-C", str(here.place.folder / "topic"), "rebase", "-q", "main", check=False)


def _collects_garbage(here: Round, _: set[str]) -> None:
    here.place.demo.git("gc", "-q", "--prune=now", check=False)


def _packs_refs(here: Round, _: set[str]) -> None:
    here.place.demo.git("pack-refs", "--all", "--prune", check=False)


def _stashes(here: Round, _: set[str]) -> None:
    here.place.demo.write("src/lib.py", f"ONE = {time.monotonic_ns()}\n")
    here.place.demo.git("stash", "-q", check=False)
    here.place.demo.git("stash", "drop", "-q", check=False)


DEEDS: tuple[Callable[[Round, set[str]], None], ...] = (
    _commits_to_the_target,
    _switches,
    _deletes_branches,
    _rebases,
    _collects_garbage,
    _packs_refs,
    _stashes,
)
