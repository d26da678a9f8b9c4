"""`checks`: the repository's own gate scripts, run on the exact tree.

Which commands run is read from the base; a script of the tree that they call is the change's own. Whoever keeps the
script in the tree denies it in [scope].deny.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gates.commands import blocked, failure, not_judged
from gates.declared import check_reports
from gates.protocol import Case, Gate
from gates.testing.junit import UnusableReportError
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from tickets.grants import Need
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gates.declared.check_reports import Told
    from gates.workshop import Ran
    from tickets.model import Ticket
    from tickets.policy import Check, Policy

RED_BEFORE = "also fails on the base: not this ticket's doing"
OLD = "also on the base: not this ticket's doing"
LOOK_S = 0.05
"""Between two looks whether the base has been judged meanwhile."""
SHOWN = 100
"""Findings of one check that are listed one by one."""


def rule(_ticket: Ticket, policy: Policy) -> str:
    if not policy.checks:
        return ""
    return "\n".join(["These must end with exit code 0 on your tree:", *(_line(check) for check in policy.checks)])


def _line(check: Check) -> str:
    where = f" in `{check.cwd}`" if check.cwd else ""
    advisory = "" if check.required else " (advisory: it is reported and blocks nothing)"
    return f"- {check.name}: `{' '.join(check.run)}`{where} within {check.timeout_s:g} s{advisory}"


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """One run of a check on one tree."""

    ran: Ran | None = None
    """None where the tree has no such working folder."""
    told: tuple[Told, ...] = ()
    unclear: str = ""

    @property
    def exit(self) -> int | None:
        return self.ran.receipt.exit if self.ran else None

    @property
    def counting(self) -> tuple[Told, ...]:
        """What counts: a warning does where the exit code says that something is wrong."""
        return self.told if self.exit else tuple(one for one in self.told if not one.warning)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What comes of one check."""

    check: Check
    ran: Ran | None
    found: tuple[Finding, ...] = ()
    unclear: str = ""

    @property
    def hint(self) -> str:
        """One sentence on an advisory check that is not content."""
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        said = self.unclear or f"{_placed(self.found[0])}{more}"
        return f"advisory, blocks nothing: {said}"


def verify(case: Case) -> Verdict:
    if not case.policy.checks:
        return not_applicable("the repository has no [[checks]]")
    said = [_ask(case, check) for check in case.policy.checks]
    receipts = [one.ran.shown for one in said if one.ran]
    required = [one for one in said if one.check.required]
    found = [finding for one in required for finding in one.found]
    unclear = [one.unclear for one in required if one.unclear]
    names = ", ".join(one.check.name for one in required)
    if unclear and all(finding.need for finding in found):
        # a grant for what is old must not let pass what nobody could judge: those findings are only told
        verdict = inconclusive("; ".join([*unclear, *(finding.message for finding in found)]), *receipts)
    else:
        clean = f"exit code 0: {names}" if names else "no check is required"
        verdict = judged(found, otherwise=clean, receipts=receipts)
    hints = [one.hint for one in said if not one.check.required and (one.found or one.unclear)]
    return replace(verdict, reason="; ".join([verdict.reason, *hints]))


def _ask(case: Case, check: Check) -> _Said:
    heard = _listen(case, check, case.change.commit)
    if heard.ran is None:
        return _without_folder(case, check, heard)
    if heard.unclear:
        return _Said(check=check, ran=heard.ran, unclear=heard.unclear)
    if heard.exit == 0 and not heard.counting:
        if not heard.told:
            case.store.put(_clean(case, check, case.change.commit), {"exit": 0})
        return _Said(check=check, ran=heard.ran)
    if check.required:
        case.workshop.failing()
    # the receipt of the base is not shown: receipts speak of the change; one that told nothing there tells nothing again
    before = _Heard() if _known_clean(case, check) else _listen(case, check, case.change.base)
    return _Said(check=check, ran=heard.ran, found=tuple(_cut(check, _findings(case, check, heard, before))))


def _clean(case: Case, check: Check, commit: str) -> str:
    """Name what is kept of a check that ended well on a tree and had nothing to tell."""
    parts = (check.model_dump_json(), case.repository.tree(commit), case.workshop.environment_sha256)
    return f"checks:clean:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"


