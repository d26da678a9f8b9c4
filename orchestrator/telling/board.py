"""What `status --watch` shows, as data: the target, the train in its order, what waits for a person, what left and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memory.events import read
from memory.trains import Trains
from orchestrator.telling.cursors import troubles
from tickets.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memory.events import Event
    from memory.records import TicketRow
    from orchestrator.workspace import Workspace

LOOKED_BACK = 2000
"""Events among which the last departures and landings are looked for."""
RECENT = 6
"""Departures, and landings, that are shown."""
_AT_WORK = frozenset({State.RUNNING, State.VERIFYING})


class Board:
    """Makes the picture again and again; what cannot have changed is not read again."""

    def __init__(self, workspace: Workspace) -> None:
        from memory.claims import Claims  # here, because `status` in brief does without them
        from orchestrator.owners import alive, this_process

        self._workspace = workspace
        self._trains = Trains(workspace.database)
        self._claims = Claims(workspace.database, owner=this_process(), alive=alive)
        self._seq = -1
        self._past: dict[str, Any] = {}
        self._titles: dict[str, str] = {}

    def look(self) -> dict[str, Any]:
        """Give what there is to see now."""
        if not self._workspace.database.exists:
            return {"at": _now(), "target": self._target(None), "train": None, **_NOTHING}
        self._look_back()
        target = self._workspace.policy.project.target
        shown = self._trains.shown(target)
        rows = [
            row for one in self._workspace.records.open_features() for row in self._workspace.records.tickets(one.id)
        ]
        rows += [row for one in self._waiting() if (row := one) not in rows]
        self._titles |= {row.id: row.record.title for row in rows}
        return {
            "at": _now(),
            "target": self._target(shown),
            "train": self._train(shown) if shown else None,
            "at_work": [self._named(row) for row in rows if row.state in _AT_WORK],
            "to_come": [self._named(row) for row in rows if row.state is State.READY],
            "for_a_person": self._for_a_person(rows),
            "left": self._past["left"],
            "landed": self._past["landed"],
            "hooks": troubles(self._workspace.state),
        }

    def _target(self, shown: Mapping[str, Any] | None) -> dict[str, str]:
        branch = self._workspace.policy.project.target
        head = self._workspace.repository.commit(f"refs/heads/{branch}") or str((shown or {}).get("head", ""))
        return {"branch": branch, "head": head}

    # the train

    def _train(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        known = {name: shown.get(name) for name in ("window", "slots", "batch", "rate")}
        waiting = {one["ticket"]: one for one in shown.get("waiting", [])}
        order = [self._car(one, waiting) for one in shown.get("order", [])]
        placed = {ticket for one in order for ticket in one["changes"]}
        behind = [{**one, "title": self._title(ticket)} for ticket, one in waiting.items() if ticket not in placed]
        leaders = self._claims.held(f"train:{self._workspace.policy.project.target}")
        return {
            **known,
            "led_by": leaders[0].owner if leaders else "",
            "stopped": shown.get("stopped") or self._past["stopped"],
            "order": order,
            "behind": behind,
        }

    def _car(self, shown: Mapping[str, Any], waiting: Mapping[str, Any]) -> dict[str, Any]:
        changes = [str(ticket) for ticket in shown["changes"]]
        reasons = (str(waiting.get(ticket, {}).get("reason", "")) for ticket in changes)
        return {
            "changes": changes,
            "titles": [self._title(ticket) for ticket in changes],
            "ahead": list(shown.get("ahead", [])),
            "state": str(shown.get("state", "")),
            "gate": str(shown.get("gate") or ""),
            "since": shown.get("since"),
            "seconds": _seconds(shown),
            "reason": str(shown.get("reason") or next((reason for reason in reasons if reason), "")),
        }

    def _title(self, ticket: str) -> str:
        if ticket not in self._titles:
            self._titles[ticket] = self._workspace.records.ticket(ticket).record.title
        return self._titles[ticket]

    # all else

    def _named(self, row: TicketRow) -> dict[str, str]:
        return {"ticket": row.id, "title": row.record.title, "state": row.state.value, "reason": row.reason}

    def _waiting(self) -> list[TicketRow]:
        """Give the tickets that the requests for permission belong to, of ended features, too."""
        asked = {grant.ticket for grant in self._workspace.grants.of() if grant.state == "waiting"}
        return [self._workspace.records.ticket(ticket) for ticket in sorted(asked)]

    def _for_a_person(self, rows: Iterable[TicketRow]) -> list[dict[str, str]]:
        asked = {grant.ticket: grant.id for grant in self._workspace.grants.of() if grant.state == "waiting"}
        found = []
        for row in rows:
            if row.id in asked:
                next_ = f"orchestrate approve {asked[row.id]} --reason WHY"
                found.append({**self._named(row), "next": next_})
            elif row.state is State.BLOCKED:
                found.append({**self._named(row), "next": f"orchestrate resume {row.feature}"})
        for feature in self._workspace.records.open_features():
            if feature.state == "waiting":
                why = "its request leaves questions open"
                next_ = f"orchestrate status {feature.id} --json"
                found.append(
                    {"ticket": feature.id, "title": feature.request, "state": "waiting", "reason": why, "next": next_}
                )
        return found

    def _look_back(self) -> None:
        """Read from the log who left, what landed, and whether the train stands still; only when the log has grown."""
        from orchestrator.telling.stream import last_seq

        seq = last_seq(self._workspace.database)
        if seq == self._seq:
            return
        past: dict[str, Any] = {"left": [], "landed": [], "stopped": ""}
        for event in read(self._workspace.database, after=max(seq - LOOKED_BACK, 0)):
            self._remember(past, event)
        self._past, self._seq = past, seq

    def _remember(self, past: dict[str, Any], event: Event) -> None:
        if event.kind == "train.stopped":
            past["stopped"] = str(event.data.get("finding") or event.data.get("reason") or "")
        elif event.kind in {"train.predicted", "train.joined"}:
            past["stopped"] = ""
        told = {"ticket": event.ticket, "at": event.at}
        if event.kind == "landing.moved":
            past["left"] = [one for one in past["left"] if one["ticket"] != event.ticket]
            one = {**told, "title": self._title(event.ticket), "commit": str(event.data.get("new", ""))}
            past["landed"] = [*past["landed"], one][-RECENT:]
        elif event.kind == "train.left" and not _landed(event):
            one = {**told, "title": self._title(event.ticket), "reason": str(event.data.get("reason", ""))}
            past["left"] = [*(old for old in past["left"] if old["ticket"] != event.ticket), one][-RECENT:]


_NOTHING: dict[str, Any] = {name: [] for name in ("at_work", "to_come", "for_a_person", "left", "landed", "hooks")}


def _landed(event: Event) -> bool:
    return str(event.data.get("reason", "")) in {"landed", "it is landed"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _seconds(shown: Mapping[str, Any]) -> float | None:
    """Say how long the run took, or how long it has been going on."""
    if isinstance(shown.get("seconds"), int | float):
        return float(shown["seconds"])
    since = shown.get("since")
    if isinstance(since, int | float):
        return max(0.0, datetime.now(UTC).timestamp() - since)
    if isinstance(since, str) and since:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since).astimezone(UTC)).total_seconds())
    return None


def in_brief(workspace: Workspace) -> str:
    """Say in one line how the train stands; empty where nobody is in it."""
    target = workspace.policy.project.target
    cars = Trains(workspace.database).cars(target)
    if not cars:
        return ""
    number = "1 change" if len(cars) == 1 else f"{len(cars)} changes"
    return f"the train to {target}: {number}; orchestrate status --watch shows it"
