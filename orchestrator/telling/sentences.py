"""What each event means for a person: one sentence, with the marks of rich in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory.events import Event

    Speaker = Callable[[Event, str, Mapping[str, Any]], str]

MARKS = {
    "landed": "[green]landed[/]",
    "rejected": "[red]rejected[/]",
    "failed": "[red]failed[/]",
    "blocked": "[yellow]blocked[/]",
    "pass": "[green]pass[/]",
    "fail": "[red]fail[/]",
    "inconclusive": "[yellow]inconclusive[/]",
}
_BETWEEN = frozenset({"running", "verifying", "queued", "landing"})
"""States that a person who watches a run hears of by other events."""
SHOWN = 200
"""Characters of an event that nobody has a sentence for."""


def sentence(event: Event, title: str) -> str:
    """Say what the event means for a person who watches the run; empty for those that mean nothing to one."""
    return _said(_LIVE, event, title)


def in_full(event: Event, title: str) -> str:
    """Say what any event of the log means."""
    said = _said(_LOGGED, event, title) or _said(_LIVE, event, title)
    if said:
        return said
    from rich.markup import escape

    data = json.dumps(event.data, sort_keys=True)[:SHOWN] if event.data else ""
    return " ".join(part for part in (event.ticket or event.feature, event.kind, escape(data)) if part)


def _said(speakers: Mapping[str, Speaker], event: Event, title: str) -> str:
    from rich.markup import escape

    speaker = speakers.get(event.kind)
    return speaker(event, escape(title), _Data(event.data)) if speaker else ""


class _Data(dict[str, Any]):
    """What an event tells, safe to print; what it does not tell is empty, so that an old log can be read."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        from rich.markup import escape

        super().__init__({name: escape(value) if isinstance(value, str) else value for name, value in data.items()})

    def __missing__(self, name: str) -> str:
        return ""


def _escaped(items: object) -> list[str]:
    from rich.markup import escape

    return [escape(str(item)) for item in items] if isinstance(items, list | tuple) else []


def _because(data: Mapping[str, Any]) -> str:
    why = data["reason"] or data["finding"]
    return f": {why}" if why else ""


# features and tickets


