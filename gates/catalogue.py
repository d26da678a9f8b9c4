"""The ordered table of gates: cheap ones first. A new gate is one module and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from gates.protocol import Gate
from tickets.errors import InputError

ORDER = (
    "scope",
    "denylist",
    "vcs",
    "size",
    "structure",
    "interfaces",
    "dependencies",
    "secrets",
    "tamper",
    "metrics",
    "reproducibility",
    "logging",
    "paid_compute",
    "cost",
    "origin",
    "imports",  # may time commands; from here on, processes are started
    "migrations",
    "checks",
    "tests",
    "acceptance",
    "smoke",
    "report",  # after all that measure: it holds the agent's claims against their receipts
    "audit",  # last: nobody pays for an audit while another gate refuses
)
"""Modules of `gates/builtin/`, in the order in which they are asked."""


def _load(module: str) -> Gate:
    gate: Gate = import_module(f"gates.builtin.{module}").GATE
    return gate


BUILT_IN: dict[str, Gate] = {gate.name: gate for gate in map(_load, ORDER)}
ENTRY_POINTS = "signalbox.gates"


@cache
def catalogue() -> dict[str, Gate]:
    """Give the built-in gates and those of installed packages, in the order in which they run."""
    gates = dict(BUILT_IN)
    last = {name: gates.pop(name) for name in ("report", "audit")}
    for point in entry_points(group=ENTRY_POINTS):
        gate = point.load()
        if not isinstance(gate, Gate):
            raise InputError(
                f"entry point {point.name} of {ENTRY_POINTS} gives {type(gate).__name__}, not a gates.protocol.Gate"
            )
        if gate.name in BUILT_IN:
            raise InputError(
                f"entry point {point.name} of {ENTRY_POINTS} takes the name of the built-in gate {gate.name}"
            )
        gates[gate.name] = gate
    return {**gates, **last}
