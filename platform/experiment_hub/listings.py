"""Commands that list what is registered."""

from typing import Any

from experiment_hub.discovery import Extension
from experiment_hub.output import emit, table


def plugins(*, as_json: bool) -> None:
    from experiment_hub.plugins.registry import plugins as registered

    _list("plugins", [_configured(each) for each in registered().values()], as_json=as_json)


def datasets(*, as_json: bool) -> None:
    from experiment_hub.datasets.registry import datasets as registered

    _list("datasets", [_configured(each) for each in registered().values()], as_json=as_json)


def metrics(*, as_json: bool) -> None:
    from experiment_hub.metrics.registry import metrics as registered

    fields = ("name", "version", "unit", "direction", "formula", "source")
    rows = [
        {**{key: getattr(each.item, key) for key in fields}, "tasks": sorted(each.item.tasks), "module": each.module}
        for each in registered().values()
    ]
    _list("metrics", rows, as_json=as_json)


def _configured(extension: Extension[Any]) -> dict[str, Any]:
    item = extension.item
    return {
        "name": item.name,
        "task": item.task,
        "config": sorted(item.Config.model_fields),
        "module": extension.module,
    }


def _list(label: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    header = tuple(rows[0]) if rows else ("name",)
    emit({label: rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)
