"""`progress.md` of a feature: a log that grows, a line for each event that a person wants to look back on.

Each line carries the number of its event, so that writing the log again adds what is new and nothing twice.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from memory.events import About, read
from orchestrator.lead.artefacts import folder_of

if TYPE_CHECKING:
    from memory.events import Event
    from orchestrator.workspace import Workspace

STEP = "plan.step"
"""Event of what the lead and its challenger do before a plan is frozen."""
ENDED = frozenset({"landed", "rejected", "blocked", "failed", "abandoned"})
_LINE = re.compile(r"^- \[([0-9]+)\] ", re.MULTILINE)
_LOCK = threading.Lock()  # tickets of one runner end side by side; two runners of one repository never do


def step(workspace: Workspace, feature: str, said: str) -> None:
    """Record a step of the planning."""
    workspace.records.note(STEP, About(feature=feature), {"said": said})
    keep(workspace, feature)


def keep(workspace: Workspace, feature: str) -> None:
    """Add to the log what happened since its last line."""
    file = folder_of(workspace, feature) / "progress.md"
    with (
        _LOCK,
        suppress(OSError),
    ):  # what happened is kept by the event log; this is a copy for people, made up for next time
        known = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        whole = known[: known.rfind("\n") + 1]  # a crash may have cut the last line off
        last = max((int(number) for number in _LINE.findall(whole)), default=0)
        events = read(workspace.database, after=last, feature=feature)
        lines = [f"- [{event.seq}] {event.at[:19]} {said}\n" for event in events if (said := _said(event))]
        if lines:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as stream:
                head = f"# Progress of {feature}\n\n" if not known else "" if known.endswith("\n") else "\n"
                stream.write(head + "".join(lines))


def _said(event: Event) -> str:
    """Say in one line what happened; "" for what is of no interest here."""
    data = event.data
    match event.kind:
        case "feature.asked":
            said = f"asked: {data['request']}"
        case "feature.planned":
            names = ", ".join(f"{key} is {identity}" for key, identity in data["tickets"].items())
            said = f"frozen as {data.get('sha256', '')[:12]}: {names}"
        case "attempt.started":
            said = f"{event.ticket} attempt {event.attempt} started"
        case "ticket.state" if data["to"] in ENDED:
            said = f"{event.ticket} {data['to']}{': ' if data['reason'] else ''}{data['reason']}"
        case "feature.ended" | "feature.invalid" | "feature.waiting":
            said = f"ended: {data.get('outcome') or data.get('message', '')}"
        case "plan.step" | "plan.follow-up":
            said = data["said"]
        case "feature.extended":
            said = f"extended by {', '.join(data['tickets'].values())}"
        case "feature.reopened":
            said = "taken up again"
        case _:
            said = ""
    return " ".join(said.split())
