"""Tries a tree's revisions on a fresh SQLite file and says what they make of it. Runs under the tree's own interpreter.

It is copied beside that file and started there, so it imports nothing of ours. One argument: the order, as JSON.
The last line that it prints is the answer, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from sqlalchemy import Engine, Table
    from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint

FILTERS = ("include_object", "include_name", "include_schemas", "version_table", "user_module_prefix")


class TroubleError(Exception):
    """It cannot be tried here; says why."""


def main() -> None:
    order = json.loads(sys.argv[1])
    try:
        answer = examine(order)
    except TroubleError as trouble:
        answer = {"trouble": str(trouble)}
    print("\n" + json.dumps(answer), flush=True)  # noqa: T201 - the answer
    os._exit(0)  # what the tree's code has registered for the end could only talk over the answer


def examine(order: dict[str, Any]) -> dict[str, Any]:
    """Go up to the base's revision, then to the newest one, compare, and go down again."""
    try:
        from alembic import command
        from sqlalchemy import create_engine
    except ImportError as error:
        raise TroubleError(f"the interpreter of the tree has no {error.name}") from error
    url = f"sqlite:///{order['database']}"
    engine, config = create_engine(url), _config(order, url)
    settings: dict[str, Any] = {}
    _attempted("env.py cannot be run here", lambda: _look(config, engine, settings))
    for revision in order["start"]:
        _attempted("the base's own revisions cannot be applied", lambda: _go(command.upgrade, config, engine, revision))  # noqa: B023 - called at once
    _on_our_file(engine, needed=bool(order["start"]))
    before = _schema(engine, settings)
    if said := _failure(lambda: _go(command.upgrade, config, engine, "heads")):
        return {"upgrade": said}
    _on_our_file(engine, needed=True)
    differences = _differences(order, engine, settings)
    for revision in order["start"] or ["base"]:
        if said := _failure(lambda: _go(command.downgrade, config, engine, revision)):  # noqa: B023 - called at once
            return {"differences": differences, "downgrade": [said]}
    return {"differences": differences, "downgrade": _changed(before, _schema(engine, settings))}


