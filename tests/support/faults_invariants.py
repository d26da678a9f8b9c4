"""What must hold after any fault, whoever caused it. Each check names what it found; an empty list is the promise kept."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from faults_place import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults_place import Place
    from faults_witness import Witness

ARCHIVE = "refs/orchestrate/attempts/"
NOTES = "refs/notes/orchestrate"
FOUND = {"landed", "failed", "rejected", "blocked", "abandoned"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place after a fault and after recovery, and what was acknowledged before."""

    place: Place
    witness: Witness
    foreign: frozenset[str] = frozenset()
    """Commits that a person put on the target meanwhile: nobody judged them."""
    complete: bool = True
    """Whether every ticket has to have landed; otherwise it must have an end."""
    acknowledged_only: bool = False
    """Whether the power was cut: of what agents wrote, only what was acknowledged as kept has to be there."""

    def git(self, *arguments: str) -> str:
        return self.place.demo.git(*arguments, check=False)

    @cached_property
    def chain(self) -> list[str]:
        """First parents of the target since the beginning, newest first."""
        return self.git("rev-list", "--first-parent", f"{self.place.begin}..main").split()

    @cached_property
    def trailers(self) -> set[tuple[str, str]]:
        """Commit and ticket, for every commit of the target that names one; a batch lands in one commit that names them all."""
        wanted = "--format=%H %(trailers:key=Ticket,valueonly,separator=%x20)"
        rows = (line.split() for line in self.git("log", wanted, f"{self.place.begin}..main").splitlines())
        return {(row[0], ticket) for row in rows for ticket in row[1:]}

    @cached_property
    def keys(self) -> dict[str, str]:
        """Key of each ticket by its id."""
        rows = self.place.rows("SELECT id, record FROM tickets")
        return {row["id"]: json.loads(row["record"])["title"].removeprefix("add ") for row in rows}

    @cached_property
    def archived(self) -> dict[tuple[str, int], str]:
        """Commit that each attempt's ref points at; its second parent is what may land."""
        lines = (
            line.split() for line in self.git("for-each-ref", "--format=%(refname) %(objectname)", ARCHIVE).splitlines()
        )
        named = ((name.removeprefix(ARCHIVE).split("/"), commit) for name, commit in lines)
        return {(parts[0], int(parts[1])): commit for parts, commit in named}


def violations(scene: Scene) -> list[str]:
    """Check everything; give one line for each promise that was broken."""
    return [f"{name}: {said}" for name, check in CHECKS.items() for said in check(scene)]


# the target


def _judged(scene: Scene) -> Iterator[str]:
    good = {
        json.loads(row["report"])["tree"]
        for row in scene.place.rows("SELECT report FROM reports WHERE verdict = 'pass'")
    }
    for commit in scene.chain:
        if commit not in scene.foreign and scene.git("rev-parse", f"{commit}^{{tree}}") not in good:
            yield f"{commit[:12]} is on the target and no report passed its tree"


def _landings_kept(scene: Scene) -> Iterator[str]:
    for ticket, commit in scene.witness.landed.items():
        there = scene.git("merge-base", commit, "main") == commit
        if not there:
            yield f"the landing of {ticket} ({commit[:12]}) was acknowledged and is not on the target"


def _once(scene: Scene) -> Iterator[str]:
    for ticket, count in Counter(ticket for _, ticket in scene.trailers).items():
        if count > 1:
            yield f"{ticket} landed {count} times"


def _whole(scene: Scene) -> Iterator[str]:
    """Files on the target say what the right attempt wrote, and the person's own tree followed."""
    if scene.complete:
        for key in scene.place.keys:
            if not scene.git("show", f"main:src/{key}.py").startswith("X = 1"):
                yield f"src/{key}.py on the target is not what its ticket asked for"
    dirty = scene.git("status", "--porcelain", "--untracked-files=no")
    if dirty:
        yield f"the main checkout did not follow: {dirty!r}"


# the journal


def _events_kept(scene: Scene) -> Iterator[str]:
    now = {row["seq"]: row["hash"] for row in scene.place.rows("SELECT seq, hash FROM events")}
    lost = [seq for seq, digest in scene.witness.seen.items() if now.get(seq) != digest]
    if lost:
        yield f"events {lost[:5]} had been read and are gone or others now ({len(lost)} in all)"


def _both_ways(scene: Scene) -> Iterator[str]:
    moved = {
        (json.loads(row["data"])["new"], row["ticket"])
        for row in scene.place.rows("SELECT ticket, data FROM events WHERE kind = 'landing.moved'")
    }
    for commit, ticket in scene.trailers - moved:
        yield f"{commit[:12]} is on the target for {ticket}, and the journal does not say so"
    for commit, ticket in moved - scene.trailers:
        yield f"the journal says that {commit[:12]} landed {ticket}, and the target does not have it"
    noted = scene.git("notes", f"--ref={NOTES}", "list").split()[1::2]
    for commit in {commit for commit, _ in moved} - set(noted):
        yield f"{commit[:12]} is a landing, and no note has its reports"
    rows = scene.place.rows("SELECT id, state, landed FROM tickets")
    for row in rows:
        if (row["state"] == "landed") != bool(row["landed"]) or (
            row["landed"] and (row["landed"], row["id"]) not in moved
        ):
            yield f"{row['id']} is {row['state']} with landed = {row['landed']}, and no event of that landing"


