"""Commands that look after the metadata database."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from experiment_hub.errors import BadInputError
from experiment_hub.metadata import backups, integrity, metric_versions, schema
from experiment_hub.metadata.database import connect, explained
from experiment_hub.metrics.registry import metrics
from experiment_hub.output import emit, progress
from experiment_hub.tracking.home import find_home


def migrate(option: Path | None, target: str, *, as_json: bool) -> None:
    """To a revision; before a step back, which drops tables, a backup is made."""
    known = schema.known_revisions()
    if target not in {"head", "base", *known}:
        raise BadInputError(f"no revision {target!r}; known: base, {', '.join(known)}")
    home = find_home(option)
    engine, place = connect(home)
    with explained("migrated"):
        document = _migrate(engine, home, known[-1] if target == "head" else target)
    document = {"database": place, **document}
    lines = [f"{place}: revision {document['before'] or 'none'} -> {document['after'] or 'none'}"]
    emit(document, lines, as_json=as_json)


def _migrate(engine: Engine, home: Path, wanted: str) -> dict[str, str | None]:
    before = schema.revision(engine)
    saved = None
    if before is not None and (wanted == "base" or wanted < before):
        saved = backups.back_up(engine, _place(home, backups.suffix(engine)))
        progress(f"backup: {saved}")
    if wanted == schema.known_revisions()[-1]:
        schema.bring_up_to_date(engine, home)
    else:
        schema.move(engine, wanted)
    return {"before": before, "after": schema.revision(engine), "backup": str(saved) if saved else None}


def backup(option: Path | None, target: Path | None, *, as_json: bool) -> None:
    home = find_home(option)
    engine, place = connect(home)
    _expect_hub(engine, place)
    made = backups.back_up(engine, target or _place(home, backups.suffix(engine)))
    document = {"database": place, "backup": str(made), "bytes": made.stat().st_size}
    emit(document, [f"{made}: {made.stat().st_size} bytes"], as_json=as_json)


def check(option: Path | None, *, as_json: bool) -> None:
    """Exit code 4 when something is damaged."""
    engine, place = connect(find_home(option))
    _expect_hub(engine, place)
    found = list(integrity.problems(engine))
    found += [] if found else _changed_metrics(engine)
    emit({"database": place, "problems": found}, found or [f"{place}: no problem found"], as_json=as_json)
    if found:
        raise SystemExit(4)


def _expect_hub(engine: Engine, place: str) -> None:
    """Raises BadInputError, and DatabaseGoneError where the database is damaged or out of reach."""
    with explained("read"):
        found = schema.revision(engine)
    if found is None:
        raise BadInputError(f"{place} holds no hub database yet")


def _changed_metrics(engine: Engine) -> list[str]:
    """Registered metrics whose words are no longer those of the version that runs were measured with."""
    recorded = {(row.name, row.version): row.definition_hash for row in metric_versions.versions(engine)}
    return [
        f"metric {name} version {each.item.version} is not what it was when it was first used: give it a new version"
        for name, each in metrics().items()
        if recorded.get((name, each.item.version), each.item.fingerprint()) != each.item.fingerprint()
    ]


def _place(home: Path, suffix: str) -> Path:
    return home / "backups" / f"hub-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.{suffix}"
