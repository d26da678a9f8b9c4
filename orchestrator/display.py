"""What a person reads: one line for each event, then what happened, why, and the next command to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from memory.events import Event
    from orchestrator.workspace import Workspace


def _console() -> Console:
    from rich.console import Console  # here, because --help does without it

    return Console(stderr=True, highlight=False, soft_wrap=True)


def teller(workspace: Workspace) -> Callable[[Event], None]:
    """Give a function that tells a person about an event, on standard error: standard output is for the result."""
    from orchestrator.telling.sentences import sentence

    console = _console()
    titles: dict[str, str] = {}

    def tell(event: Event) -> None:
        if event.ticket and event.ticket not in titles:
            titles[event.ticket] = workspace.records.ticket(event.ticket).record.title
        if line := sentence(event, titles.get(event.ticket, "")):
            console.print(f"[dim]{event.at[11:19]}[/] {line}")

    return tell


# the result


def summary(workspace: Workspace, outcome: dict[str, Any]) -> str:
    """Say what landed, what did not and why, what it cost, and what to type next."""
    branch, before, after = (outcome["target"][name] for name in ("branch", "before", "after"))
    lines = [f"{outcome['feature']} {outcome['outcome']}: {outcome['request']}", ""]
    for ticket in outcome["tickets"]:
        lines.append(f"  {ticket['id']}  {ticket['state']:<9} {ticket['title']}")
        if ticket["landed"]:
            lines += [f"           {line}" for line in _landed_files(workspace, ticket["landed"])]
        elif ticket["reason"]:
            lines.append(f"           {ticket['reason']}")
    moved = f"{before[:12]} -> {after[:12]}" if before != after else "not moved"
    lines += ["", f"  {branch} {moved}, ${outcome['spend_usd']:.2f} spent, {outcome['seconds']:.1f} s"]
    if "memory" in outcome:
        lines.append(f"  recorded in {outcome['memory']}")
    return "\n".join([*lines, "", *(f"  next: {command}" for command in next_commands(outcome))])


def _landed_files(workspace: Workspace, commit: str) -> list[str]:
    from worktrees.changes import between

    changes = between(workspace.repository, f"{commit}^1", commit).landing
    return [f"{change.kind:<8} {change.path} (+{change.added} -{change.deleted})" for change in changes]


def next_commands(outcome: dict[str, Any]) -> list[str]:
    stuck = [ticket for ticket in outcome["tickets"] if ticket["state"] != "landed"]
    if stuck:
        first = next((ticket for ticket in stuck if not ticket["reason"].startswith("waits for T-")), stuck[0])
        if asked := re.search(r"\bG-[0-9]+\b", first["reason"]):
            return ["orchestrate grants", f"orchestrate approve {asked[0]} --reason WHY"]
        return [f"orchestrate report {first['id']}", f"orchestrate tickets retry {first['id']}"]
    last = outcome["tickets"][-1]["id"] if outcome["tickets"] else ""
    return [f"orchestrate report {last}", "orchestrate memory show"] if last else []
