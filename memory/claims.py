"""Claims: who works on what, with a fence, so that an owner that slept past its lease can do no harm when it wakes up.

A claim that is taken over gets the next fence, and a write under the old one is refused in its own transaction (`fenced`). A lease is
measured by the clock of the server, or, where the database is a file of this machine, by the time since its boot: neither a change of the
wall clock nor a sleeping machine ends or prolongs one.

Names in use: `ticket:T-0001`, `train:<target>`, `worker:<id>`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.fences import fenced
from tickets.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memory.connection import Connection
    from memory.database import Database

LEASE_S = 30.0
_TAKE = """INSERT INTO claims (name, owner, fence, boot, until) VALUES (?, ?, 1, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = claims.fence + 1, boot = excluded.boot, until = excluded.until
WHERE claims.owner = '' OR claims.boot <> excluded.boot OR claims.until <= ? OR (claims.owner = ? AND claims.fence = ?)"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    name: str
    owner: str
    fence: int
    """Raised each time that the name changes hands, and never lowered."""


class Claims:
    def __init__(self, database: Database, *, owner: str, alive: Callable[[str], bool]) -> None:
        """`owner` names this process beyond its pid; `alive` tells for the name of any owner whether it may still be at work.

        For an owner on another machine it has to say yes: its lease tells.
        """
        self._database = database
        self.owner = owner
        self._alive = alive

    def claim(self, name: str, *, ttl_s: float = LEASE_S) -> Claim | None:
        """Take the name: one conditional write. None where another owner has it, this process included."""
        before = self.holder(name)
        dead = before is not None and not self._alive(before.owner)
        gone = (before.owner, before.fence) if before is not None and dead else ("", 0)
        with self._database.transaction() as connection:
            boot, seconds = self._database.clock()
            values = (name, self.owner, boot, seconds + ttl_s, seconds, *gone)
            if not connection.execute(_TAKE, values).rowcount:
                return None
            return _read(connection, name)

    def renew(self, claim: Claim, *, ttl_s: float = LEASE_S) -> bool:
        """Prolong the lease; say whether the claim still was ours."""
        with self._database.transaction(kept=False) as connection:
            boot, seconds = self._database.clock()
            done = connection.execute(
                "UPDATE claims SET boot = ?, until = ? WHERE name = ? AND owner = ? AND fence = ?",
                (boot, seconds + ttl_s, claim.name, claim.owner, claim.fence),
            )
            return done.rowcount == 1

    def release(self, claim: Claim) -> None:
        """Let go of what is ours; of what somebody took over, nothing changes."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE claims SET owner = '' WHERE name = ? AND owner = ? AND fence = ?",
                (claim.name, claim.owner, claim.fence),
            )

    def holder(self, name: str) -> Claim | None:
        """Give who has the name, dead or alive; None where it is free."""
        return _read(self._database.connection(), name)

    def held(self, prefix: str = "") -> list[Claim]:
        """List what owners that may be at work hold under names that begin so."""
        boot, seconds = self._database.clock()
        query = "SELECT name, owner, fence FROM claims WHERE owner <> '' AND boot = ? AND until > ? ORDER BY name"
        rows = self._database.connection().execute(query, (boot, seconds)).fetchall()
        found = [Claim(**dict(row)) for row in rows if row["name"].startswith(prefix)]
        return [claim for claim in found if self._alive(claim.owner)]

    @contextmanager
    def hold(self, name: str, *, ttl_s: float = LEASE_S) -> Iterator[Claim | None]:
        """Have the name for as long as the block takes, its lease renewed meanwhile, its writes fenced; None where another has it."""
        claim = self.claim(name, ttl_s=ttl_s)
        if claim is None:
            yield None
            return
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(claim, ended, ttl_s), daemon=True, name=f"claim {name}")
        heart.start()
        try:
            with fenced(claim.name, claim.fence):
                yield claim
        finally:
            ended.set()
            heart.join()
            self.release(claim)

    def _beat(self, claim: Claim, ended: threading.Event, ttl_s: float) -> None:
        try:
            while not ended.wait(ttl_s / 3):
                try:
                    if not self.renew(claim, ttl_s=ttl_s):
                        return
                except EnvironmentFailure:
                    continue  # the database may come back before the lease ends; if not, the fence refuses the owner's writes
        finally:
            self._database.close()


def _read(connection: Connection, name: str) -> Claim | None:
    query = "SELECT name, owner, fence FROM claims WHERE name = ? AND owner <> ''"
    row = connection.execute(query, (name,)).fetchone()
    return None if row is None else Claim(**dict(row))
