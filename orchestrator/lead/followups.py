"""What a ticket's report asks the lead or leaves to it, and what the lead makes of it: an answer, a wider scope, further tickets.

The lead is asked at most once for each attempt, and no oftener for a feature than [planning] allows. What it decides is held to the same
rules as its plan; a decision that cannot be carried out, or none at all, changes nothing: the ticket goes on as if nobody had been asked.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from agents.catalogue import driver
from agents.planning_brief import Raised, for_follow_up
from agents.protocol import Question
from gates.builtin.denylist import protected
from gates.claims import sections
from memory.events import About, read
from orchestrator.borrowing import Desk, borrowed
from orchestrator.lead.artefacts import folder_of, write_tickets
from orchestrator.lead.planner import TIMEOUT_S
from orchestrator.lead.progress import keep
from orchestrator.lead.rules import LEAD, first_of
from orchestrator.planning import checked, wide
from tickets.documents import Strict, validate
from tickets.errors import FileError, SignalboxError
from tickets.globs import is_literal, matches, overlap
from tickets.grants import Need
from tickets.model import Block, Draft, Glob, Line, Ticket
from tickets.plan import Plan, settled
from tickets.plans.answer import read_answer
from tickets.plans.checks import problems_of
from tickets.states import ENDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory.records import TicketRow
    from orchestrator.workspace import Workspace
    from tickets.documents import Document
    from tickets.grants import Grant

RAISED = ("questions", "out-of-scope issues found")
"""Sections of a report that speak to the lead."""
DECIDED = "plan.follow-up"
HEAD = "Decided by the lead:"
_NOTHING = re.compile(
    r"[\W_]*(?:(?:none|nothing|no|n/?a|not applicable)(?:[\W_]+(?:known|found|issues?|questions?|observed|noticed|identified|to|report"
    r"|out|of|scope|open|at|this|time|yet|so|far|other|further|were|was))*[\W_]*)?",
    re.IGNORECASE,
)

Choice = Literal["nothing", "answer", "widen", "split", "add"]
_COUNTING = threading.Lock()
_ASKING: Counter[str] = Counter()
"""Questions that the lead has not answered yet, by feature; there is one runner for each repository."""
AFTERWARDS = frozenset({"nothing", "add"})
"""All that can be decided once the ticket's own change stands."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the lead decided, and what came of it."""

    choice: Choice
    why: str = ""
    tickets: tuple[str, ...] = ()
    """Ids of the tickets that were added."""
    grants: tuple[str, ...] = ()
    """What a person was asked for: the ticket waits for the answer."""
    told: str = ""
    """What the agent has to know when it goes on; a conversation that is taken up again is told nothing else."""

    @property
    def waits(self) -> str:
        """Say what the ticket waits for; "" where it does not."""
        if not self.grants:
            return ""
        return f"waits for a person: {', '.join(self.grants)} (scope); next: orchestrate approve {self.grants[0]} --reason WHY"


NOTHING = Decision(choice="nothing")


@dataclass(frozen=True, kw_only=True)
class Reported:
    """An attempt's report, and what the gates said of its change."""

    text: str
    attempt: int
    passed: bool


class _Said(Strict):
    decision: Choice
    why: Line = ""
    text: Block = ""
    paths: tuple[Glob, ...] = ()
    tickets: tuple[Draft, ...] = ()


def raised_in(report: str) -> str:
    """Give the sections of a report that speak to the lead; "" where they say that there is nothing."""
    found = sections(report)
    said = [(name, found.get(name, "")) for name in RAISED]
    return "\n\n".join(f"## {name.capitalize()}\n\n{text}" for name, text in said if not _NOTHING.fullmatch(text))


def consult(workspace: Workspace, row: TicketRow, reported: Reported) -> Decision:
    """Have the lead decide on what the attempt raised; doing it again gives the same decision."""
    text = raised_in(reported.text)
    if not text or not _asks(workspace):
        return NOTHING
    key = f"follow-up {row.id} {reported.attempt}"
    if kept := workspace.records.get(key):
        return _kept(kept)
    with _turn(workspace, row.feature) as may_ask:
        if not may_ask:
            return NOTHING
        return _decide(workspace, row, _Case(key=key, text=text, attempt=reported.attempt, passed=reported.passed))


