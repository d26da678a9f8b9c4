"""The database's clock: one for all machines. It orders and informs; nobody's life depends on it."""

import time

from sqlalchemy import text
from sqlalchemy.orm import Session


def seconds(session: Session) -> float:
    """Since the epoch; SQLite's clock is this machine's."""
    if session.get_bind().dialect.name == "sqlite":
        return time.time()
    return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
