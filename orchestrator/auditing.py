"""Has an independent role read a change in two phases; what it says is kept, and judged by the gate `audit`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from agents.brief import Change, Rule, for_auditor
from agents.protocol import Question
from gates import audits
from gates.builtin.audit import GATE, ROLE, spared
from gates.catalogue import catalogue
from gates.protocol import Audit
from gates.runner import judge, overall
from gates.verdict import Answer
from memory.events import About
from orchestrator.borrowing import Desk, borrowed
from tickets.errors import SignalboxError
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from gates.protocol import Case
    from gates.runner import Judged
    from memory.records import AttemptRow, TicketRow
    from orchestrator.workspace import Workspace
    from worktrees.changes import ChangeSet


def with_audit(
    workspace: Workspace, row: TicketRow, attempt: AttemptRow, case: Case, results: tuple[Judged, ...]
) -> tuple[Judged, ...]:
    """Ask the auditor where nothing but its answer is missing: no one pays for the audit of a change that is refused."""
    others = tuple(result for result in results if result.name != GATE.name)
    missing = overall(results) is Answer.INCONCLUSIVE and overall(others) is Answer.PASS
    found = audit(workspace, row, attempt, case.change) if missing else None
    if found is None:
        return results
    (again,) = judge(replace(case, audit=found), {GATE.name: GATE})
    return tuple(again if result.name == GATE.name else result for result in results)


def audit(workspace: Workspace, row: TicketRow, attempt: AttemptRow, changes: ChangeSet) -> Audit | None:
    """Give the auditor's answer to exactly this change, from before where it was given before; None where none is due.

    An answer holds for the ticket, the policy and what the ticket does to each file, not for one tree alone: on a
    merged tree in which every changed file comes from and becomes the same, it is the same question.
    """
    policy = workspace.policy_at(changes.base)
    if spared(policy, len(changes.landing)) or ROLE not in policy.roles:
        return None
    key = _identity(workspace, row, changes)
    if kept := workspace.records.get(key):
        return Audit(**kept)
    made = _asked(workspace, row, attempt, changes)
    if not made.trouble:
        workspace.records.put(key, asdict(made))
    about = About(feature=row.feature, ticket=row.id, attempt=attempt.number)
    workspace.records.note("audit.answered", about, asdict(made))
    return made


def _identity(workspace: Workspace, row: TicketRow, changes: ChangeSet) -> str:
    """Bind the answer to the ticket, the rules, and every changed file before and after."""
    paths = {path for change in changes.landing for path in change.paths}
    sides = [
        [(entry.path, entry.mode, entry.oid) for entry in workspace.repository.entries(tree) if entry.path in paths]
        for tree in (workspace.repository.tree(changes.base), changes.tree)
    ]
    text = json.dumps(["audit", row.sha256, workspace.policy_at(changes.base).sha256, *sides])
    return hashlib.sha256(text.encode()).hexdigest()


def _asked(workspace: Workspace, row: TicketRow, attempt: AttemptRow, changes: ChangeSet) -> Audit:
    """Ask both phases; trouble with the auditor is part of the answer, and no reason to stumble."""
    findings = review = trouble = ""
    try:
        findings = _phase(workspace, row, attempt, changes, findings="")
        said = [claim.model_dump() for claim in audits.read_findings(findings)]
        text = json.dumps({"findings": said}, indent=2, ensure_ascii=False)
        review = _phase(workspace, row, attempt, changes, findings=text)
    except audits.UnusableAnswerError as error:
        trouble = f"the answer is not usable: {error}"
    except SignalboxError as error:
        trouble = " ".join(str(error).split())
    agent = workspace.policy_at(changes.base).roles[ROLE]
    return Audit(tree=changes.tree, agent=agent, findings=findings, review=review, trouble=trouble)


def _phase(workspace: Workspace, row: TicketRow, attempt: AttemptRow, changes: ChangeSet, *, findings: str) -> str:
    """Ask a new process on a new bench: it knows ticket, rules, diff and tree, and nothing that the executor said."""
    policy = workspace.policy_at(changes.base)
    phase = 2 if findings else 1
    logs = _folder(workspace, row, attempt) / f"phase-{phase}"
    diff = _diff(workspace, changes)
    rules = [Rule(name=gate.name, text=gate.rule(row.record, policy)) for gate in catalogue().values()]
    brief = for_auditor(row.record, Change(diff=diff, most=audits.MOST_FINDINGS, findings=findings), rules=rules)
    wanted = Desk(
        agent=policy.roles[ROLE],
        commit=changes.commit,
        logs=logs,
        timeout_s=policy.audit.timeout_s,
        about=About(feature=row.feature, ticket=row.id, attempt=attempt.number),
        purpose="audit",
    )
    with borrowed(workspace, wanted) as (agent, bench):
        for name, text in {**dict(brief.beside), "change.diff": diff}.items():
            (bench.desk / name).write_text(text, encoding="utf-8", errors="replace")
        write_durably(logs / "brief.json", json.dumps(brief.to_json(), indent=2).encode())
        question = Question(ticket=row.record, attempt=attempt.number, phase=phase, brief=brief.text, bench=bench)
        said = agent.answer(question)
    write_durably(logs / "answer.json", said.encode(errors="replace"))
    return said


def _folder(workspace: Workspace, row: TicketRow, attempt: AttemptRow) -> Path:
    return workspace.state / "logs" / row.id / str(attempt.number) / "audit"


def _diff(workspace: Workspace, changes: ChangeSet) -> str:
    options = ("-r", "-M", "-p", "-U10", "--no-color", "--no-ext-diff", "--no-textconv", "--no-commit-id")
    return workspace.repository.plumb("diff-tree", *options, changes.base, changes.commit).out.decode(errors="replace")
