"""The one decision on what an agent is about to do: every gate is asked, and what no ticket asks for is refused.

Courtesy and evidence: an early answer with a reason to act on. Nothing relies on it; everything is verified afterwards.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING

from gates.catalogue import catalogue
from gates.live import dangers, footprint, shell
from gates.live.places import Ground, Place, locate
from gates.live.words import Word, braces
from gates.protocol import Call, Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.live.shell import Step
    from tickets.model import Ticket
    from tickets.policy import Policy

__all__ = ["Bounds", "Decision", "Ground", "decide", "refused"]
SCRATCH = "scratch files go below $TMPDIR"
_CACHES = re.compile(
    r"(?:.*/)?(?:__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.hypothesis|\.tox|\.nox|htmlcov|\.ipynb_checkpoints)(?:/.*)?"
    r"|(?:.*/)?(?:[^/]+\.py[co]|\.coverage(?:\..*)?|\.DS_Store)"
)
"""What tools leave behind and git ignores nearly everywhere: to clear it away changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What holds for one attempt."""

    ticket: Ticket
    policy: Policy
    ground: Ground


@dataclass(frozen=True, kw_only=True)
class Decision:
    allowed: bool
    reason: str
    """A sentence that an agent can act on."""
    gate: str = ""
    """The gate that refused; empty where it was none of them."""


def refused(reason: str, gate: str = "") -> Decision:
    return Decision(allowed=False, reason=reason, gate=gate)


def decide(call: Call, bounds: Bounds) -> Decision:
    """Say whether an agent may do this; the first reason against it counts."""
    found = next(_run(call, bounds) if call.kind == "run" else _file(call, bounds), None)
    return found or Decision(allowed=True, reason="nothing speaks against it")


def _run(call: Call, bounds: Bounds) -> Iterator[Decision]:
    yield from _gates(call, bounds)
    reading = shell.read(call.command)
    if reading.problem:
        yield refused(reading.problem)
    elsewhere = call.cwd not in {"", bounds.ground.root}
    for step in reading.steps:
        moved = elsewhere and step.cwd is not None
        yield from _step(replace(step, cwd=posixpath.join(call.cwd, step.cwd or "")) if moved else step, bounds)


def _file(call: Call, bounds: Bounds) -> Iterator[Decision]:
    if not call.path:
        yield refused(f"the question names no file to {call.kind}")
    elif call.kind == "write":
        yield from _write(Word(call.path), bounds, cwd=call.cwd)
    else:
        place = locate(call.path, bounds.ground, call.cwd)
        if dangers.secret_file(place.path):
            yield refused(f"{call.path} holds secrets; nothing in this ticket needs them")
        yield from _read(place, bounds)


def _gates(call: Call, bounds: Bounds) -> Iterator[Decision]:
    for gate in _asked():
        if reason := gate.permits(call, bounds.ticket, bounds.policy):
            yield refused(reason, gate.name)


@cache
def _asked() -> tuple[Gate, ...]:
    """Give the gates that have something to say live, in the order of the catalogue."""
    silent = next(each.default for each in fields(Gate) if each.name == "permits")
    return tuple(gate for gate in catalogue().values() if gate.permits is not silent)


def _step(step: Step, bounds: Bounds) -> Iterator[Decision]:
    ground = bounds.ground
    if why := dangers.stops(step) or dangers.destroys(step, ground) or dangers.reveals(step, ground):
        yield refused(why)
    if step.guessed:
        return
    for each in footprint.written(step):
        yield from _write(each, bounds, cwd=step.cwd)
    for each in footprint.removed(step):
        yield from _removal(each, step, bounds)
    for each in footprint.folders(step):
        if (place := locate(each.text, ground, step.cwd)).kind == "elsewhere":
            yield refused(_outside(each.text, place))
    for each in footprint.read(step):
        yield from _read(locate(each.text, ground, step.cwd), bounds)


def _write(target: Word, bounds: Bounds, *, cwd: str | None) -> Iterator[Decision]:
    for text in braces(target.text) if target.pattern else [target.text]:
        place = locate(text, bounds.ground, cwd)
        if place.kind == "elsewhere":
            yield refused(_outside(text, place))
        elif place.kind == "unknown":
            yield refused(f"{text} lies in a folder that nobody can know beforehand; write the path out")
        elif place.kind == "tree":
            for decision in _gates(Call(kind="write", path=place.path), bounds):
                yield _explained(decision, target)


def _removal(target: Word, step: Step, bounds: Bounds) -> Iterator[Decision]:
    place = locate(target.text, bounds.ground, step.cwd)
    if place.kind == "tree" and _is_cache(place, step):
        return
    against = list(_write(target, bounds, cwd=step.cwd))
    if against and footprint.is_recursive(step):  # a folder goes where all that is in it may go
        inside = Word(posixpath.join(target.text, "*"), target.computed, target.names, target.pattern)
        against = list(_write(inside, bounds, cwd=step.cwd)) and against
    yield from against


def _is_cache(place: Place, step: Step) -> bool:
    if step.name not in {"find", "gfind"}:
        return bool(_CACHES.fullmatch(place.path))
    names = [each.text for each in step.arguments]
    sought = [names[at + 1] for at, name in enumerate(names[:-1]) if name in {"-name", "-iname"}]
    return bool(sought) and all(_CACHES.fullmatch(name) for name in sought)


def _read(place: Place, bounds: Bounds) -> Iterator[Decision]:
    if place.kind == "tree":
        yield from _gates(Call(kind="read", path=place.path), bounds)


def _explained(decision: Decision, target: Word) -> Decision:
    if not target.computed:
        return decision
    shown = f"the file to write is computed (`{target.computed}`); write its path out"
    return refused(f"{shown}. As far as it can be known: {decision.reason}", decision.gate)


def _outside(text: str, place: Place) -> str:
    shown = text if text == place.path else f"{text} ({place.path})"
    return f"{shown} is outside of your tree, and not yours to write; {SCRATCH}"
