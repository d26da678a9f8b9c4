"""MLflow: a tracking URI, or the folder or SQLite file of a store, by MLflow's own client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from experiment_hub.errors import BadInputError
from experiment_hub.tracking.importers.protocol import Foreign
from experiment_hub.tracking.mirrors.mlflow import NAME_TAG, client
from experiment_hub.tracking.series.tail import Point

STATES = {"FINISHED": "finished", "FAILED": "failed"}
PAGE = 1000
OWN_TAGS = ("mlflow.", "hub.")
LARGEST = 1.7976931348623157e308  # what MLflow's SQL store makes of infinity


class Mlflow:
    name = "mlflow"

    def runs(self, source: str) -> Iterator[Foreign]:
        if "://" not in source and not Path(source).exists():
            raise BadInputError(f"{source}: no such store of MLflow; give a folder, an SQLite file or a tracking URI")
        found = client(source, "the import from MLflow")
        from mlflow.entities import ViewType
        from mlflow.exceptions import MlflowException

        try:
            for experiment in _pages(found.search_experiments, view_type=ViewType.ALL):
                for run in _pages(found.search_runs, experiment_ids=[experiment.experiment_id]):
                    yield _run(found, experiment.name, run)
        except MlflowException as error:
            raise BadInputError(f"{source}: MLflow cannot read it: {str(error).splitlines()[0]}") from error


def _value(text: str) -> Any:
    """MLflow keeps text; what reads as a number, true or false was one."""
    if text in {"True", "False"}:
        return text == "True"
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float) else text


def _pages(search: Any, **arguments: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


def _run(found: Any, project: str, run: Any) -> Foreign:
    tags = run.data.tags
    names = {key.removeprefix(NAME_TAG): value for key, value in tags.items() if key.startswith(NAME_TAG)}
    return Foreign(
        id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        project=project,
        state=STATES.get(run.info.status, "killed"),
        created=run.info.start_time / 1000,
        ended=run.info.end_time / 1000 if run.info.end_time else None,
        points=_points(found, run, names),
        config={names.get(key, key): _value(value) for key, value in run.data.params.items()},
        tags=tuple(_tags(tags)),
        notes=tags.get("mlflow.note.content") or None,
        facts=_facts(run),
        artifacts=tuple(_artifacts(run)),
    )


def _points(found: Any, run: Any, names: dict[str, str]) -> Iterator[Point]:
    for key in run.data.metrics:
        for each in found.get_metric_history(run.info.run_id, key):
            value = each.value if abs(each.value) < LARGEST else each.value * 2  # back to infinity
            yield Point(names.get(key, key), each.step, each.timestamp / 1000, value)


def _tags(tags: dict[str, str]) -> Iterator[str]:
    for key, value in tags.items():
        if key.startswith("hub.tag."):
            yield value
        elif not key.startswith(OWN_TAGS):
            yield f"{key}={value}"


def _facts(run: Any) -> dict[str, Any]:
    tags = run.data.tags
    return {
        "imported_from": f"mlflow run {run.info.run_id}",
        "user": tags.get("mlflow.user"),
        "script": tags.get("mlflow.source.name"),
        "git_commit": tags.get("mlflow.source.git.commit"),
    }


def _artifacts(run: Any) -> Iterator[tuple[str, Path]]:
    """Those on this machine; what lies in a bucket stays there."""
    place = urlparse(run.info.artifact_uri)
    folder = Path(unquote(place.path))
    if place.scheme in {"", "file"} and folder.is_dir():
        for each in sorted(folder.iterdir()):
            yield each.name, each


IMPORTER = Mlflow()
