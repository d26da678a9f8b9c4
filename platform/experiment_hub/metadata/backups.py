"""One consistent copy of the database, while others go on writing."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from experiment_hub.errors import BadInputError, ConflictError, DatabaseGoneError
from experiment_hub.files import sync

PAGES = 2048  # of SQLite, per step: a writer waits for one step at most


def back_up(engine: Engine, target: Path) -> Path:
    """Complete or absent; a file that is there already is never overwritten. Raises HubError."""
    if target.exists():
        raise ConflictError(f"{target} is there already; name another file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        (_copy_sqlite if engine.dialect.name == "sqlite" else _dump_postgresql)(engine, part)
        sync(part)
        os.link(part, target)  # unlike a rename this refuses a file that appeared meanwhile
    except FileExistsError as error:
        raise ConflictError(f"{target} is there already; name another file") from error
    except (OSError, sqlite3.Error) as error:
        raise DatabaseGoneError(f"the backup {target} could not be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def suffix(engine: Engine) -> str:
    return "sqlite" if engine.dialect.name == "sqlite" else "dump"


def _copy_sqlite(engine: Engine, target: Path) -> None:
    path = str(engine.url.database)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, not three


def _dump_postgresql(engine: Engine, target: Path) -> None:
    """The server's own format, for `pg_restore`; its version of pg_dump must be installed here."""
    program = _pg_dump()
    url = engine.url
    known = {
        "HOST": url.host,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": url.password,
        "DATABASE": url.database,
    }
    # a password on the command line could be read by others
    environment = {**os.environ, **{f"PG{name}": str(value) for name, value in known.items() if value is not None}}
    done = subprocess.run(
        [program, "--format=custom", f"--file={target}"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadInputError(f"pg_dump refused: {done.stderr.strip().splitlines()[0] if done.stderr else 'no reason'}")


def _pg_dump() -> str:
    found = shutil.which("pg_dump") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))[-1:]), None)
    if found is None:
        raise BadInputError("a backup of a PostgreSQL database needs pg_dump: install PostgreSQL's client programs")
    return str(found)
