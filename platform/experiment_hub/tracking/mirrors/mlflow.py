"""MLflow: any tracking URI, by MLflow's own client."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from experiment_hub.errors import MissingExtraError
from experiment_hub.tracking.mirrors.protocol import Shown
from experiment_hub.tracking.plain import as_text, storable
from experiment_hub.tracking.series.tail import Point

ItemT = TypeVar("ItemT")
METRICS, PARAMETERS = 1000, 100  # MLflow takes so many in one call
LONGEST_NAME, LONGEST_VALUE = 200, 5000
NAME_TAG = "hub.name."  # of tags that keep names MLflow does not take
SQLITE = frozenset((".db", ".sqlite", ".sqlite3"))
STATES = {"finished": "FINISHED", "killed": "KILLED"}


class _MlflowRun:
    def __init__(self, run: Shown, target: str) -> None:
        self._client = client(target, "the mirror to MLflow")
        from mlflow import entities

        self._entities = entities
        self._names: dict[str, str] = {}
        self._artifacts = _beside(target)
        self._run = self._client.create_run(
            self._experiment(run.project),
            start_time=round(run.created * 1000),
            run_name=storable(run.name)[:LONGEST_VALUE],
            tags={"hub.run": run.id, "mlflow.note.content": storable(run.notes or "")[:LONGEST_VALUE]},
        ).info.run_id
        for tag in run.tags:
            self._client.set_tag(self._run, f"hub.tag.{self._name(tag)}", storable(tag)[:LONGEST_VALUE])
        param = self._entities.Param
        rows = [
            param(self._name(name), storable(as_text(value))[:LONGEST_VALUE]) for name, value in run.parameters.items()
        ]
        for batch in _batches(rows, PARAMETERS):
            self._client.log_batch(self._run, params=batch)

    def points(self, points: Iterable[Point]) -> None:
        metric = self._entities.Metric
        rows = (metric(self._name(each.name), each.value, round(each.time * 1000), each.step) for each in points)
        for batch in _batches(rows, METRICS):
            self._client.log_batch(self._run, metrics=batch)

    def artifact(self, name: str, path: Path) -> None:
        (self._client.log_artifacts if path.is_dir() else self._client.log_artifact)(self._run, str(path), name)

    def close(self, state: str, ended: float | None) -> None:
        end = None if ended is None else round(ended * 1000)
        self._client.set_terminated(self._run, STATES.get(state, "FAILED"), end)

    def _experiment(self, project: str) -> str:
        found = self._client.get_experiment_by_name(project)
        if found:
            return str(found.experiment_id)
        return str(self._client.create_experiment(project, artifact_location=self._artifacts))

    def _name(self, name: str) -> str:
        """MLflow takes few characters; the true name of what had to be changed stands in a tag."""
        if name not in self._names:
            self._names[name] = taken = accepted(name)
            if taken != name:
                self._client.set_tag(self._run, f"{NAME_TAG}{taken}", storable(name)[:LONGEST_VALUE])
        return self._names[name]


def client(target: str, feature: str) -> Any:
    """For a tracking URI, or for the folder or SQLite file of a store. Raises MissingExtraError."""
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtraError(feature, "mlflow", "mlflow") from error
    place = Path(target).absolute()
    uri = target if "://" in target else place.as_uri() if place.suffix not in SQLITE else f"sqlite:///{place}"
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow asks for this word since 3.10
    return MlflowClient(tracking_uri=uri)


def _beside(target: str) -> str | None:
    """Where files go: beside a SQLite file, because MLflow's own answer is the current folder; None: as the store says."""
    place = Path(target).absolute()
    return None if "://" in target or place.suffix not in SQLITE else (place.parent / "mlartifacts").as_uri()


def accepted(name: str) -> str:
    """The name, or one that MLflow takes and that no other name becomes."""
    plain = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:LONGEST_NAME].strip("/. ") or "name"
    plain = re.sub(r"/+|/\.+/", "/", plain)
    if plain == name:
        return name
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _batches(rows: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


class Mlflow:
    name = "mlflow"

    def open(self, run: Shown, target: str) -> Any:
        return _MlflowRun(run, target)


MIRROR = Mlflow()
