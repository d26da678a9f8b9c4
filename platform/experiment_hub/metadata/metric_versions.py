"""Every version of every metric that ever counted; a version that has been used never changes its meaning."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, select

from experiment_hub.errors import ConflictError
from experiment_hub.metadata.sessions import insert_missing, reading, writing
from experiment_hub.metadata.tables import MetricVersion


def record(engine: Engine, definitions: Sequence[Mapping[str, Any]]) -> None:
    """Keep definitions (columns of `metric_versions`) that are new; raises ConflictError for one that changed under its number."""
    known = {(row.name, row.version): row for row in versions(engine)}
    fresh = [each for each in definitions if (each["name"], each["version"]) not in known]
    if fresh:
        with writing(engine) as session:
            insert_missing(session, MetricVersion, fresh)
        known = {(row.name, row.version): row for row in versions(engine)}  # another process may have been faster
    for each in definitions:
        row = known[each["name"], each["version"]]
        if row.definition_hash != each["definition_hash"]:
            raise ConflictError(_changed(row, each))


def versions(engine: Engine) -> list[MetricVersion]:
    with reading(engine) as session:
        return list(session.scalars(select(MetricVersion).order_by(MetricVersion.name, MetricVersion.version)))


def _changed(row: MetricVersion, found: Mapping[str, Any]) -> str:
    columns = ("unit", "direction", "formula", "aggregation", "source")
    names = [name for name in columns if getattr(row, name) != found[name]]
    return (
        f"metric {row.name} version {row.version} has changed its {', '.join(names) or 'definition'}: figures of runs that "
        f"are there already would change their meaning; give it version {row.version + 1} and a migration that adds it"
    )
