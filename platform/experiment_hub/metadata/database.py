"""Opening the metadata database, and bringing its schema up to date."""

from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError

from experiment_hub.errors import BadInputError, NewerSchemaError

FILE = "hub.sqlite"
BUSY_TIMEOUT_SECONDS = 30
MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(home: Path) -> Engine:
    """An engine on the database of a home, created or upgraded if need be."""
    path = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"home {home} cannot be used: {error.strerror}") from error
    # NullPool: a connection lives as long as one short transaction, so processes never hold each other up
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _on_connect)
    try:
        if _revision(engine) != _known_revisions()[-1]:
            _upgrade(engine, home)
    except DatabaseError as error:
        raise BadInputError(f"{path} cannot be used as the hub's database: {error.orig}") from error
    return engine


def _on_connect(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL this survives a crash of the process


def _known_revisions() -> list[str]:
    """From the file names, because importing alembic costs half a second that most commands can save."""
    return sorted(path.stem[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9]*.py"))


def _revision(engine: Engine) -> str | None:
    if not Path(str(engine.url.database)).is_file():
        return None
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(engine: Engine, home: Path) -> None:
    with FileLock(home / "schema.lock"):
        current = _revision(engine)  # another process may have been faster
        if current is not None and current not in _known_revisions():
            raise NewerSchemaError(f"home {home} has schema {current}, newer than this hub; update the hub")
        if current != _known_revisions()[-1]:
            _migrate(engine)


def _migrate(engine: Engine) -> None:
    from alembic.command import upgrade
    from alembic.config import Config

    with engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode = WAL"))  # readers go on while one process writes
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # or else sqlite3 commits each statement on its own
        config.attributes["connection"] = connection
        upgrade(config, "head")
