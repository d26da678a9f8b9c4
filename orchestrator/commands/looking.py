"""Commands that look back: `report` and `log`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memory.events import Event

PASSES = ("worktree", "integrated")


def _looked_at(repo: Path) -> Workspace:
    """Open a repository that something was already done in; looking never writes."""
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        raise InputError('nothing was asked for here yet; begin with: orchestrate feature "..."')
    return workspace


def report(repo: Path, ticket: str, *, form: str, attempt: int | None, stage: str | None) -> int:
    from gates.reports import FORMATS

    if form not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, not {form!r}")
    if stage is not None and stage not in PASSES:
        raise InputError(f"--pass is one of {', '.join(PASSES)}, not {stage!r}")
    workspace = _looked_at(repo)
    row = workspace.records.ticket(ticket)
    history = workspace.records.reports(ticket)
    fitting = [r for r in history if attempt in {None, r["attempt"]} and stage in {None, r["pass"]}]
    if not fitting:
        why = f" ({row.state}{': ' + row.reason if row.reason else ''})"
        raise InputError(f"{ticket} has no such report yet{why}")
    say(None, lambda: FORMATS[form](fitting[-1], history), as_json=False)
    return 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asked of the log."""

    verify: bool
    records: bool
    """Whether the records are compared with their journal, too."""
    feature: str
    ticket: str
    follow: bool

    def wants(self, event: Event) -> bool:
        """Say whether the event is about what was asked for; what the train does is about all changes that it names."""
        about = {event.ticket, *(event.data.get("changes") or ())}
        return self.feature in {"", event.feature} and (not self.ticket or self.ticket in about)


def log(repo: Path, asked: Asked, *, json: bool) -> int:
    workspace = _looked_at(repo)
    if asked.verify and asked.follow:
        raise InputError("--verify looks at the log as it stands, --follow goes on for ever; ask for one of them")
    if asked.verify:
        return _verify(workspace, records=asked.records, json=json)
    for known, look in ((asked.feature, workspace.records.feature), (asked.ticket, workspace.records.ticket)):
        if known:
            look(known)
    if asked.follow:
        return _follow(workspace, asked, json=json)
    from memory.events import read

    events = [event for event in read(workspace.database, feature=asked.feature) if asked.wants(event)]
    as_text = _plain(workspace)
    say(
        [event.to_json() for event in events] if json else None,
        lambda: "\n".join(as_text(event) for event in events) or "no event yet",
        as_json=json,
    )
    return 0


def _verify(workspace: Workspace, *, records: bool, json: bool) -> int:
    from memory.events import verify
    from memory.restore import differences

    if records:
        workspace.database.mirror  # noqa: B018 - where a server keeps the records, this is the error to tell
    chain = verify(workspace.database)
    wrong = differences(workspace.database) if records else []
    intact = chain.broken_at is None and not wrong
    data = {"events": chain.events, "intact": intact, "broken_at": chain.broken_at, "reason": chain.reason}
    why = "; ".join(filter(None, (chain.reason, *wrong)))
    whole = "the chain is intact, and every record is what was written" if records else "the chain is intact"
    text = f"{chain.events} events, {whole}" if intact else f"BROKEN: {why}; orchestrate log --restore"
    say({**data, "differences": wrong}, lambda: text, as_json=json)
    return 0 if intact else 1


def _follow(workspace: Workspace, asked: Asked, *, json: bool) -> int:
    """Tell what happened and what happens, until the reader goes away."""
    from orchestrator.telling.stream import follow, line

    as_text = _plain(workspace)

    def tell(event: Event) -> None:
        sys.stdout.write(line(event) if json else f"{as_text(event)}\n")
        sys.stdout.flush()

    try:
        follow(workspace.database, after=0, wanted=asked.wants, say=tell)
    except BrokenPipeError:
        # what is still in the buffer would fail once more when the process ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _plain(workspace: Workspace) -> Callable[[Event], str]:
    """Give a function that says an event as one line of plain text."""
    from rich.text import Text

    from orchestrator.telling.sentences import in_full

    titles = _Titles(workspace)

    def said(event: Event) -> str:
        text = Text.from_markup(in_full(event, titles[event.ticket])).plain.rstrip()
        return f"{event.seq:>5} {event.at[:19].replace('T', ' ')}  {text}"

    return said


class _Titles(dict[str, str]):
    """The tickets' titles, each read once."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__({"": ""})
        self._records: Any = workspace.records

    def __missing__(self, ticket: str) -> str:
        self[ticket] = title = str(self._records.ticket(ticket).record.title)
        return title
