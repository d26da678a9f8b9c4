"""Progress as JSON lines: one object for each event of the log, written as it happens, to a file or a pipe."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from memory.events import read
from tickets.errors import InputError, SignalboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from memory.database import Database
    from memory.events import Event

POLL_S = 0.05
LAST_S = 5.0
"""How long the end of a run waits for a reader that is slow."""
STANDARD_OUTPUT = "-"
FIELDS = ("seq", "at", "kind", "feature", "ticket", "attempt", "data")


def line(event: Event) -> str:
    """Give the event as one line of JSON, without the hashes that chain the log."""
    return json.dumps({name: getattr(event, name) for name in FIELDS}, ensure_ascii=False) + "\n"


def last_seq(database: Database) -> int:
    """Give the number of the newest event; 0 where there is none."""
    if not database.exists:
        return 0
    row = database.connection().execute("SELECT MAX(seq) AS seq FROM events").fetchone()
    return int(row["seq"] or 0)


@contextmanager
def told(repo: Path, to: str | None, *, json: bool) -> Iterator[None]:
    """Write every event of the repository to `to` while the block runs; None: nobody asked for it.

    Raises InputError before anything starts where `to` cannot be written. What happens to the reader later never
    reaches the run. With "-" the lines alone are on standard output; all else that is said goes to standard error.
    """
    if to is None:
        yield
        return
    if to == STANDARD_OUTPUT and json:
        raise InputError("--events - and --json both want standard output; give --events a file")
    from orchestrator.workspace import Workspace

    target = _open(to)
    writer = _Writer(Workspace.open(repo).database, target)
    with _standard_output_is_taken(to), writer:
        yield


def _standard_output_is_taken(to: str) -> AbstractContextManager[object]:
    return redirect_stdout(sys.stderr) if to == STANDARD_OUTPUT else nullcontext()


def _open(to: str) -> int:
    """Open the target for appending; a pipe that nobody reads is an error at once and not a wait."""
    if to == STANDARD_OUTPUT:
        return os.dup(1)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    try:
        target = os.open(to, flags, 0o644)
    except (OSError, ValueError) as error:
        why = "nobody reads this pipe" if getattr(error, "errno", None) == errno.ENXIO else str(error)
        raise InputError(f"--events {to}: cannot be written: {why}") from error
    os.set_blocking(target, True)
    return target


class _Writer:
    """Reads the log in a thread of its own, so that a slow reader holds up nobody."""

    def __init__(self, database: Database, target: int) -> None:
        self._database, self._target = database, target
        self._seen = last_seq(database)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(LAST_S)

    def _run(self) -> None:
        try:
            while not self._done.wait(POLL_S):
                self._pass_on()
            self._pass_on()
        except BrokenPipeError:
            return  # the reader has what it wanted
        except (SignalboxError, OSError, sqlite3.Error) as error:
            sys.stderr.write(f"--events ends here, the run goes on: {error}\n")

    def _pass_on(self) -> None:
        if not self._database.exists:
            return
        for event in read(self._database, after=self._seen):
            _write_all(self._target, line(event).encode(errors="backslashreplace"))
            self._seen = event.seq


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def follow(database: Database, *, after: int, wanted: Callable[[Event], bool], say: Callable[[Event], None]) -> None:
    """Say every wanted event as it happens, until the reader goes away or somebody interrupts."""
    while True:
        for event in read(database, after=after):
            after = event.seq
            if wanted(event):
                say(event)
        time.sleep(POLL_S)
