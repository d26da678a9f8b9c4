"""The schema's revisions: which one a database has, and the way to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, text

from experiment_hub.errors import NewerSchemaError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x4855_4200  # of PostgreSQL's advisory locks: one process migrates, the others wait


def bring_up_to_date(engine: Engine, home: Path) -> None:
    """To the newest revision that this hub knows; raises NewerSchemaError where the database is ahead."""
    newest = known_revisions()[-1]
    if revision(engine) == newest:
        return
    with _alone(engine, home):
        current = revision(engine)  # another process may have been faster
        if current is not None and current not in known_revisions():
            raise NewerSchemaError(f"home {home} has schema {current}, newer than this hub; update the hub")
        if current != newest:
            move(engine, "head")


def known_revisions() -> list[str]:
    """From the file names, because importing alembic costs half a second that most commands can save."""
    return sorted(path.stem[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9]*.py"))


def revision(engine: Engine) -> str | None:
    """None for a database without a schema."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).is_file():
        return None
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def move(engine: Engine, target: str) -> None:
    """Up or down to a revision, `head` or `base`, in one transaction."""
    from alembic import command

    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    known = known_revisions()
    current = revision(engine)
    down = target == "base" or (target != "head" and current is not None and known.index(target) < known.index(current))
    with engine.execution_options(hub_begin="IMMEDIATE").begin() as connection:
        (command.downgrade if down else command.upgrade)(_alembic(connection), target)


def _write_ahead(engine: Engine) -> None:
    """Readers go on while one process writes; the journal's mode cannot change inside a transaction."""
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]


def _alembic(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(engine: Engine, home: Path) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with FileLock(home / "schema.lock"):
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
