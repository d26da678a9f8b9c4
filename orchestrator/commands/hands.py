"""`agents ...`: roles and drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.commands.output import say, table
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def show_all(repo: Path, *, json: bool) -> int:
    from orchestrator.readiness import readiness

    workspace = Workspace.open(repo)
    policy = workspace.policy
    played: dict[str, list[str]] = {}
    for role in ("lead", "executor", *policy.roles):
        name = policy.agent_for(role)
        played.setdefault(name, [])
        if role not in played[name]:
            played[name].append(role)
    data: list[dict[str, Any]] = []
    for name in dict.fromkeys([*policy.agents, *played]):
        try:
            probe = readiness(workspace, name)
            ready, detail = probe.ready, probe.detail
        except InputError as error:
            ready, detail = False, str(error)
        data.append(
            {
                "agent": name,
                "kind": policy.agent(name).kind,
                "roles": played.get(name, []),
                "ready": ready,
                "detail": detail,
            }
        )
    rows = [
        (
            row["agent"],
            row["kind"],
            ",".join(row["roles"]) or "-",
            "ready" if row["ready"] else "NOT READY",
            row["detail"],
        )
        for row in data
    ]
    say(data, lambda: table([tuple(str(cell) for cell in row) for row in rows]), as_json=json)
    return 0
