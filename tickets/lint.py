"""What is wrong with a ticket beyond its types: paths, commands and bounds, held against the base it would start from."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from tickets.globs import matches
from tickets.model import Smoke
from tickets.vacuous import cannot_fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tickets.model import Command, TicketBody

SHELL_WORDS = frozenset(
    {
        "if",
        "for",
        "while",
        "until",
        "case",
        "test",
        "[",
        "[[",
        "(",
        "{",
        "!",
        "cd",
        "export",
        "set",
        "exit",
        "true",
        "false",
        ":",
    }
)


def lint(ticket: TicketBody, *, paths: Sequence[str], search_path: str, known_links: Sequence[str] = ()) -> list[str]:
    """List what is wrong; `paths` are the files at the base, `known_links` the symlinks that leave the repository."""
    return [
        *_scope(ticket, paths, known_links),
        *_sections(ticket),
        *(problem for place, command in _commands(ticket) for problem in _command(place, command, paths, search_path)),
    ]


def _scope(ticket: TicketBody, paths: Sequence[str], links: Sequence[str]) -> Iterator[str]:
    for pattern in ticket.scope.write:
        if not any(matches(path, (pattern,)) for path in paths):
            yield f"scope.write: {pattern!r} matches no file at the base; what the ticket creates belongs in scope.new"
    for pattern in ticket.scope.allowed:
        for link in links:
            if pattern == link or pattern.startswith(f"{link}/"):
                yield f"scope: {pattern!r} leaves the repository through the symlink {link!r}"


def _sections(ticket: TicketBody) -> Iterator[str]:
    if not ticket.non_goals:
        yield "non_goals: expected at least one thing that this ticket does not do"
    if not ticket.acceptance:
        yield "acceptance: expected at least one command that proves the ticket done"
    if ticket.tests.floor and not ticket.tests.select:
        yield "tests.floor: a floor needs tests.select to count in"


def _commands(ticket: TicketBody) -> Iterator[tuple[str, Command]]:
    yield from ((f"acceptance.{index}", command) for index, command in enumerate(ticket.acceptance))
    if ticket.smoke:
        yield "smoke", ticket.smoke


def _command(place: str, command: Command, paths: Sequence[str], search_path: str) -> Iterator[str]:
    proven = isinstance(command, Smoke) and command.produces  # by the files that must be there afterwards
    if (why := cannot_fail(command.run)) and not proven:
        yield f"{place}: {command.shown!r} can never fail: {why}"
    if isinstance(command.run, str):
        try:
            words = shlex.split(command.run, comments=True)
        except ValueError as error:
            yield f"{place}: expected a shell line that parses, not {command.run!r} ({error})"
            return
        if not words:
            yield f"{place}: expected a command, not only a comment"
            return
        program = words[0]
        if program in SHELL_WORDS or "=" in program:
            return
    else:
        program = command.run[0]
    if "/" in program and not program.startswith("/"):
        found = program.removeprefix("./") in paths
    else:
        found = shutil.which(program, path=search_path) is not None
    if not found:
        yield f"{place}: {program!r} cannot be run: it is neither on the PATH nor a file at the base"
