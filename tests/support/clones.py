"""Clones of one remote that share one PostgreSQL, as several machines do."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from demo_project import POLICY, Demo, script, ticket, writes
from memory.served import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import postgres

SHARED = """[state]
database_url = "{url}"
lease_s = {lease_s}
[landing]
remote = "origin"
"""


class Clones:
    """Any number of clones; `url` is the database that they share."""

    def __init__(self, first: Demo, folder: Path, *, server: postgres.Server, **settings: Any) -> None:
        """`settings`: the lease in seconds, places for tickets side by side, the lead's plan with its script."""
        self.server, self.url, self.folder = server, server.new_database(), folder
        self.remote = folder / "origin.git"
        shared = SHARED.format(url=self.url, lease_s=settings.get("lease_s", 30))
        policy = POLICY.replace("[dispatch]", f"[dispatch]\nparallel = {settings.get('parallel', 1)}")
        policy = policy.partition("[tests]")[0] + "[tests]\nrun = []\n" + shared  # gates that cost next to nothing
        files = {"orchestrate.toml": policy, "script.yaml": settings.get("script") or several(4)}
        first.commit("share", **files)
        first.git("clone", "-q", "--bare", str(first.root), str(self.remote))
        first.git("remote", "add", "origin", str(self.remote))
        self.all = [first]

    def add(self) -> Demo:
        """Make one more clone of the remote."""
        root = self.folder / f"clone-{len(self.all)}" / "demo"
        first = self.all[0]
        first.git("clone", "-q", str(self.remote), str(root))
        self.all.append(replace(first, root=root))
        return self.all[-1]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            connection.execute(f'SET search_path TO "{schema_of("demo")}"'.encode())
            return connection.execute(query.encode(), values).fetchall()

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Give the events of these kinds, oldest first."""
        rows = self.rows("SELECT kind, ticket, attempt, data FROM events ORDER BY seq")
        told = [dict(zip(("kind", "ticket", "attempt", "data"), row, strict=True)) for row in rows]
        return [{**one, "data": json.loads(one["data"])} for one in told if one["kind"] in kinds]

    def until(self, seen: Callable[[], object], *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self._now(seen):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    @staticmethod
    def _now(seen: Callable[[], object]) -> object:
        try:
            return seen()
        except psycopg.errors.UndefinedTable:
            return False  # nobody has opened the database yet

    def heads(self) -> set[str]:
        """Give where the target stands: on the remote, and in each clone."""
        first = self.all[0]
        there = first.git("ls-remote", "origin", "refs/heads/main").split()[0]
        return {there, *(one.git("rev-parse", "main") for one in self.all)}

    def landed_once(self, tickets: Sequence[str]) -> None:
        """Assert that each of these landed, and none twice, by the records and by the remote's history."""
        moved = [event["ticket"] for event in self.events("landing.moved")]
        assert sorted(moved) == sorted(tickets)
        first = self.all[0]
        first.git("fetch", "-q", "origin")
        trailers = first.git(
            "log", "--first-parent", "--format=%(trailers:key=Ticket,valueonly)", "origin/main"
        ).split()
        assert sorted(trailers) == sorted(tickets)


def module(name: str) -> dict[str, Any]:
    """A ticket that adds one module and knows nothing of others."""
    return ticket(name, new=f"src/{name}.py", accept=f"import {name}")


def several(number: int, *, sleep: float = 0.0) -> str:
    """A script with so many of them."""
    names = "abcdefgh"[:number]
    pause = [{"sleep": sleep}] if sleep else []
    steps = {f"add {name}": [[*pause, *writes(f"src/{name}.py", "X = 1\n")]] for name in names}
    return script([module(name) for name in names], steps)
