"""The table of drivers. A new kind of agent is one module and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.drivers.acp import AcpDriver
from agents.drivers.claude import ClaudeDriver
from agents.drivers.codex import CodexDriver
from agents.drivers.command import CommandDriver
from agents.drivers.openai import OpenAIDriver
from agents.drivers.recipes import RecipesDriver
from agents.drivers.replay import ReplayDriver
from agents.drivers.scripted import ScriptedDriver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.protocol import Driver
    from tickets.agents import Agent
    from tickets.policy import Policy

DRIVERS: dict[str, Callable[[str, Agent, Path], Driver]] = {
    "acp": lambda name, agent, root: AcpDriver(name=name, settings=agent, root=root),
    "claude": lambda name, agent, root: ClaudeDriver(name=name, settings=agent, root=root),
    "codex": lambda name, agent, root: CodexDriver(name=name, settings=agent, root=root),
    "command": lambda name, agent, root: CommandDriver(name=name, command=agent.command, root=root),
    "openai": lambda name, agent, _root: OpenAIDriver(name=name, settings=agent),
    "recipes": lambda name, _agent, _root: RecipesDriver(name=name),
    "replay": lambda name, agent, root: ReplayDriver(name=name, folder=root / agent.recordings),
    "scripted": lambda name, agent, root: ScriptedDriver(name=name, script=root / agent.script),
}


def driver(policy: Policy, name: str, root: Path) -> Driver:
    """Give the driver of the named agent."""
    agent = policy.agent(name)
    return DRIVERS[agent.kind](name, agent, root)