@contextmanager
def _turn(workspace: Workspace, feature: str) -> Iterator[bool]:
    """Say whether the lead may be asked once more: tickets side by side do not ask oftener than one after another."""
    with _COUNTING:
        before = sum(event.kind == DECIDED for event in read(workspace.database, feature=feature))
        may_ask = before + _ASKING[feature] < workspace.policy.planning.max_follow_ups
        _ASKING[feature] += may_ask
    try:
        yield may_ask
    finally:
        with _COUNTING:
            _ASKING[feature] -= may_ask


def _asks(workspace: Workspace) -> bool:
    """Say whether there is a lead that can answer: one that repeats itself knows its recipes and no more."""
    planning = workspace.policy.planning
    return planning.follow_up == "auto" and not driver(workspace.policy, planning.lead, workspace.root).repeats_itself


def _kept(values: dict[str, object]) -> Decision:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Decision(**{**values, **lists})  # type: ignore[arg-type]  # as it was kept


@dataclass(frozen=True, kw_only=True)
class _Case:
    key: str
    text: str
    attempt: int
    passed: bool


def _decide(workspace: Workspace, row: TicketRow, case: _Case) -> Decision:
    """Ask, and carry out what is answered: the decision and what comes of it stand together or not at all."""
    said, trouble = _Said(decision="nothing"), ""
    try:
        document = read_answer(_ask(workspace, row, case), "the decision of the lead")
        said = _understood(workspace, row, document, case)
    except SignalboxError as error:
        said, trouble = _Said(decision="nothing"), " ".join(str(error).split())
    with workspace.database.transaction():
        decision = _carried_out(workspace, row, said)
        workspace.records.put(case.key, asdict(decision))
        told = trouble and f"the lead's decision could not be used: {trouble}"
        line = f"{row.id} attempt {case.attempt} asked the lead: {told or _told(decision)}"
        about = About(feature=row.feature, ticket=row.id, attempt=case.attempt)
        workspace.records.note(DECIDED, about, {"said": line, **asdict(decision)})
    changed = (row.id, *decision.tickets)
    write_tickets(workspace, [one for one in workspace.records.tickets(row.feature) if one.id in changed])
    keep(workspace, row.feature)
    return decision


def _told(decision: Decision) -> str:
    which = ", ".join((*decision.tickets, *decision.grants))
    return f"{decision.choice}{f' ({which})' if which else ''}{f': {decision.why}' if decision.why else ''}"


def _ask(workspace: Workspace, row: TicketRow, case: _Case) -> str:
    feature = workspace.records.feature(row.feature)
    raised = Raised(
        ticket=row.record,
        report=case.text,
        others=tuple(
            f"{one.id} {one.state}: {one.record.title} ({', '.join(one.record.scope.allowed)})"
            for one in workspace.records.tickets(row.feature)
        ),
        room=_room(workspace, row.feature),
        passed=case.passed,
    )
    logs = folder_of(workspace, row.feature) / "lead" / f"{row.id}-{case.attempt}"
    agent, about = workspace.policy.planning.lead, About(feature=row.feature, ticket=row.id, attempt=case.attempt)
    desk = Desk(agent=agent, commit=workspace.head(), logs=logs, timeout_s=TIMEOUT_S, about=about)
    with borrowed(workspace, desk) as (lead, bench):
        brief = for_follow_up(feature.request, raised)
        asked = row.record.model_copy(update={"role": LEAD})  # drivers tell by it who is asked
        return lead.answer(Question(ticket=asked, attempt=case.attempt, phase=1, brief=brief, bench=bench))


def _room(workspace: Workspace, feature: str) -> int:
    return max(0, workspace.policy.planning.max_tickets - len(workspace.records.tickets(feature)))


# what was answered, held to the rules


def _understood(workspace: Workspace, row: TicketRow, document: Document, case: _Case) -> _Said:
    """Read the decision; raise FileError with everything that keeps it from being carried out."""
    if not isinstance(document.data, dict):
        raise FileError(document.problem((), "expected a mapping with `decision:`"))
    said = validate(_Said, document)
    wanted = {"answer": ("text",), "widen": ("paths",), "split": ("tickets", "text"), "add": ("tickets",)}
    problems = [
        document.problem((key,), f"expected something here, because the decision is `{said.decision}`")
        for key in wanted.get(said.decision, ())
        if not getattr(said, key)
    ]
    if case.passed and said.decision not in AFTERWARDS:
        problems.append(document.problem(("decision",), "expected `add` or `nothing`: the change has passed already"))
    problems += [
        document.problem(("paths", index), f"expected a single file that nobody protects, not {path!r}")
        for index, path in enumerate(said.paths)
        if not is_literal(path) or matches(path, protected(workspace.policy))
    ]
    if problems:
        raise FileError(*problems)
    if said.decision not in {"split", "add"}:
        return said
    return said.model_copy(update={"tickets": _as_plan(workspace, row, said, document)})