def _config(order: dict[str, Any], url: str) -> Config:
    from alembic.config import Config

    ini = order["ini"]
    if ini:
        os.chdir(os.path.dirname(ini))  # noqa: PTH120 - the interpreter of the tree may be any; as `alembic` is started by hand
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as above
    config = Config(ini or None)
    config.set_main_option("script_location", order["script_location"].replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _go(step: Callable[[Config, str], None], config: Config, engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config.attributes["connection"] = connection  # for an env.py whose caller hands over a connection
        step(config, revision)


def _failure(act: Callable[[], object]) -> str:
    """Say how the revisions fail; raise TroubleError where it is SQLite that cannot do what they ask for."""
    from sqlalchemy.exc import CompileError, OperationalError

    try:
        act()
    except (CompileError, NotImplementedError) as error:
        raise TroubleError(f"the revisions need another database than SQLite: {_short(error)}") from error
    except OperationalError as error:
        if "syntax error" in str(error.orig):
            raise TroubleError(f"the revisions need another database than SQLite: {_short(error)}") from error
        return _short(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a process edge: whatever the tree's code raises is the answer
        return _short(error)
    return ""


def _attempted(what: str, act: Callable[[], object]) -> None:
    if said := _failure(act):
        raise TroubleError(f"{what}: {said}")


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _on_our_file(engine: Engine, *, needed: bool) -> None:
    """Make sure that env.py worked on the file that it was given, and not on a database of its own."""
    from sqlalchemy import inspect

    if needed and not inspect(engine).get_table_names():
        raise TroubleError(
            "env.py did not use the database that it was given; "
            'let it take config.attributes["connection"] or the option sqlalchemy.url'
        )


# what the models say


def _differences(order: dict[str, Any], engine: Engine, settings: dict[str, Any]) -> list[str]:
    """Name each difference between the models and what the revisions have made."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    metadata: Any = _metadata(order, settings.get("target_metadata"))
    options = {name: settings[name] for name in FILTERS if settings.get(name) is not None}
    if not order["filters"]:
        options = {name: value for name, value in options.items() if not name.startswith("include")}
    options |= {"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    told = [_told(one) for row in found for one in (row if isinstance(row, list) else [row])]
    return sorted({*told, *_keys(engine, metadata)})


def _look(config: Config, engine: Engine, settings: dict[str, Any]) -> None:
    """Let env.py say what it would compare, and with which filters."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    def remember(_revision: Any, context: Any) -> list[Any]:
        settings.update(context.opts)
        return []

    script = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        with EnvironmentContext(config, script, fn=remember, dont_mutate=True):
            script.run_env()


def _metadata(order: dict[str, Any], of_env: Any) -> Any:
    """Take the models from where they stand: env.py has imported all of them by now, and may name others."""
    if order["metadata"]:
        module, _, names = order["metadata"].partition(":")
        found: Any = _imported(module)
        for name in names.split("."):
            found = getattr(found, name, None)
        if found is None:
            raise TroubleError(f"[migrations] metadata names {order['metadata']}, which is not there")
        return found
    own = {id(one): one for name in order["models"] for one in _held(_imported(name))}
    if not own and of_env is None:
        raise TroubleError("neither the models nor env.py give a MetaData; name it in [migrations] metadata")
    return of_env if not own else next(iter(own.values())) if len(own) == 1 else list(own.values())


def _imported(name: str) -> Any:
    modules: list[Any] = []
    _attempted(f"{name} cannot be imported", lambda: modules.append(importlib.import_module(name)))
    return modules[0]


def _held(module: Any) -> Iterator[Any]:
    from sqlalchemy import MetaData

    for value in vars(module).values():
        for one in (value, getattr(value, "metadata", None)):
            if isinstance(one, MetaData) and one.tables:
                yield one


def _keys(engine: Engine, metadata: Any) -> Iterator[str]:
    """Compare primary keys, which Alembic leaves out."""
    from sqlalchemy import inspect

    inspector = inspect(engine)
    there = set(inspector.get_table_names())
    for one in metadata if isinstance(metadata, list) else [metadata]:
        for table in (table for table in one.sorted_tables if table.name in there):
            made = sorted(inspector.get_pk_constraint(table.name)["constrained_columns"])
            if made != (wanted := sorted(column.name for column in table.primary_key)):
                yield f"the primary key of {table.name} is {wanted} in the models and {made} after the revisions"


def _told(row: Any) -> str:
    kind, rest = row[0], row[1:]
    if kind.startswith("modify_"):
        table, column, old, new = rest[1], rest[2], rest[-2], rest[-1]
        what = kind.removeprefix("modify_")
        return f"{what} of {table}.{column} is {_plain(new)} in the models and {_plain(old)} after the revisions"
    verb, _, thing = kind.partition("_")
    shown = f"{thing.replace('fk', 'foreign key')} {_named(rest)}"
    if verb == "add":
        return f"{shown} stands in the models, and no revision makes it"
    return f"{shown} is made by the revisions, and the models do not have it"


def _plain(value: Any) -> str:
    text = getattr(getattr(value, "arg", None), "text", None) or getattr(value, "arg", value)
    return str(text) if not isinstance(value, bool | None) else repr(value)


def _named(rest: tuple[Any, ...]) -> str:
    thing = rest[-1]
    if len(rest) > 1 and isinstance(rest[1], str):  # schema, table, column
        return f"{rest[1]}.{getattr(thing, 'name', thing)}"
    table: Table | None = getattr(thing, "table", None)
    if table is None:
        return str(getattr(thing, "name", thing))
    columns = ", ".join(column.name for column in thing.columns)
    return f"{thing.name or ''} on {table.name} ({columns})".lstrip()


# what the revisions make


def _schema(engine: Engine, settings: dict[str, Any]) -> dict[str, str]:
    """Give every part of the schema as it is: tables, columns, types, nullability, indexes, uniques, foreign keys."""
    from sqlalchemy import inspect

    inspector = inspect(engine)
    parts: dict[str, str] = {}
    own = settings.get("version_table") or "alembic_version"
    for table in (name for name in inspector.get_table_names() if name != own):
        parts[f"table {table}"] = ""
        for column in inspector.get_columns(table):
            shown = f"{column['type']}, nullable {column['nullable']}, default {column['default']}"
            parts[f"column {table}.{column['name']}"] = shown
        parts[f"primary key of {table}"] = str(inspector.get_pk_constraint(table)["constrained_columns"])
        for index in inspector.get_indexes(table):
            parts[f"index {index['name']} on {table}"] = f"{index['column_names']}, unique {index['unique']}"
        for unique in inspector.get_unique_constraints(table):
            parts[f"unique {sorted(unique['column_names'])} on {table}"] = ""
        parts |= {f"foreign key {_target(key)} of {table}": "" for key in inspector.get_foreign_keys(table)}
    return parts


def _target(key: ReflectedForeignKeyConstraint) -> str:
    options = {name: value for name, value in key.get("options", {}).items() if value}
    return f"{key['constrained_columns']} to {key['referred_table']} {key['referred_columns']} {options or ''}".rstrip()


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    lost = [f"{part} is gone" for part in before if part not in after]
    left = [f"{part} is left over" for part in after if part not in before]
    other = [
        f"{part} is {after[part]} and was {was}" for part, was in before.items() if part in after and after[part] != was
    ]
    return sorted([*lost, *left, *other])


if __name__ == "__main__":
    main()
