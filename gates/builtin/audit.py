"""`audit`: an independent role read the diff, and every finding of it was checked once more.

The orchestrator asks the auditor; this gate counts only what quotes a line that really stands in the tree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gates.audits import UnusableAnswerError, read_findings, read_review, sort
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from worktrees.git import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.audits import Claim, Sorted
    from gates.protocol import Audit
    from tickets.model import Ticket
    from tickets.policy import Policy

ROLE = "auditor"
NO_AUDITOR = "no auditor is named under [roles]"
NOT_ASKED = "no auditor has answered; it is asked once every other gate passes"
SHOWN = 300
"""Characters of a finding's words that are shown."""
READ_BYTES = 4 << 20
"""Nobody quotes from a file that is larger."""


def spared(policy: Policy, files: int) -> str:
    """Say why a change of so many files needs no audit; nothing where it needs one."""
    if policy.audit.when == "never":
        return 'audit.when is "never"'
    if policy.audit.when == "always":
        return ""
    if ROLE not in policy.roles:
        return NO_AUDITOR
    count = f"{files} file{'s' * (files != 1)} changed"
    return "" if files >= policy.audit.files else f"{count}, fewer than the {policy.audit.files} that are audited"


def rule(_ticket: Ticket, policy: Policy) -> str:
    if policy.audit.when == "never" or ROLE not in policy.roles:
        return ""
    which = "Your" if policy.audit.when == "always" else f"From {policy.audit.files} changed files on, your"
    return f"{which} diff is read by an auditor who does not see your report. It must do what was asked, and not only look like it."


def verify(case: Case) -> Verdict:
    if case.audit is None and case.attempt == 0:
        return not_applicable("no agent was at work")
    if case.audit is None:
        return _without(case)
    if case.audit.trouble:
        return inconclusive(f"the audit could not be made: {case.audit.trouble}")
    if not _shown_this(case, case.audit):
        return inconclusive(f"the auditor {case.audit.agent} was shown another tree ({case.audit.tree[:12]})")
    try:
        found = read_findings(case.audit.findings)
        review = read_review(case.audit.review, len(found))
    except UnusableAnswerError as error:
        return inconclusive(f"the answer of the auditor {case.audit.agent} is not usable: {error}")
    return _verdict(case.audit, sort(found, review, lambda path: _text(case, path)))


def _without(case: Case) -> Verdict:
    if why := spared(case.policy, len(case.change.landing)):
        return not_applicable(why)
    return inconclusive(NOT_ASKED if ROLE in case.policy.roles else NO_AUDITOR)


def _shown_this(case: Case, audit: Audit) -> bool:
    """Say whether the auditor saw this tree, or one before the merge that has every changed file exactly as here."""
    if audit.tree == case.change.tree:
        return True
    paths = {path for change in case.change.landing for path in change.paths}
    try:
        shown, here = (
            {entry for entry in case.repository.entries(tree) if entry.path in paths}
            for tree in (audit.tree, case.change.tree)
        )
    except GitError:  # it names no tree at all
        return False
    return shown == here


def _text(case: Case, path: str) -> str | None:
    size = case.repository.plumb_ask("cat-file", "-s", f"{case.change.commit}:{path}").text
    return case.read_changed(path) if size.isdigit() and int(size) <= READ_BYTES else None


def _verdict(audit: Audit, found: Sorted) -> Verdict:
    grave = [_finding(claim, line) for claim, line in found.standing if claim.severity != "minor"]
    verdict = judged(grave, otherwise=f"the auditor {audit.agent} found nothing that must be mended")
    return replace(verdict, reason="; ".join([verdict.reason, *_notes(found)]))


def _finding(claim: Claim, line: int) -> Finding:
    return Finding(
        rule=f"audit.{claim.severity}",
        path=claim.path,
        line=line,
        message=f"{_short(claim.claim)} ({_short(claim.why)})",
        actual=_short(claim.quote),
    )


def _notes(found: Sorted) -> Iterator[str]:
    minor = [
        f"{claim.path}:{line}: {_short(claim.claim)}" for claim, line in found.standing if claim.severity == "minor"
    ]
    if minor:
        yield f"minor: {'; '.join(minor)}"
    if found.refuted:
        yield f"{found.refuted} finding{'s' * (found.refuted != 1)} did not stand up to the second look"
    if found.dropped == 1:
        yield "1 finding of the auditor quotes a line that does not exist and was dropped"
    elif found.dropped:
        yield f"{found.dropped} findings of the auditor quote lines that do not exist and were dropped"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


GATE = Gate(name="audit", judges="change", rule=rule, verify=verify)
