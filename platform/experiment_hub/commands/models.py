"""Commands about the model registry."""

import getpass
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.errors import BadInputError
from experiment_hub.metadata.tables import Base, Evaluation, ModelVersion
from experiment_hub.output import emit, shown, table, visible
from experiment_hub.registry import models, moves
from experiment_hub.registry.gate import Grounds
from experiment_hub.tracking.home import find_home

VERSION_COLUMNS = ("model", "version", "stage", "digest", "run_id", "dataset_hash", "git_commit", "created_at")
EVENT_COLUMNS = ("id", "kind", "subject", "before", "after", "undone_by", "evaluation_id", "reason", "actor", "at")
SHORT = {"digest": 19, "dataset_hash": 12, "git_commit": 12}


@dataclass(frozen=True)
class Registration:
    run: str | None
    artifact: str | None
    notes: str | None
    description: str | None


@dataclass(frozen=True)
class Target:
    name: str
    version: int
    stage: str


def grounds(evaluation: str | None, minimum: Sequence[str], reason: str | None, *, without_evaluation: bool) -> Grounds:
    return Grounds(evaluation, dict(map(_minimum, minimum)), without_evaluation, reason)


def _minimum(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        limit = float(value)
    except ValueError as error:
        raise BadInputError(f"--minimum {text!r}: expected METRIC=VALUE with a number") from error
    if not name or not equals or limit != limit:  # noqa: PLR0124 -- only NaN differs from itself
        raise BadInputError(f"--minimum {text!r}: expected METRIC=VALUE with a number")
    return name, limit


def register(name: str, request: Registration, home: Path | None, *, as_json: bool) -> None:
    if (request.run is None) == (request.artifact is None):
        raise BadInputError("say either --run RUN or --artifact DIGEST")
    catalog = Catalog(find_home(home))
    digest = request.artifact or models.of_run(catalog, request.run or "")
    digest = catalog.record(digest).digest
    candidate = models.Candidate(
        digest, request.run or models.run_of(catalog, digest), request.notes, request.description
    )
    version = models.register(catalog, name, candidate, actor=getpass.getuser())
    line = f"{visible(name, kept='')} version {version.version}: {version.digest}"
    emit(_columns(version), [line], as_json=as_json)


def list_versions(home: Path | None, *, as_json: bool) -> None:
    rows = [_columns(version) for version in models.versions(Catalog(find_home(home)))]
    emit({"versions": rows}, table(VERSION_COLUMNS, (_cells(row) for row in rows)), as_json=as_json)


def show(name: str, home: Path | None, *, as_json: bool) -> None:
    found = models.history(Catalog(find_home(home)), name)
    document = {
        **_columns(found.model),
        "versions": [_lineage(found, version) for version in found.versions],
        "aliases": {alias.alias: alias.version for alias in found.aliases},
        "events": [_columns(event) for event in found.events],
    }
    emit(document, _described(document), as_json=as_json)


def _lineage(found: models.ModelHistory, version: ModelVersion) -> dict[str, Any]:
    run = found.runs.get(version.run_id or "")
    return {
        **_columns(version),
        "config": run.config if run else None,
        "seed": run.seed if run else None,
        "source_hash": run.source_hash if run else None,
        "evaluations": [_measured(row) for row in found.evaluations[version.digest]],
    }


def _measured(row: Evaluation) -> dict[str, Any]:
    return {
        "id": row.id,
        "dataset": row.dataset,
        "dataset_hash": row.dataset_hash,
        "split": row.split,
        "metrics": row.metrics,
        "created_at": row.created_at,
    }


def _described(document: dict[str, Any]) -> Iterator[str]:
    yield f"{visible(document['name'], kept='')}: {visible(document['description'], kept='') or 'no description'}"
    yield from table(VERSION_COLUMNS, (_cells(row) for row in document["versions"]))
    for version in document["versions"]:
        for row in version["evaluations"]:
            figures = ", ".join(f"{name} {shown(figure['value'])}" for name, figure in row["metrics"].items())
            yield f"version {version['version']}: evaluation {row['id']} on {row['dataset']}/{row['split']}: {figures}"
    yield from (f"@{visible(alias, kept='')} means version {version}" for alias, version in document["aliases"].items())
    yield from table(EVENT_COLUMNS, ([_cell(row, column) for column in EVENT_COLUMNS] for row in document["events"]))


def promote(target: Target, why: Grounds, home: Path | None, *, as_json: bool) -> None:
    catalog = Catalog(find_home(home))
    done = moves.promote(catalog, target.name, target.version, stage=target.stage, grounds=why, actor=getpass.getuser())
    _report(done, as_json=as_json)


def alias(name: str, version: int, alias_: str, home: Path | None, *, as_json: bool) -> None:
    _report(moves.alias(Catalog(find_home(home)), name, alias_, version, actor=getpass.getuser()), as_json=as_json)


def rollback(name: str, subject: str, reason: str | None, home: Path | None, *, as_json: bool) -> None:
    catalog = Catalog(find_home(home))
    _report(moves.rollback(catalog, name, subject=subject, reason=reason, actor=getpass.getuser()), as_json=as_json)


def archive(name: str, version: int, reason: str | None, home: Path | None, *, as_json: bool) -> None:
    catalog = Catalog(find_home(home))
    _report(moves.archive(catalog, name, version, reason=reason, actor=getpass.getuser()), as_json=as_json)


def _report(done: moves.Moved, *, as_json: bool) -> None:
    was = "nothing" if done.before is None else f"version {done.before}"
    now = "nothing" if done.after is None else f"version {done.after} ({done.digest})"
    emit(
        asdict(done),
        [f"{visible(done.model, kept='')} {visible(done.subject, kept='')}: {now}; before: {was}"],
        as_json=as_json,
    )


def fetch(reference: str, target: Path, home: Path | None, *, as_json: bool) -> None:
    version = models.fetch(Catalog(find_home(home)), reference, target)
    line = f"{target}: {visible(version.model, kept='')} version {version.version}, {version.digest}, verified"
    emit({**_columns(version), "path": str(target)}, [line], as_json=as_json)


def _columns(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _cells(row: dict[str, Any]) -> list[str]:
    return [_cell(row, column) for column in VERSION_COLUMNS]


def _cell(row: dict[str, Any], column: str) -> str:
    return shown(row[column])[: SHORT.get(column)]
