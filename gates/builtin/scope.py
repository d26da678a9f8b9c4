"""`scope`: only what the ticket names may be written."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Scope, Ticket
    from tickets.policy import Policy
    from worktrees.changes import Change

NEVER = {
    "special": "scope.special",
    "submodule": "scope.submodule",
    "symlink": "scope.symlink",
    "outside": "scope.outside-the-tree",
}


def rule(ticket: Ticket, _policy: Policy) -> str:
    lines = [
        *(f"- you may change `{glob}`" for glob in ticket.scope.write),
        *(f"- you may create `{glob}`" for glob in ticket.scope.new),
    ]
    lines += [f"- you must not touch `{glob}`, whatever is allowed above" for glob in ticket.scope.deny]
    if not ticket.scope.allowed:
        lines.append("- you may write nothing")
    return "\n".join(
        [*lines, "Anything else that you create, change, rename or delete is refused. No symlinks, no special files."]
    )


def refusal(path: str, scope: Scope) -> str | None:
    """Say why the path may not be written, or None. The same answer live and afterwards."""
    if denied := matches(path, scope.deny):
        return f"{path} is denied by the ticket ({denied})"
    if not matches(path, scope.allowed):
        allowed = ", ".join(scope.allowed) or "nothing"
        return f"{path} is outside the ticket's scope ({allowed})"
    return None


def permits(call: Call, ticket: Ticket, _policy: Policy) -> str | None:
    return refusal(call.path, ticket.scope) if call.kind == "write" else None


def verify(case: Case) -> Verdict:
    if case.ticket is None:
        return not_applicable("no ticket was named")
    found = [finding for change in case.change.changes for finding in _findings(change, case.ticket.scope)]
    count = len(case.change.landing)
    return judged(found, otherwise=f"{count} changed file{'s' * (count != 1)}, all within the scope")


def _findings(change: Change, scope: Scope) -> Iterator[Finding]:
    if rule_name := NEVER.get(change.kind):
        yield Finding(
            rule=rule_name,
            path=change.path,
            message=f"{change.path}: {change.note or f'a {change.kind} may not be written'}",
        )
    elif change.kind not in {"byproduct", "git"}:
        if change.kind in {"added", "renamed"} and not _is_plain(change.path):
            message = f"{change.path!r}: a new name has visible letters only, in UTF-8 and composed (NFC): rename it"
            yield Finding(rule="scope.name", path=change.path, message=message)
        for path in change.paths:
            if reason := refusal(path, scope):
                yield Finding(
                    rule="scope.outside",
                    path=path,
                    message=reason,
                    limit=", ".join(scope.allowed),
                    actual=change.kind,
                    need=Need(kind="scope", subject=path, bound=change.kind),
                )


def _is_plain(path: str) -> bool:
    """Say whether a person reads the name as machines do: no controls, no marks that cannot be seen, one spelling."""
    return path.isprintable() and unicodedata.is_normalized("NFC", path)


GATE = Gate(name="scope", judges="change", rule=rule, permits=permits, verify=verify)