def _attempts(scene: Scene) -> Iterator[str]:
    rows = {(row["ticket"], row["number"]): row for row in scene.place.rows("SELECT * FROM attempts")}
    for key, row in rows.items():
        if row["state"] == "running":
            yield f"attempt {key} still says that it runs"
        if row["changes"] and json.loads(row["changes"])["commit"] not in scene.git(
            "rev-parse", f"{scene.archived.get(key)}^@"
        ):
            yield f"attempt {key} is recorded as {json.loads(row['changes'])['commit'][:12]}, its ref is {scene.archived.get(key)}"
    for key in scene.archived.keys() - rows.keys():
        yield f"{ARCHIVE}{key[0]}/{key[1]} belongs to no attempt of the journal"
    for key in scene.witness.captured - scene.archived.keys():
        yield f"attempt {key} was acknowledged as kept and has no ref"


def _ended(scene: Scene) -> Iterator[str]:
    open_ones = "SELECT id, state FROM features WHERE state NOT IN ('ended', 'invalid')"
    for row in scene.place.rows(open_ones):
        yield f"{row['id']} is {row['state']}: the run did not end"
    for row in scene.place.rows("SELECT id, state, reason FROM tickets"):
        if row["state"] not in ({"landed"} if scene.complete else FOUND):
            yield f"{row['id']} ended as {row['state']}: {row['reason']}"


# money and bytes


def _paid_once(scene: Scene) -> Iterator[str]:
    begun = Counter((key, attempt) for key, attempt, _, step in scene.place.ran() if step == "begun")
    for (key, attempt), count in begun.items():
        if count > 1:
            yield f"the agent of {key!r} ran {count} times for attempt {attempt}"
    for row in scene.place.rows(
        "SELECT ticket, attempt, COUNT(*) AS n FROM spending GROUP BY purpose, ticket, attempt HAVING n > 1"
    ):
        yield f"attempt {row['attempt']} of {row['ticket']} was booked {row['n']} times"
    for row in scene.place.rows("SELECT id, ticket, attempt FROM spending WHERE state = 'reserved'"):
        yield f"money is still held for attempt {row['attempt']} of {row['ticket']}"


def _reachable(scene: Scene) -> Iterator[str]:
    wrote = {token: (key, attempt) for key, attempt, token, step in scene.place.ran() if step == "wrote"}
    if scene.acknowledged_only:
        kept_keys = {(scene.keys.get(ticket), attempt) for ticket, attempt in scene.witness.captured}
        wrote = {token: run for token, run in wrote.items() if run in kept_keys}
    refs = [*scene.archived.values(), "main"]
    kept = set(RUN.findall(scene.git("grep", "-h", "-o", "-E", RUN.pattern, *refs)))
    for token in wrote.keys() - kept:
        key, attempt = wrote[token]
        yield f"what the agent of {key!r} wrote in attempt {attempt} is nowhere to be found (run-{token})"


# what is left lying about


def _sound(scene: Scene) -> Iterator[str]:
    command = ["git", "-C", str(scene.place.root), "fsck", "--no-dangling", "--no-progress"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=scene.place.demo.environment)
    if done.returncode or done.stdout.strip():
        yield f"git fsck says: {(done.stdout + done.stderr).strip()[:300]!r}"


def _tidy(scene: Scene) -> Iterator[str]:
    root, beside, state = scene.place.root, scene.place.beside, scene.place.state
    common = root / ".git"
    found = [*common.rglob("*.lock"), *common.rglob("packed-refs.new"), *beside.glob("t-*")]
    found += [*state.glob("index-*"), *state.glob("checkouts/*"), *state.glob("git/**/*.lock")]
    left = sorted(str(one.relative_to(root.parent)) for one in found)
    if left:
        yield f"left behind: {left[:6]}"


CHECKS: dict[str, Callable[[Scene], Iterator[str]]] = {
    "every commit of the target was judged": _judged,
    "acknowledged landings are there": _landings_kept,
    "no ticket landed twice": _once,
    "the target holds what was asked for": _whole,
    "events that were read are there": _events_kept,
    "journal and refs agree": _both_ways,
    "attempts and their refs agree": _attempts,
    "the run ended": _ended,
    "nothing was paid twice": _paid_once,
    "what agents wrote is kept": _reachable,
    "git fsck is clean": _sound,
    "nothing is left behind": _tidy,
}
