"""The table of drivers. A new kind of agent is one module and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.drivers.command import CommandDriver
from agents.drivers.recipes import RecipesDriver
from agents.drivers.scripted import ScriptedDriver
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.protocol import Driver
    from tickets.policy import Agent, Policy

DRIVERS: dict[str, Callable[[str, Agent, Path], Driver]] = {
    "command": lambda name, agent, root: CommandDriver(name=name, command=agent.command, root=root),
    "recipes": lambda name, _agent, _root: RecipesDriver(name=name),
    "scripted": lambda name, agent, root: ScriptedDriver(name=name, script=root / agent.script),
}


def driver(policy: Policy, name: str, root: Path) -> Driver:
    """Give the driver of the named agent; raise InputError for a kind that has none here."""
    agent = policy.agent(name)
    if agent.kind not in DRIVERS:
        kinds = ", ".join(sorted(DRIVERS))
        raise InputError(
            f"agents.{name}.kind: {agent.kind!r} has no driver in this version (there are {kinds}); "
            'until then any client runs as kind = "command", with its command line'
        )
    return DRIVERS[agent.kind](name, agent, root)
