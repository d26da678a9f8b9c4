"""Fences: a process whose claim was taken over while it slept cannot write any more, wherever in the code it wakes up."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.connection import Connection


class FencedError(EnvironmentFailure):
    """Somebody else has taken over what this process was at work on: it must not write any more."""


_fences: ContextVar[tuple[tuple[str, int], ...]] = ContextVar("fences", default=())
"""What the present thread works under: name and fence of each claim."""


@contextmanager
def fenced(name: str, fence: int) -> Iterator[None]:
    """Let nothing be written inside unless the claim still has this fence; FencedError is raised, and nothing was written.

    It holds for the thread, and for what is run with a copy of its context.
    """
    token = _fences.set((*_fences.get(), (name, fence)))
    try:
        yield
    finally:
        _fences.reset(token)


def check_fences(connection: Connection) -> None:
    """Raise FencedError, inside the transaction that is about to write, unless every claim still has its fence."""
    for name, fence in _fences.get():
        row = connection.execute("SELECT owner, fence FROM claims WHERE name = ?", (name,)).fetchone()
        if row is None or row["fence"] != fence or not row["owner"]:
            by = f"; {row['owner']} has it now" if row is not None and row["owner"] else ""
            raise FencedError(f"{name} is no longer ours{by}: nothing more is written by this process")
