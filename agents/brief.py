"""Briefs: what an agent is told, from its role, from the ticket, and from the rules that will judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents import roles
from agents.assembling import MOST_CHARACTERS, Brief, Piece, assemble, quoted
from agents.feedback import DATA, EVIDENCE, OTHER_WAY, folded
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.roles.model import Role
    from tickets.model import Ticket

SECTIONS = ("Summary", "Files Changed", "Verification", "Risks / Edge Cases", "Out-of-Scope Issues Found")
"""Of every report on a ticket; the gate `report` asks for them."""
SHOWN_DIFF = 200_000
"""Characters of a diff that stand in an auditor's brief; the whole lies beside it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule text of one gate, rendered with the ticket's own values."""

    name: str
    text: str


def for_ticket(ticket: Ticket, *, rules: Sequence[Rule], evidence: str = "", approach: str = "") -> Brief:
    """Write the brief of an attempt; raise InputError where the ticket's role does not exist or relies on a gate that does not."""
    if complaint := roles.complaint(ticket.role, [rule.name for rule in rules]):
        raise InputError(f"{ticket.id}: role: {complaint}")
    role = roles.named(ticket.role)
    before = () if not evidence else (_evidence(evidence, approach),)
    return assemble(role, (*_task(ticket, role), *_own(role), *_rules(rules, role), *before, _report(ticket, role)))


def _task(ticket: Ticket, role: Role) -> Iterator[Piece]:
    """Give the ticket: first what nothing may shorten, then its context, then how it is measured."""
    who = f"You are the {role.name} of this one ticket. Carry it out in the current folder: what you leave there, the harness commits,"
    place = "tests and merges."
    goals = "\n".join(f"- {goal}" for goal in ticket.non_goals)
    text = [f"# {ticket.id}: {ticket.title}", f"{who}\n{place}", "## Objective", quoted(ticket.objective)]
    text += ["## Non-goals", goals] if goals else []
    source = f"ticket {ticket.id}"
    yield Piece(name="objective", source=source, shows="ticket", text="\n\n".join(text))
    head = "## Context\n\nWhat the ticket says besides; rules and report are further down."
    yield Piece(name="context", source=source, shows="ticket", head=head, form="quotation", text=ticket.context)
    yield Piece(name="acceptance", source=source, shows="ticket", text=_done_when(ticket))


def _done_when(ticket: Ticket) -> str:
    lines = [f"- {_code(command.shown)} ends with exit code 0" for command in ticket.acceptance]
    if ticket.tests.select:
        lines.append(f"- these tests are collected and pass: {', '.join(map(_code, ticket.tests.select))}")
    if ticket.smoke:
        made = f" and produces {', '.join(map(_code, ticket.smoke.produces))}" if ticket.smoke.produces else ""
        lines.append(f"- {_code(ticket.smoke.shown)} ends within {ticket.smoke.timeout_s:g} s{made}")
    return "\n\n".join(("## Done when", "\n".join(lines))) if lines else ""


def _code(text: str) -> str:
    """Show a command in one line, whatever marks it holds."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _own(role: Role) -> Iterator[Piece]:
    for block in role.blocks:
        yield Piece(name=block.name, source=f"role {block.source}", text=block.text)


def _rules(rules: Sequence[Rule], role: Role) -> Iterator[Piece]:
    """Give all rules that will judge, those that the role is known by first."""
    told = [rule for rule in rules if rule.text]
    ordered = sorted(told, key=lambda rule: rule.name not in role.gates)  # stable: the order of the gates is kept
    head = (
        "## Rules that your change will be judged by\n\n"
        "The harness checks each of them afterwards, on the complete change, here and on the merged result."
    )
    for place, rule in enumerate(ordered):
        title = f"### {rule.name}"
        text = "\n\n".join((head, title, rule.text) if place == 0 else (title, rule.text))
        yield Piece(name=f"rule {rule.name}", source=f"gate {rule.name}", shows="rules", text=text)


def _evidence(evidence: str, approach: str) -> Piece:
    head = (
        "## What was wrong with the attempt before",
        *((OTHER_WAY, quoted(approach)) if approach else ()),
        f"Unless the block below says otherwise, your tree holds what that attempt left. Mend exactly what is named.\n\n{EVIDENCE}",
    )
    return Piece(
        name="evidence",
        source="the attempt before",
        shows="evidence",
        head="\n\n".join(head),
        form="data",
        text=folded(evidence),
    )


def _report(ticket: Ticket, role: Role) -> Piece:
    return Piece(name="report", source=f"role {role.name}", text=report_form(role, ticket.report_fields))


def report_form(role: Role, more: Sequence[str] = ()) -> str:
    """Give the sections of the role's report, and of its ticket's."""
    told = {field.name: field.what for field in role.report}
    names = dict.fromkeys((*SECTIONS, *told, *more))
    lines = [f"## {name}" + (f"\n<!-- {told[name]} -->" if name in told else "") for name in names]
    head = (
        "## Your report\n\nWrite it to the file that the environment variable ORCHESTRATE_REPORT names; where there is none, it is your\n"
        'last message. It has these sections, each filled ("none" is an answer):'
    )
    return "\n".join((head, "", "```markdown", *lines, "```"))


# audits


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an auditor is shown of a change, and what the first phase found, as JSON, when this is the second."""

    diff: str
    most: int
    """Findings that it may answer with."""
    findings: str = ""


