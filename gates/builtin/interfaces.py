"""`interfaces`: what many parts of the code rely on (base classes, metric definitions, schemas, models) is the lead's to change.

What stands there at the base is protected, comments and white space included. New files are free where the ticket names them.
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING

from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Ticket
    from tickets.policy import Policy
    from worktrees.changes import Change

GRANT, LEAD = "interface", "lead"
_COMPILED = (".so", ".pyd")
_WHAT = {
    "added": "is new there, and the ticket does not name it under `new`",
    "deleted": "was deleted",
    "mode": "has another mode",
    "symlink": "became or was a symlink",
    "submodule": "became or was a submodule",
}


def rule(ticket: Ticket, policy: Policy) -> str:
    globs = ", ".join(f"`{glob}`" for glob in policy.scope.shared_interfaces)
    if not globs:
        return ""
    if ticket.role == LEAD:
        return f"These are shared interfaces, and yours as the lead's to change: {globs}. Say in the report who relies on them."
    text = (
        f"These are shared interfaces, the lead's alone to change: {globs}. Do not edit, rename or delete what stands there, "
        "not even comments; what you need changed there belongs under `## Out-of-Scope Issues Found`."
    )
    if GRANT in ticket.requires:
        return f"{text} Your ticket asks for the grant `{GRANT}`: a person decides on what you change there."
    return text


def permits(call: Call, ticket: Ticket, policy: Policy) -> str | None:
    if call.kind != "write" or ticket.role == LEAD or GRANT in ticket.requires or matches(call.path, ticket.scope.new):
        return None
    glob = matches(call.path, policy.scope.shared_interfaces)
    return (
        f"{call.path} is a shared interface ({glob}), which only the lead may change; report what you need"
        if glob
        else None
    )


def verify(case: Case) -> Verdict:
    if not case.policy.scope.shared_interfaces:
        return not_applicable("this repository names no shared interfaces")
    if case.ticket and case.ticket.role == LEAD:
        return not_applicable("the ticket is the lead's, who may change shared interfaces")
    found = [finding for change in case.change.landing for finding in _findings(case, change)]
    return judged(found, otherwise="no shared interface was touched")


def _findings(case: Case, change: Change) -> Iterator[Finding]:
    globs = case.policy.scope.shared_interfaces
    is_new = change.kind in {"added", "renamed"}
    if change.old_path and matches(change.old_path, globs):
        yield _finding(case, change, change.old_path, f"was renamed to {change.path}")
    if not matches(change.path, globs):
        hidden = _hidden(case, change.path) if is_new else ""
        if hidden:
            yield _finding(case, change, hidden, f"would be hidden from imports by {change.path}")
    elif not is_new:
        yield _finding(case, change, change.path, _WHAT.get(change.kind, "was changed"))
    elif case.ticket and not matches(change.path, case.ticket.scope.new):
        yield _finding(case, change, change.path, _WHAT["added"])


def _hidden(case: Case, path: str) -> str:
    """Give the shared module that Python would no longer find because of a package or an extension of its name."""
    folder, name = posixpath.split(path)
    if name == "__init__.py" and folder:
        module = f"{folder}.py"
    elif name.endswith(_COMPILED):
        module = posixpath.join(folder, f"{name.split('.')[0]}.py")
    else:
        return ""
    shared = matches(module, case.policy.scope.shared_interfaces)
    return module if shared and any(entry.path == module for entry in case.repository.entries(case.change.base)) else ""


def _finding(case: Case, change: Change, path: str, what: str) -> Finding:
    glob = matches(path, case.policy.scope.shared_interfaces) or ""
    message = f"{path} is a shared interface ({glob}), the lead's alone to change, and {what}"
    data = case.repository.read(case.change.commit, change.path)
    content = change.kind if data is None else hashlib.sha256(data).hexdigest()
    extra = f" {change.kind} {change.path}" if change.kind in {"mode", "renamed", "symlink"} else ""
    need = Need(kind="interface", subject=path, bound=f"{content}{extra}")
    return Finding(rule="interfaces.shared", path=path, message=message, limit=glob, actual=change.kind, need=need)


GATE = Gate(name="interfaces", judges="change", rule=rule, permits=permits, verify=verify)
