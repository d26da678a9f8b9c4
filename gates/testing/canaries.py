"""Tests of the harness among those of a tree: one must pass, two must fail, and the report has to agree.

Whatever makes every test pass, or keeps the report from saying what happened, makes these lie as well. Their names and places are
random; they run in the same process, after the product was imported, and the last one after everything else. A plugin (`gates.testing.witness`) brings
them in, whatever the command selects, and tells by itself what it saw: results, the exit code without them, and whether the runner's own functions
are the ones that were installed. Code that knows the name of one test and forges that alone can do so: for that, a ticket has acceptance commands.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gates.testing.junit import Result
    from gates.workshop import Lease

_RANDOM = random.SystemRandom()
_BODIES = (
    ("values = [{a}, {b}]", "sorted(values) == [{low}, {high}]", "sorted(values) == [{high}, {low}, {a}]"),
    ("total = {a} + {b}", "total == {sum}", "total == {sum} + {step}"),
    ("text = str({a} * {b})", "int(text) == {a} * {b}", "text == str({a}) + 'x' + str({b})"),
    ("table = {{'a': {a}}}", "table['a'] < {a} + {step}", "table['a'] > {a} + {step}"),
    ("known = {{{a}, {b}}}", "{a} in known", "-{step} in known"),
)
WITNESS_BYTES = 64 << 20


class ForgedError(Exception):
    """The run cannot be believed, and why."""


class NoWitnessError(Exception):
    """The run did not get so far that it could be believed, and why."""


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """What was planted in one run."""

    folder: Path
    plugin: str
    passing: tuple[str, ...]
    failing: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """A run that stops at the first failure would stop at ours."""
        return ("-p", self.plugin, "--maxfail=0")

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        path = ":".join(part for part in (variables.get("PYTHONPATH", ""), str(self.folder / self.plugin)) if part)
        return {"PYTHONPATH": path}

    def owns(self, identity: str) -> bool:
        return identity.rpartition("::")[2] in {*self.passing, *self.failing}


@dataclass(frozen=True, kw_only=True)
class Testimony:
    """What the plugin saw."""

    exit: int
    """Exit code that the run would have had without the harness's own tests."""
    seen: dict[str, str]
    odd: tuple[str, ...]
    """Functions of the runner that were replaced, and files of the tree that became a part of it."""


def plant(lease: Lease, files: Collection[str]) -> Canaries:
    """Write the tests and the plugin beside the tree, and say how to call them."""
    names = [f"test_{_word()}" for _ in range(3)]
    plugin, file = _word(), f"test_{_word()}"
    canaries = Canaries(folder=lease.scratch, plugin=plugin, passing=(names[0],), failing=(names[1], names[2]))
    place, tests = lease.scratch / plugin, lease.scratch / _word()
    place.mkdir()
    tests.mkdir()
    shares = (_RANDOM.random(), _RANDOM.random(), 1.0)
    plan = {
        "file": str(tests / f"{file}.py"),
        "nodeid": str(PurePosixPath(_neighbour(files)) / f"{file}.py"),
        "tests": list(zip(names, shares, strict=True)),
        "witness": str(_witness(canaries)),
    }
    (tests / f"{file}.py").write_text(_tests(canaries), encoding="utf-8")
    (place / f"{plugin}.json").write_text(json.dumps(plan), encoding="utf-8")
    (place / f"{plugin}.py").write_text(Path(__file__).with_name("witness.py").read_text("utf-8"), encoding="utf-8")
    return canaries


def hear(canaries: Canaries) -> Testimony:
    """Read what the plugin wrote, of every process of the run; raise NoWitnessError where it did not get to write."""
    found = [_read(path) for path in sorted(canaries.folder.glob(f"{_witness(canaries).name}-*.json"))]
    main = next((record for path, record in found if path.stem.endswith("-main")), None)
    if main is None:
        raise NoWitnessError("the harness's own plugin was not there at its end (an early exit?)")
    odd = {str(name) for _, record in found for name in record["odd"]}
    return Testimony(exit=int(main["exit"]), seen=dict(main["seen"]), odd=tuple(sorted(odd)))


def weigh(canaries: Canaries, results: Collection[Result], said: Testimony) -> None:
    """Hold the report against what must be in it; raise ForgedError or NoWitnessError."""
    states = {result.id.rpartition("::")[2]: result.state for result in results if canaries.owns(result.id)}
    if lying := [name for name in canaries.failing if states.get(name) not in {"failed", "error", None}]:
        raise ForgedError(f"a test of the harness that must fail ({lying[0]}) is reported as {states[lying[0]]}")
    if missing := {*canaries.passing, *canaries.failing} - states.keys():
        raise NoWitnessError(f"the harness's own tests did not all run ({', '.join(sorted(missing))})")
    if trouble := [name for name in canaries.passing if states[name] != "passed"]:
        raise NoWitnessError(f"a test of the harness that always passes is reported as {states[trouble[0]]}")
    if not any(states[name] == "failed" for name in canaries.failing):
        raise NoWitnessError("the harness's own tests broke before they could fail")
    red = {identity for identity, outcome in said.seen.items() if outcome == "failed"}
    passed = {result.id for result in results if result.state == "passed"}
    if both := sorted(red & passed):
        raise ForgedError(f"{both[0]} failed, and the report says that it passed")
    if len(results) > len(said.seen):
        raise ForgedError(f"the report lists {len(results)} tests, and {len(said.seen)} ran")


def _witness(canaries: Canaries) -> Path:
    return canaries.folder / canaries.plugin[::-1]


def _read(path: Path) -> tuple[Path, dict[str, Any]]:
    if path.is_symlink() or path.stat().st_size > WITNESS_BYTES:
        raise NoWitnessError("what the harness's own plugin wrote was replaced")
    record: dict[str, Any] = json.loads(path.read_bytes())
    return path, record


def _neighbour(files: Collection[str]) -> str:
    """Give a folder that has tests already: ours are named as if they stood beside them."""
    folders = sorted(
        {str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name.startswith("test_")}
    )
    return _RANDOM.choice(folders) if folders else "."


def _word() -> str:
    """Make up a word that could be anybody's: no prefix, no digits, and no other one like it."""
    return "".join(_RANDOM.choice("bcdfghklmnprstvz") + _RANDOM.choice("aeiou") for _ in range(6))


def _tests(canaries: Canaries) -> str:
    names = [*canaries.passing, *canaries.failing]
    return "\n\n".join(_test(name, passes=name in canaries.passing) for name in _RANDOM.sample(names, len(names)))


def _test(name: str, *, passes: bool) -> str:
    begin, right, wrong = _RANDOM.choice(_BODIES)
    a, b = _RANDOM.sample(range(10, 999), 2)
    known = {"a": a, "b": b, "low": min(a, b), "high": max(a, b), "sum": a + b, "step": _RANDOM.randrange(1, 9)}
    return f"def {name}():\n    {begin}\n    assert {right if passes else wrong}\n".format(**known)