def for_auditor(ticket: Ticket, change: Change, *, rules: Sequence[Rule]) -> Brief:
    """Write the brief of one phase of an audit. What the executor said of its work is not in it."""
    role = roles.started("auditor", [rule.name for rule in rules])
    phase = 2 if change.findings else 1
    pieces = (
        *_audited(ticket, phase),
        *_own(role),
        *_background(rules),
        *_shown(change),
        Piece(name="answer", source="role auditor", text=_ANSWERS[phase].replace("MOST", str(change.most))),
    )
    return assemble(role, pieces, most=SHOWN_DIFF + MOST_CHARACTERS)


def _audited(ticket: Ticket, phase: int) -> Iterator[Piece]:
    source = f"ticket {ticket.id}"
    place = (
        "You are the auditor. The current folder holds the complete tree with the change applied: read there whatever you need.\n"
        f"What you write there goes nowhere. You cannot ask back. This is phase {phase} of 2."
    )
    opening = (
        f"# Audit the change of {ticket.id}: {ticket.title}",
        place,
        "## What the change was to do",
        quoted(ticket.objective),
        "\n".join(f"- not: {goal}" for goal in ticket.non_goals),
    )
    yield Piece(name="objective", source=source, shows="ticket", text="\n\n".join(filter(None, opening)))
    yield Piece(
        name="context", source=source, shows="ticket", head="The ticket adds:", form="quotation", text=ticket.context
    )
    measured = [
        f"- {_code(one.shown)} ends with exit code 0 (the harness has measured that)" for one in ticket.acceptance
    ]
    yield Piece(name="acceptance", source=source, shows="ticket", text="\n".join(measured))


def _background(rules: Sequence[Rule]) -> Iterator[Piece]:
    told = [f"### {rule.name}\n\n{rule.text}" for rule in rules if rule.text]
    head = (
        "## The rules it was made under\n\nThe harness has checked these already; look for what no such rule can see."
    )
    if told:
        yield Piece(name="rules", source="gates", shows="rules", text="\n\n".join((head, *told)))


def _shown(change: Change) -> Iterator[Piece]:
    yield Piece(
        name="change",
        source="the change",
        shows="diff",
        head=f"## The change\n\n{DATA}",
        form="data",
        language="diff",
        text=change.diff,
    )
    found = "## The findings of the first phase\n\nAnother reader of the same change found this. Nobody has checked it."
    yield Piece(
        name="findings",
        source="the first phase",
        shows="findings",
        head=f"{found} {DATA}",
        form="data",
        language="json",
        text=change.findings,
    )


_FIRST = """## What to answer

Say what is wrong with the change. Answer with one JSON document and nothing else, on standard output or in the file named by
ORCHESTRATE_REPORT:

```json
{"findings": [{"path": "src/a.py", "line": 12, "quote": "the text of that line, copied", "severity": "blocker",
               "claim": "what is wrong, in one sentence", "why": "how you know it"}]}
```

`severity` is `blocker` (it must not land), `major` (it must be mended first) or `minor` (worth knowing, blocks nothing).
`quote` is copied from a line of the file as it is in the current folder: a finding whose quote does not stand there is dropped.
Of what was deleted, quote the line that now lacks it. At most MOST findings."""
_SECOND = """## What to answer

First take each finding by itself and try to refute it: read the code around it, follow the calls, look for what already prevents it.
Then read the whole change once more and say what was missed.

Answer with one JSON document and nothing else, on standard output or in the file named by ORCHESTRATE_REPORT:

```json
{"findings": [{"index": 0, "verdict": "confirmed", "because": "what you saw"}], "missed": []}
```

Each finding of the first phase has exactly one entry, its index counted from 0; `verdict` is `confirmed` or `refuted`.
`missed` holds further findings in the form of the first phase: path, line, quote, severity (blocker, major or minor), claim, why.
The quote is copied from a line of the file as it is in the current folder. At most MOST of them."""
_ANSWERS = {1: _FIRST, 2: _SECOND}