def _planned(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    lines = [f"{event.feature} planned: {len(data['tickets'])} tickets ({', '.join(sorted(data['tickets'].values()))})"]
    lines += [f"assumed: {item}" for item in _escaped(data["assumptions"])]
    lines += [f"ordered: {item}" for item in _escaped(data["notes"])]
    return "\n         ".join(lines)


def _extended(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    return f"{event.feature} has further tickets: {', '.join(sorted(data['tickets'].values()))}"


def _ended(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    return f"{event.feature} ended: {MARKS.get(data['outcome'], data['outcome'] or 'nothing came of it')}"


def _state(event: Event, title: str, data: Mapping[str, Any]) -> str:
    if data["to"] in _BETWEEN:
        return ""
    if data["to"] == "ready":
        return f"{event.ticket} sent back{_because(data)}"
    return f"{event.ticket} {MARKS.get(data['to'], data['to'])}  {title}{_because(data)}"


def _any_state(event: Event, title: str, data: Mapping[str, Any]) -> str:
    return _state(event, title, data) or f"{event.ticket} is {data['to']} (was {data['from']}){_because(data)}"


def _attempt(said: str) -> Speaker:
    return lambda event, _title, _data: f"{event.ticket} attempt {event.attempt} {said}"


def _judged(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    noes = [name for name, said in data["gates"].items() if said != "pass"]
    return f"{event.ticket} {data['pass']} gates: {MARKS[data['verdict']]}" + (f" ({', '.join(noes)})" if noes else "")


# the train


def _ids(data: Mapping[str, Any], name: str) -> str:
    return ", ".join(_escaped(data[name]))


def _who(event: Event, data: Mapping[str, Any]) -> str:
    return _ids(data, "changes") or event.ticket or "the train"


def _onto(data: Mapping[str, Any]) -> str:
    ahead = _ids(data, "ahead")
    return f"the target with {ahead}" if ahead else "the target"


def _joined(event: Event, title: str, data: Mapping[str, Any]) -> str:
    place = f" at place {data['seq']}" if data["seq"] else ""
    return f"{event.ticket} joined the train{place}  {title}"


def _result(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    seconds = f" in {data['seconds']:.1f} s" if isinstance(data["seconds"], int | float) else ""
    blamed = f"; at fault: {_ids(data, 'blamed')}" if data["blamed"] else ""
    verdict = MARKS.get(data["verdict"], data["verdict"])
    return f"{_who(event, data)} judged in the train on {_onto(data)}: {verdict}{seconds}{blamed}{_because(data)}"


def _window(_event: Event, _title: str, data: Mapping[str, Any]) -> str:
    before = f" (was {data['before']})" if data["before"] else ""
    return f"the train judges up to {data['window']} ahead now{before}{_because(data)}"


def _late(event: Event, title: str, data: Mapping[str, Any]) -> str:
    since = f" since {data['since']}" if data["since"] else ""
    return f"[yellow]{_who(event, data)} waits in the train for long{since}[/]  {title}{_because(data)}"


def _moved(event: Event, title: str, data: Mapping[str, Any]) -> str:
    return f"{event.ticket} moved {data['target'] or 'the target'} to {data['new'][:12]}  {title}"


def _pushed(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    to = f" to {data['remote']}" if data["remote"] else ""
    return f"{_who(event, data)} pushed{to}{_because(data)}"


def _revert_asked(event: Event, _title: str, data: Mapping[str, Any]) -> str:
    return f"{data['ticket']} is to be taken back by {event.ticket}{_because(data)}"


# all else


def _grant(said: str) -> Speaker:
    def speak(event: Event, _title: str, data: Mapping[str, Any]) -> str:
        what = " ".join(part for part in (data["kind"], data["subject"]) if part)
        person = f" by {data['person']}" if data["person"] else ""
        return f"{event.ticket} {said}: {what} ({data['id']}{person}){_because(data)}"

    return speak


def _followed(_event: Event, _title: str, data: Mapping[str, Any]) -> str:
    if data["trouble"]:
        return (
            f"[yellow]{data['worktree']} could not follow the target ({data['trouble']}); nothing in it was touched[/]"
        )
    if data["left_alone"]:
        names = ", ".join(_escaped(data["left_alone"])[:5])
        return f"[yellow]{data['worktree']} has uncommitted changes ({names}); they were left as they are[/]"
    return ""


def _recovered(_event: Event, _title: str, data: Mapping[str, Any]) -> str:
    if data["said"]:
        return "recovered after a crash: " + "; ".join(_escaped(data["said"]))
    found = [f"{name} archived" for name in _escaped(data["archived"])]
    return "recovered after a crash: " + "; ".join(
        [*found, *(f"stale {name} removed" for name in _escaped(data["locks"]))]
    )


def _hook_failed(_event: Event, _title: str, data: Mapping[str, Any]) -> str:
    after = "it is told again with the next run" if data["again"] else "it is not told again"
    return f"[yellow]{data['hook']} was not told of event {data['event']}: {data['reason']}; {after}[/]"


_LIVE: dict[str, Speaker] = {
    "feature.asked": lambda event, _title, data: f"{event.feature} asked: {data['request']}",
    "feature.planned": _planned,
    "plan.step": lambda event, _title, data: f"{event.feature} {data['said']}",
    "plan.follow-up": lambda _event, _title, data: str(data["said"]),
    "attempt.started": lambda event, title, _data: f"{event.ticket} attempt {event.attempt}  {title}",
    "attempt.interrupted": _attempt("was interrupted; it is archived and made again"),
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
    "train.trouble": lambda _event, _title, data: f"[yellow]{data['reason'] or 'the train stands still'}[/]",
    "train.stopped": lambda _event, _title, data: f"[red]the train stopped[/]{_because(data)}",
    "train.waiting": _late,
    "landing.followed": _followed,
    "landing.pushed": _pushed,
    "landing.revert-asked": _revert_asked,
    "landing.reverted": lambda event, _title, data: f"{event.ticket} took {data['ticket']} back",
    "train.followed": lambda _event, _title, data: f"{data['target']} followed {data['remote']} to {data['new'][:12]}",
    "hook.failed": _hook_failed,
    "runner.recovered": _recovered,
}
"""For those who watch a run."""

_LOGGED: dict[str, Speaker] = {
    "feature.running": lambda event, _title, _data: f"{event.feature} is under way",
    "feature.ended": _ended,
    "feature.waiting": lambda event, _title, _data: f"{event.feature} waits for a person's answer",
    "feature.invalid": lambda event, _title, data: f"{event.feature} could not be planned: {data['message']}",
    "feature.reopened": lambda event, _title, _data: f"{event.feature} goes on",
    "feature.extended": _extended,
    "ticket.state": _any_state,
    "ticket.claimed": lambda event, _title, data: f"{event.ticket} is taken up by {data['clone']}; its logs are there",
    "ticket.revised": lambda event, _title, data: f"{event.ticket} was edited: revision {data['revision']}",
    "attempt.captured": _attempt("has ended, and what it wrote is kept"),
    "attempt.passed": _attempt("passed in its own tree"),
    "attempt.refused": _attempt("was refused"),
    "attempt.failed": _attempt("failed"),
    "attempt.inconclusive": _attempt("could not be judged"),
    "attempt.conflict": _attempt("conflicts with what landed meanwhile"),
    "train.joined": _joined,
    "train.predicted": lambda event, _title, data: f"{_who(event, data)} is predicted on {_onto(data)}{_because(data)}",
    "train.started": lambda event, _title, data: (
        f"{_who(event, data)} is being judged on {_onto(data)}{_because(data)}"
    ),
    "train.judged": _result,
    "train.left": lambda event, title, data: f"{_who(event, data)} left the train  {title}{_because(data)}",
    "train.window": _window,
    "landing.intended": lambda event, _title, data: f"{event.ticket} is about to move the target to {data['new'][:12]}",
    "landing.moved": _moved,
    "landing.followed": lambda event, title, data: (
        _followed(event, title, data) or f"{data['worktree']} followed the target"
    ),
    "grant.asked": _grant("asks"),
    "grant.approved": _grant("is permitted"),
    "grant.denied": _grant("is denied"),
    "grant.used": lambda event, _title, data: f"{event.ticket} used the permission {data['id']}",
    "audit.answered": lambda event, _title, _data: f"{event.ticket} was read by the auditor",
    "memory.dead-end": lambda _event, _title, data: f"a dead end was kept: {data['text'] or data['said']}",
}
"""For those who read the log; what is not here is said as above."""
