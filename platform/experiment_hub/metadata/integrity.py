"""Looking for damage in the metadata database."""

from collections.abc import Iterator

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from experiment_hub.metadata import schema
from experiment_hub.metadata.database import first_line
from experiment_hub.metadata.tables import Base


def problems(engine: Engine) -> Iterator[str]:
    """What is wrong, in words for people; nothing when all is well."""
    try:
        yield from _looked_for(engine)
    except DatabaseError as error:  # damage may keep even the questions from being answered
        yield f"the database is damaged: {first_line(error)}"


def _looked_for(engine: Engine) -> Iterator[str]:
    newest = schema.known_revisions()[-1]
    if (found := schema.revision(engine)) != newest:
        yield f"the schema is at revision {found or 'none'}, this hub works with {newest}: hub db upgrade"
        return
    if engine.dialect.name == "sqlite":
        yield from _damage(engine)
    yield from _differences(engine)
    yield from _orphans(engine)


def _damage(engine: Engine) -> Iterator[str]:
    with engine.connect() as connection:
        lines = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
    if lines != ["ok"]:
        yield from (f"the file is damaged: {line}" for line in lines)


def _differences(engine: Engine) -> Iterator[str]:
    """Tables, columns and indexes by name: somebody may have changed them by hand."""
    inspector = inspect(engine)
    present = set(inspector.get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name not in present:
            yield f"table {table.name} is missing"
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        yield from (f"column {table.name}.{each.name} is missing" for each in table.columns if each.name not in columns)
        yield from (f"index {each.name} is missing" for each in table.indexes if each.name not in indexes)


def _orphans(engine: Engine) -> Iterator[str]:
    """Rows that refer to what is not there; SQLite enforces references only for connections that ask for it."""
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for key in table.foreign_keys:
                column, target = key.parent, key.column
                query = f'SELECT count(*) FROM "{table.name}" a WHERE a."{column.name}" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "{target.table.name}" b WHERE b."{target.name}" = a."{column.name}")'  # noqa: S608 -- names come from our own tables
                count = connection.execute(text(query)).scalar() or 0
                if count:
                    yield f"{count} rows of {table.name} refer by {column.name} to a row of {target.table.name} that is not there"
