"""`dependencies`: what the project depends on is the same as before, compared as data in every manifest and lock file.

Order, comments, white space, other settings and the project's own version are free. Not covered: vendored source code,
packages installed while a command runs (the gates' environments have no network), and manifests of other ecosystems.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from gates.declared import manifests
from gates.declared.lockfiles import BY_NAME
from gates.declared.manifests import UnreadableError
from gates.declared.requirements import included
from gates.live import shell
from gates.live.installing import installation
from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, judged
from tickets.grants import Need
from worktrees.listings import listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gates.declared.manifests import Declared
    from tickets.model import Ticket
    from tickets.policy import Policy
    from worktrees.changes import Change

GRANT: Final = "dependency"


def rule(ticket: Ticket, _policy: Policy) -> str:
    text = (
        "Do not add, remove or change any dependency, source or index: in manifests (pyproject.toml, requirements*.txt, setup.py, "
        "package.json, Cargo.toml, go.mod, environment.yml, ...), in lock files, or in the inline metadata of a script. "
        "Other parts of these files are yours where your scope names them."
    )
    return (
        f"{text} Your ticket asks for the grant `{GRANT}`: a person decides on what you change there."
        if GRANT in ticket.requires
        else text
    )


def permits(call: Call, ticket: Ticket, _policy: Policy) -> str | None:
    if GRANT in ticket.requires:
        return None
    if call.kind == "run" and (what := next(filter(None, map(installation, shell.read(call.command).steps)), "")):
        return (
            f"`{what}` changes dependencies, which are not this ticket's to change; what is installed is what there is"
        )
    if call.kind == "write" and posixpath.basename(call.path) in BY_NAME:
        return f"{call.path} locks dependencies, which are not this ticket's to change"
    return None


def verify(case: Case) -> Verdict:
    chained = _included_files(case)
    found = [finding for change in case.change.landing for finding in _findings(case, change, chained)]
    return judged(found, otherwise="the same dependencies as before")


def _included_files(case: Case) -> frozenset[str]:
    """Files of any name that requirements files of the base include: they declare as well."""
    found = set()
    for path in listing(case.repository, case.change.base).chosen("requirements", manifests.is_requirements):
        folder = posixpath.dirname(path)
        found |= {posixpath.normpath(posixpath.join(folder, name)) for name in included(case.read_base(path) or "")}
    return frozenset(found)


def _findings(case: Case, change: Change, chained: frozenset[str]) -> Iterator[Finding]:
    old_path = change.old_path or change.path
    was = _is_manifest(old_path, chained) and change.kind != "added"
    if was and change.kind in {"deleted", "renamed", "symlink"}:
        what = {"deleted": "was deleted", "renamed": f"was renamed to {change.path}", "symlink": "was made a symlink"}[
            change.kind
        ]
        message = f"{old_path} declares dependencies and {what}"
        yield Finding(
            rule="dependencies.manifest-gone",
            path=old_path,
            message=message,
            limit="as before",
            actual=change.kind,
            need=Need(kind=GRANT, subject=f"{old_path} {what}", bound=change.kind),
        )
    elif read := _reader(change.path, chained):
        yield from _compared(case, change, read)


def _is_manifest(path: str, chained: frozenset[str]) -> bool:
    return path in chained or manifests.is_manifest(path)


def _reader(path: str, chained: frozenset[str]) -> Callable[[str], Declared] | None:
    return manifests.read_requirements if path in chained else manifests.reader(path)


def _compared(case: Case, change: Change, read: Callable[[str], Declared]) -> Iterator[Finding]:
    before = None if change.kind == "added" else case.read_base(change.old_path or change.path)
    after = case.read_changed(change.path)
    if after is None or after == before:
        return
    try:
        new = read(after)
        old = _readable(read, before)
    except UnreadableError as error:
        message = f"{change.path} was changed, and what it declares cannot be read: {error}"
        yield Finding(rule="dependencies.unreadable", path=change.path, message=message)
        return
    for place, name in sorted(old.keys() | new.keys()):
        if finding := _difference(change.path, (place, name), old, new):
            yield finding


def _readable(read: Callable[[str], Declared], before: str | None) -> Declared:
    try:
        return read(before) if before is not None else {}
    except UnreadableError as error:
        raise UnreadableError(f"{error} (at the base)") from error


def _difference(path: str, key: tuple[str, str], old: Declared, new: Declared) -> Finding | None:
    place, name = key
    was, now = " | ".join(old.get(key, ())), " | ".join(new.get(key, ()))
    if was == now:
        return None
    kind = "added" if key not in old else "removed" if key not in new else "changed"
    shown = {
        "added": f"adds {_short(now)}",
        "removed": f"removes {_short(was)}",
        "changed": f"changes {_short(was)} to {_short(now)}",
    }[kind]
    message = f"{path} {shown} ({place}, {name})"
    return Finding(
        rule=f"dependencies.{kind}",
        path=path,
        message=message,
        limit=_short(was) or "not there",
        actual=_short(now) or "not there",
        need=Need(kind=GRANT, subject=f"{path}: {name}", bound=now),
    )


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004 - what a line of a report holds


GATE = Gate(name="dependencies", judges="change", rule=rule, permits=permits, verify=verify)
