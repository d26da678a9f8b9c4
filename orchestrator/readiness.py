"""Whether an agent can start here: its client, and its way out of the sandbox to its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agents.catalogue import driver
from worktrees.gateway import Rules

if TYPE_CHECKING:
    from agents.protocol import Probe
    from orchestrator.workspace import Workspace
    from tickets.agents import Agent
    from tickets.policy import Policy

SERVICES = {"claude": "https://api.anthropic.com", "codex": "https://api.openai.com"}
"""Where the models of clients are that call them from inside the sandbox."""
ELSEWHERE = "CLAUDE_CODE_USE_"
"""Variables that begin so send Claude Code to another service, whose place only its account knows."""


def readiness(workspace: Workspace, name: str) -> Probe:
    """Probe the named agent, without asking a model."""
    found = driver(workspace.policy, name, workspace.root).probe()
    why = out_of_reach(workspace.policy, workspace.policy.agent(name)) if found.ready else ""
    return replace(found, ready=False, detail=why) if why else found


def out_of_reach(policy: Policy, agent: Agent) -> str:
    """Say that the sandbox would keep the agent's client from its model; "" where it does not."""
    if agent.kind not in SERVICES or policy.sandbox.mode == "none" or any(map(_elsewhere, agent.env)):
        return ""
    url = urlsplit(agent.base_url or SERVICES[agent.kind])
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    if Rules.of(policy.sandbox.network).reaches(host, port):
        return ""
    wanted = host if port == 443 else f"{host}:{port}"  # noqa: PLR2004 - the port that need not be written
    return f'its model at {wanted} cannot be reached from the sandbox: add "{wanted}" to network under [sandbox]'


def _elsewhere(name: str) -> bool:
    return name.startswith(ELSEWHERE)
