"""Weights & Biases: offline runs in a folder, read with wandb's own record definitions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiment_hub.errors import BadInputError, MissingExtraError
from experiment_hub.tracking.importers.protocol import Foreign
from experiment_hub.tracking.importers.wandb_log import records
from experiment_hub.tracking.mirrors.wandb import STEP, TIME
from experiment_hub.tracking.series.tail import Point

INTERRUPTED = 255  # exit status that wandb gives a run stopped by a person


@dataclass
class _Heard:
    """What the records of one file said so far."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None


class Wandb:
    name = "wandb"

    def runs(self, source: str) -> Iterator[Foreign]:
        place = Path(source)
        files = [place] if place.is_file() else sorted(place.rglob("run-*.wandb"))
        if not files:
            raise BadInputError(f"{source} holds no offline run of W&B (run-….wandb)")
        for path in files:
            yield _run(path)


def _run(path: Path) -> Foreign:
    heard = _listen(path)
    if heard.run is None:
        raise BadInputError(f"{path} does not say which run it is of")
    run = heard.run
    created = run.start_time.ToNanoseconds() / 1e9
    points = list(_points(heard.rows, created))
    return Foreign(
        id=run.run_id,
        name=run.display_name or run.run_id,
        project=run.project or "uncategorized",
        state=_state(heard.exit_code),
        created=min((point.time for point in points), default=created),
        ended=max((point.time for point in points), default=created),
        points=points,
        config={name: value for name, value in heard.config.items() if name != "_wandb"},
        tags=tuple(run.tags),
        notes=run.notes or None,
        facts={"imported_from": str(path), "host": run.host, "git_commit": run.git.commit or None},
    )


def _state(exit_code: int | None) -> str:
    """No status: it was killed."""
    if exit_code is None or exit_code == INTERRUPTED:
        return "killed"
    return "failed" if exit_code else "finished"


def _listen(path: Path) -> _Heard:
    try:
        from wandb.proto import wandb_internal_pb2
    except ImportError as error:
        raise MissingExtraError("the import from W&B", "wandb", "wandb") from error
    heard = _Heard()
    for content in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            heard.run = record.run
            heard.config |= _items(record.run.config.update)
        elif kind == "config":
            heard.config |= _items(record.config.update)
        elif kind == "history":
            heard.rows.append({**_items(record.history.item), "_step": record.history.step.num})
        elif kind == "exit":
            heard.exit_code = record.exit.exit_code
    return heard


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _points(rows: list[dict[str, Any]], created: float) -> Iterator[Point]:
    """Numbers only; pictures and tables stay where they are."""
    for row in rows:
        step, time = int(row.get(STEP, row["_step"])), row.get(TIME, row.get("_timestamp", created))
        for name, value in row.items():
            number = _number(value)
            if number is not None and name not in {STEP, TIME} and not name.startswith("_"):
                yield Point(name, step, float(time), number)


def _number(value: Any) -> float | None:
    """W&B writes NaN and infinity as text."""
    if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    return float(value) if isinstance(value, int | float) else None


IMPORTER = Wandb()
