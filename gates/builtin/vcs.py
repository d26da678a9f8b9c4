"""`vcs`: the harness owns every git operation; an attempt leaves no repository and touches none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gates.live import shell
from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged

if TYPE_CHECKING:
    from gates.live.shell import Step
    from tickets.model import Ticket
    from tickets.policy import Policy

CONTROL_FILES = frozenset({".gitattributes", ".gitmodules", ".gitignore", ".mailmap"})
_PROGRAMS = re.compile(
    r"git(?:-[\w-]+)?(?:\.exe)?|gh|hub|glab|jj|hg|svn|fossil|bzr|sl|tig|lazygit|gitk|dulwich|pre-commit"
)
_BINARY = re.compile(r"/(?:s?bin|libexec|git-core)/git(?:-[\w-]+)?")


def rule(_ticket: Ticket, _policy: Policy) -> str:
    return (
        "You need no git: there is no repository in your tree, and the harness commits what you leave. "
        "Do not create a `.git`, nested repositories or submodules; `.gitattributes`, `.gitmodules` and `.gitignore` "
        "count only where your scope names them in full."
    )


def permits(call: Call, _ticket: Ticket, _policy: Policy) -> str | None:
    if call.kind == "run" and (program := next(filter(None, map(_program, shell.read(call.command).steps)), "")):
        return (
            f"the harness owns every git operation: leave your changes in the working tree; "
            f"they are collected from there (`{program}`)"
        )
    if call.kind in {"write", "read"} and ".git" in call.path.lower().split("/"):
        return f"{call.path}: there is no repository here to touch"
    return None


def _program(step: Step) -> str:
    """Give the version control program that a step starts, links or copies."""
    if not step.words:
        return ""
    if _PROGRAMS.fullmatch(step.name.lower()):
        return step.words[0].text
    hidden = (word.text for word in step.arguments if step.name in {"ln", "cp", "mv", "install"})
    return next(filter(_BINARY.search, hidden), "")


def verify(case: Case) -> Verdict:
    named = set(case.ticket.scope.allowed) if case.ticket else None
    found = []
    for change in case.change.changes:
        name = change.path.rpartition("/")[2]
        if change.kind == "git":
            found.append(Finding(rule="vcs.repository", path=change.path, message=f"{change.path}: {change.note}"))
        elif change.kind == "submodule":
            found.append(
                Finding(
                    rule="vcs.submodule",
                    path=change.path,
                    message=f"{change.path}: submodules are not a ticket's to change",
                )
            )
        elif name in CONTROL_FILES and named is not None and change.path not in named:
            message = f"{change.path} steers git, and the scope does not name it in full"
            found.append(Finding(rule="vcs.control-file", path=change.path, message=message))
    if not found and case.evidence:
        return inconclusive("; ".join(case.evidence))
    return judged(found, otherwise="no repository was created or touched")


GATE = Gate(name="vcs", judges="change", rule=rule, permits=permits, verify=verify)
