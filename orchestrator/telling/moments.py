"""Which events others can be told of, and what they are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.telling.sentences import in_full
from orchestrator.telling.stream import FIELDS

if TYPE_CHECKING:
    from memory.events import Event
    from orchestrator.workspace import Workspace
    from tickets.notify import Moment

_STATES: dict[str, Moment] = {"landed": "landed", "rejected": "refused", "failed": "failed", "blocked": "waiting"}
_KINDS: dict[str, Moment] = {
    "feature.ended": "ended",
    "feature.waiting": "waiting",
    "train.stopped": "stopped",
    "train.waiting": "late",
}


def moment_of(event: Event) -> Moment | None:
    """Say which moment the event is; None for those that nobody is told of."""
    if event.kind == "ticket.state":
        return _STATES.get(str(event.data.get("to")))
    return _KINDS.get(event.kind)


def message(workspace: Workspace, event: Event) -> dict[str, Any]:
    """Give what a hook receives: the event, what it means in words, and when it was sent."""
    from rich.text import Text

    title = workspace.records.ticket(event.ticket).record.title if event.ticket else ""
    return {
        "schema": 1,
        "moment": moment_of(event),
        "project": workspace.policy.project.name,
        "target": workspace.policy.project.target,
        "title": title,
        "text": Text.from_markup(in_full(event, title)).plain,
        "event": {**{name: getattr(event, name) for name in FIELDS}, "hash": event.hash},
        "sent_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
