"""Where the harness and an attempt's keeper meet: a folder with the keeper's lock, the facts of the attempt, and the outcome it leaves.

Whoever holds the lock is the keeper, or is about to make it. The system lets go of a lock when its holder is gone, so nobody is ever
taken for alive because of a number. A keeper signs before its agent starts: what nobody signed has cost nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.owners import this_process
from worktrees.durable import sync
from worktrees.process import start_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "keepers"
ROOM_BYTES = 128 << 10
"""Set aside for the outcome before an agent starts: it is to be had on a disk that is full by then."""
PATIENCE_S = 5.0
"""A keeper that was told to end and has not by then is ended."""
POLL_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Post:
    folder: Path

    @classmethod
    def of(cls, state: Path, ticket: str, attempt: int) -> Post:
        return cls(folder=state / FOLDER / f"{ticket}-{attempt}")

    @classmethod
    def all(cls, state: Path) -> list[Post]:
        return [cls(folder=folder) for folder in sorted((state / FOLDER).glob("T-*"))]

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    # the harness

    def prepare(self) -> None:
        """Make the folder: from here on the attempt is one that has yet to begin."""
        self.clear()
        self.folder.mkdir(parents=True)

    def open(self, facts: dict[str, Any]) -> int:
        """Keep the facts, and give a descriptor that holds the lock: whoever gets that one is the keeper."""
        (self.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def facts(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "facts.json").read_text(encoding="utf-8")))

    @property
    def alive(self) -> bool:
        with self._shared(fcntl.LOCK_SH | fcntl.LOCK_NB) as free:
            return not free

    @property
    def signed(self) -> bool:
        """Whether a keeper has begun here."""
        return bool(self._name())

    def wait(self) -> None:
        """Wait until no keeper holds the post; it may be another harness's."""
        with self._shared(fcntl.LOCK_SH):
            pass

    def left(self) -> dict[str, Any] | None:
        """Give what the keeper left, the facts with it; None where it left nothing, or has not yet."""
        try:
            return dict(json.loads((self.folder / "outcome.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def end(self, patience_s: float = PATIENCE_S) -> None:
        """End the keeper, and with it its agent; one that has an outcome leaves it first."""
        for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, PATIENCE_S)):
            told, deadline = False, time.monotonic() + patience
            while self.alive and time.monotonic() < deadline:
                told = told or self._signal(number)
                time.sleep(POLL_S)

    def clear(self) -> None:
        """Remove the post; a keeper that is at work there ends itself."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _shared(self, how: int) -> Iterator[bool]:
        """Say whether nobody keeps the post; those who only look do not hinder each other."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            yield True
            return
        try:
            fcntl.flock(descriptor, how)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)

    def _name(self) -> str:
        try:
            return self.lock.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""

    def _signal(self, number: int) -> bool:
        """Send it to the keeper that signed, and to no process that got its number later."""
        name = self._name()
        if not name:
            return False
        machine, pid, start = name.split()
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            if machine == platform.node() and start_time(int(pid)) == start:
                process.send_signal(number)
        return True

    # the keeper

    def sign(self, lock: int) -> None:
        """Begin: from here on the attempt counts, and an outcome can be kept."""
        (self.folder / "outcome.tmp").write_bytes(bytes(ROOM_BYTES))
        os.pwrite(lock, this_process().encode(), 0)
        os.fsync(lock)

    def holds(self, lock: int) -> bool:
        """Say whether this is still the post that the lock is of: its folder, or the whole repository, may be gone."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(lock), self.lock.stat())
        return False

    def leave(self, outcome: dict[str, Any]) -> None:
        """Write the outcome so that it survives a power cut, and only then make it visible."""
        ready = self.folder / "outcome.tmp"
        with ready.open("r+b") as stream:  # into the room that was set aside
            stream.write(json.dumps({**self.facts(), **outcome, "at": time.time()}).encode())
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        ready.replace(self.folder / "outcome.json")
        sync(self.folder)
