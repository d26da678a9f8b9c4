"""What a person reads: one line for each event, then what happened, why, and the next command to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from memory.events import Event
    from orchestrator.workspace import Workspace

MARKS = {
    "landed": "[green]landed[/]",
    "rejected": "[red]rejected[/]",
    "failed": "[red]failed[/]",
    "blocked": "[yellow]blocked[/]",
}


def _console() -> Console:
    from rich.console import Console  # here, because --help does without it

    return Console(stderr=True, highlight=False, soft_wrap=True)


def teller(workspace: Workspace) -> Callable[[Event], None]:
    """Give a function that tells a person about an event, on standard error: standard output is for the result."""
    console = _console()
    titles: dict[str, str] = {}

    def tell(event: Event) -> None:
        if event.ticket and event.ticket not in titles:
            titles[event.ticket] = workspace.records.ticket(event.ticket).record.title
        if line := sentence(event, titles.get(event.ticket, "")):
            console.print(f"[dim]{event.at[11:19]}[/] {line}")

    return tell


def sentence(event: Event, title: str) -> str:
    """Say in one line what the event means for a person; empty for those that mean nothing to one."""
    from rich.markup import escape

    speaker = _SENTENCES.get(event.kind)
    return speaker(event, escape(title), {name: _safe(value) for name, value in event.data.items()}) if speaker else ""


def _safe(value: object) -> Any:
    from rich.markup import escape

    return escape(value) if isinstance(value, str) else value


def _planned(event: Event, _title: str, data: dict[str, Any]) -> str:
    lines = [f"{event.feature} planned: {len(data['tickets'])} tickets ({', '.join(sorted(data['tickets'].values()))})"]
    return "\n         ".join(
        [*lines, *(f"assumed: {item}" for item in data["assumptions"]), *(f"ordered: {item}" for item in data["notes"])]
    )


def _state(event: Event, title: str, data: dict[str, Any]) -> str:
    if data["to"] in {"running", "verifying", "queued", "landing"}:
        return ""
    reason = f": {data['reason']}" if data["reason"] else ""
    if data["to"] == "ready":
        return f"{event.ticket} sent back{reason}"
    return f"{event.ticket} {MARKS.get(data['to'], data['to'])}  {title}{reason}"


def _judged(event: Event, _title: str, data: dict[str, Any]) -> str:
    noes = [name for name, said in data["gates"].items() if said != "pass"]
    said = {"pass": "[green]pass[/]", "fail": "[red]fail[/]", "inconclusive": "[yellow]inconclusive[/]"}[
        data["verdict"]
    ]
    return f"{event.ticket} {data['pass']} gates: {said}" + (f" ({', '.join(noes)})" if noes else "")


def _followed(_event: Event, _title: str, data: dict[str, Any]) -> str:
    if data["trouble"]:
        return (
            f"[yellow]{data['worktree']} could not follow the target ({data['trouble']}); nothing in it was touched[/]"
        )
    if data["left_alone"]:
        names = ", ".join(data["left_alone"][:5])
        return f"[yellow]{data['worktree']} has uncommitted changes ({names}); they were left as they are[/]"
    return ""


_SENTENCES: dict[str, Callable[[Event, str, dict[str, Any]], str]] = {
    "feature.asked": lambda event, _title, data: f"{event.feature} asked: {data['request']}",
    "feature.planned": _planned,
    "plan.step": lambda event, _title, data: f"{event.feature} {data['said']}",
    "plan.follow-up": lambda _event, _title, data: data["said"],
    "attempt.started": lambda event, title, _data: f"{event.ticket} attempt {event.attempt}  {title}",
    "attempt.interrupted": lambda event, _title, _data: (
        f"{event.ticket} attempt {event.attempt} was interrupted; it is archived and made again"
    ),
    "gates.judged": _judged,
    "spend.warned": lambda event, _title, data: (
        f"[yellow]{event.ticket or event.feature or 'today'}: {data['said']}[/]"
    ),
    "spend.waits": lambda event, _title, data: (
        f"{event.ticket or event.feature}: {data['agent']} waits for money that other runs hold ({data['for']})"
    ),
    "ticket.state": _state,
    "ticket.waits": lambda event, _title, data: f"{event.ticket} waits: {data['agent']} goes on at {data['until']}",
    "ticket.trouble": lambda event, _title, data: f"[yellow]{event.ticket}: {data['reason']}[/]",
    "memory.trouble": lambda _event, _title, data: (
        f"[yellow]the project's memory could not be written: {data['reason']}[/]"
    ),
    "landing.followed": _followed,
    "runner.recovered": lambda _event, _title, data: (
        "recovered after a crash: "
        + "; ".join(
            [
                *(f"{name} archived" for name in data["archived"]),
                *(f"stale {lock} removed" for lock in data.get("locks", [])),
            ]
        )
    ),
}


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
