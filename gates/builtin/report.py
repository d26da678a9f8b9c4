"""`report`: what the agent says is complete, and nothing in it contradicts what the harness measured."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from gates import claims
from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, judged, not_applicable
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Ticket
    from tickets.policy import Policy

SUMMARY, FILES, VERIFICATION = "Summary", "Files Changed", "Verification"
SECTIONS = (SUMMARY, FILES, VERIFICATION, "Risks / Edge Cases", "Out-of-Scope Issues Found")
MISSING = "the agent left no report; it is expected in the file that ORCHESTRATE_REPORT names, or on standard output"


def rule(ticket: Ticket, _policy: Policy) -> str:
    names = ", ".join(f"`## {name}`" for name in SECTIONS)
    lines = [f"Your report has the sections {names}, none of them empty (`none` is an answer)."]
    if ticket.report_fields:
        fields = ", ".join(f"`{name}`" for name in ticket.report_fields)
        lines.append(f"It has a value for each of {fields}, as a `## Field` section or as a line `Field: value`.")
    lines.append(f"`## {FILES}` begins an item with each file that you changed, and with no other file.")
    lines.append(f"`## {VERIFICATION}` says of no command that it passed when the harness measures that it fails.")
    return "\n".join(lines)


def verify(case: Case) -> Verdict:
    if case.ticket is None:
        return not_applicable("no ticket was named")
    if case.report is None and case.attempt == 0:
        return not_applicable("no agent was at work")
    if case.report is None or not case.report.strip():
        return judged([Finding(rule="report.missing", message=MISSING)], otherwise="")
    parts = claims.sections(case.report)
    found = [*_missing(case.report, parts, case.ticket), *_files(case, parts.get(FILES.lower(), ""))]
    stated = claims.claims(parts.get(VERIFICATION.lower(), ""))
    found += _contradicted(stated, case.known_receipts)
    return judged(found, otherwise=_reason(stated, case.known_receipts))


def _missing(report: str, parts: dict[str, str], ticket: Ticket) -> Iterator[Finding]:
    for name in SECTIONS:
        if not parts.get(name.lower()):
            what = "is empty; write `none` where there is nothing to say" if name.lower() in parts else "is missing"
            yield Finding(rule="report.section", message=f"the section `## {name}` of the report {what}")
    for name in ticket.report_fields:
        if not claims.field(report, name):
            message = f"the report has no value for `{name}`; write a section `## {name}` or a line `{name}: ...`"
            yield Finding(rule="report.field", message=message)


def _files(case: Case, section: str) -> Iterator[Finding]:
    if not section:
        return  # that is a finding already
    touched = {path for change in case.change.changes for path in change.paths}
    for change in case.change.landing:
        if not claims.mentions(section, change.path):
            message = f"{change.path} was {change.kind} but `## {FILES}` does not name it"
            yield Finding(rule="report.not-named", path=change.path, message=message)
    known = ChainMap[str, Any](dict.fromkeys(touched), listing(case.repository, case.change.base).files)
    for path in claims.claimed_files(section, known):
        if path not in touched:
            yield Finding(
                rule="report.not-changed", path=path, message=f"`## {FILES}` names {path}, which was not changed"
            )


def _contradicted(stated: tuple[claims.Claim, ...], receipts: tuple[tuple[str, int | None], ...]) -> Iterator[Finding]:
    for claim in stated:
        codes = [code for command, code in receipts if claims.same_command(claim.command, command)]
        failed = [code for code in codes if code not in {0, None}]
        later = any(code == 0 and claims.begins(claim.command, command) for command, code in receipts)
        if failed and not later:
            message = (
                f"the report says {claim.line!r}, but the harness measured exit code {failed[0]} for `{claim.command}`"
            )
            yield Finding(
                rule="report.contradicted", message=message, limit=claim.line, actual=f"exit code {failed[0]}"
            )


def _reason(stated: tuple[claims.Claim, ...], receipts: tuple[tuple[str, int | None], ...]) -> str:
    def measured(claim: claims.Claim) -> bool:
        return any(claims.same_command(claim.command, command) for command, _ in receipts)

    unverified = list(dict.fromkeys(f"`{claim.command}`" for claim in stated if not measured(claim)))
    complete = "complete, and nothing contradicts what was measured"
    return f"{complete}; claimed but not measured: {', '.join(unverified)}" if unverified else complete


GATE = Gate(name="report", judges="change", rule=rule, verify=verify)