def _known_clean(case: Case, check: Check) -> bool:
    """Say whether the base is known to be clean; where it is being judged at this moment, that answer is waited for."""
    base, kept = case.repository.tree(case.change.base), _clean(case, check, case.change.base)
    while not (known := case.store.get(kept)) and case.workshop.judged_beside(base):
        case.workshop.cancelled.check()
        time.sleep(LOOK_S)
    return bool(known)


def _listen(case: Case, check: Check, commit: str) -> _Heard:
    """Run the check on the tree of the commit, and read what it tells."""
    with case.workshop.lease(commit) as lease:
        if not lease.is_folder(check.cwd):
            return _Heard(unclear=f"check {check.name}: its working folder {check.cwd} is not in this tree")
        check_reports.discard_report(check, lease)
        ran = lease.run(check.run, timeout_s=check.timeout_s, cwd=check.cwd)
        if reason := not_judged(ran):
            return _Heard(ran=ran, unclear=blocked(f"check {check.name}", ran, reason))
        paths = listing(case.repository, commit).paths
        try:
            return _Heard(ran=ran, told=check_reports.read(check, lease, ran, paths))
        except UnusableReportError as error:
            # with an exit code that says no, that is what counts
            return _Heard(ran=ran, unclear="" if ran.receipt.exit else f"check {check.name}: exit code 0, but {error}")


def _without_folder(case: Case, check: Check, heard: _Heard) -> _Said:
    if _listen(case, check, case.change.base).ran is None:
        return _Said(check=check, ran=None, unclear=heard.unclear)
    message = f"check {check.name}: the change removes its working folder {check.cwd}"
    return _Said(check=check, ran=None, found=(Finding(rule=f"checks.{check.name}", message=message),))


def _findings(case: Case, check: Check, heard: _Heard, before: _Heard) -> Iterator[Finding]:
    """Give what is new first, then what stands on the base as well, which a person may permit."""
    known = Counter(_renamed(case, one) for one in before.told)
    new: list[Told] = []
    old: list[Told] = []
    for one in heard.counting:
        known[one.same] -= 1
        (old if known[one.same] >= 0 else new).append(one)
    yield from (_finding(check, one) for one in new)
    if heard.exit and heard.ran and not new and (not old or heard.exit != before.exit):
        red_before = bool(before.exit) and not before.unclear and not before.told
        what = f"check {check.name}: `{' '.join(check.run)}`"
        finding = failure(f"checks.{check.name}", what, heard.ran, note=RED_BEFORE if red_before else "")
        yield replace(finding, need=_need(case, check)) if red_before else finding
    for one in old:
        finding = _finding(check, one)
        yield replace(finding, message=f"{finding.message} ({OLD})", need=_need(case, check))


def _renamed(case: Case, told: Told) -> tuple[str, str, str]:
    """Spell what was told of the base with the names of today."""
    moved = {change.old_path: change.path for change in case.change.landing if change.old_path}
    return replace(told, path=moved.get(told.path, told.path)).same


def _finding(check: Check, told: Told) -> Finding:
    name = f"checks.{check.name}.{told.rule}" if told.rule else f"checks.{check.name}"
    return Finding(rule=name, message=f"check {check.name}: {told.message}", path=told.path, line=told.line)


def _need(case: Case, check: Check) -> Need:
    """All that one check has against the base is one thing to permit."""
    return Need(kind="known-red", subject=f"check {check.name}", bound=case.repository.tree(case.change.base))


def _cut(check: Check, found: Iterable[Finding]) -> Iterator[Finding]:
    """List so many; the rest is one finding, which can be permitted where each of them could."""
    every = list(found)
    yield from every[:SHOWN]
    if rest := every[SHOWN:]:
        need = rest[0].need if all(finding.need for finding in rest) else None
        yield Finding(rule=f"checks.{check.name}", message=f"check {check.name}: {len(rest)} more findings", need=need)


def _placed(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}: {finding.message}" if finding.path else finding.message


GATE = Gate(name="checks", judges="tree", rule=rule, verify=verify, version="2", asks_ticket=False)