def _as_plan(workspace: Workspace, row: TicketRow, said: _Said, document: Document) -> tuple[Draft, ...]:
    """Hold the new tickets to what a plan is held to; they come after those of the feature that write the same."""
    rows = workspace.records.tickets(row.feature)
    drafts = tuple(_after(draft.model_copy(update={"meets": ()}), rows) for draft in said.tickets)
    plan = Plan(request=workspace.records.feature(row.feature).request, tickets=drafts)
    known = [one.id for one in rows]
    if problems := list(problems_of(drafts, document, max_tickets=_room(workspace, row.feature), known=known)):
        raise FileError(*problems)
    plan = settled(plan, first=first_of(workspace.policy))
    return checked(workspace, plan, workspace.head(), document.name, more=wide(plan, document.name)).tickets


def _after(draft: Draft, rows: Iterable[TicketRow]) -> Draft:
    before = [
        one.id for one in rows if one.state not in ENDS and overlap(one.record.scope.allowed, draft.scope.allowed)
    ]
    return draft.model_copy(update={"depends_on": tuple(dict.fromkeys((*draft.depends_on, *before)))})


# carrying it out


def _carried_out(workspace: Workspace, row: TicketRow, said: _Said) -> Decision:
    tickets: list[str] = []
    grants: list[str] = []
    if len(said.tickets) > (room := _room(workspace, row.feature)):  # another ticket's question was answered meanwhile
        return Decision(
            choice="nothing", why=f"{len(said.tickets)} more tickets were decided on, and there is room for {room}"
        )
    if said.decision in {"split", "add"}:
        tickets = workspace.records.add_tickets(row.feature, said.tickets)
    if said.decision == "widen":
        needs = [
            (_need(workspace, path), said.why or "the lead wants the ticket to write this, too") for path in said.paths
        ]
        grants = [one.id for one in workspace.grants.ask(row, needs) if one.state == "waiting"]
    if said.decision in {"answer", "split"}:
        context = "\n\n".join(filter(None, (row.record.context, _told_on(said, tickets))))
        workspace.records.revise(row.record.model_copy(update={"context": context}))
    return Decision(
        choice=said.decision, why=said.why, tickets=tuple(tickets), grants=tuple(grants), told=_told_on(said, tickets)
    )


def _told_on(said: _Said, tickets: list[str]) -> str:
    """Write what the agent of the ticket has to know of the decision."""
    if said.decision == "widen":
        return (
            f"A person was asked whether you may write {', '.join(said.paths)}, too. Until you may, leave them alone."
        )
    if said.decision not in {"answer", "split"}:
        return ""
    parts = f"\n(parts of it are {', '.join(tickets)} now)" if tickets else ""
    return f"{HEAD}\n\n{said.text}{parts}"


def _need(workspace: Workspace, path: str) -> Need:
    """Name the need as the gate `scope` will name it once the ticket has written there."""
    there = workspace.repository.read(workspace.head(), path) is not None
    return Need(kind="scope", subject=path, bound="modified" if there else "added")


def with_granted_paths(ticket: Ticket, grants: Iterable[Grant]) -> Ticket:
    """Give the ticket as its agent may carry it out: with the files that a person granted besides its scope."""
    paths = tuple(one.subject for one in grants if one.kind == "scope" and one.in_force() and " " not in one.subject)
    scope = ticket.scope.model_copy(update={"write": tuple(dict.fromkeys((*ticket.scope.write, *paths)))})
    return ticket.model_copy(update={"scope": scope}) if paths else ticket


def added_since(workspace: Workspace, feature: str, known: Iterable[str]) -> list[str]:
    """List the feature's tickets that were added while it ran and wait to be started."""
    started = set(known)
    return [row.id for row in workspace.records.tickets(feature) if row.id not in started and row.state not in ENDS]
