"""Commands that list what is registered."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from experiment_hub.discovery import Extension
from experiment_hub.output import emit, shown, table

if TYPE_CHECKING:
    from experiment_hub.configuration.provenance import Provenance


def plugins(*, as_json: bool) -> None:
    from experiment_hub.plugins.protocol import framework, missing
    from experiment_hub.plugins.registry import plugins as registered

    rows = [
        {**_configured(each), "framework": framework(each.item), "missing": list(missing(each.item))}
        for each in registered().values()
    ]
    _list("plugins", rows, as_json=as_json)


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


def show_config(config: str, assignments: Sequence[str], *, smoke: bool, as_json: bool) -> None:
    """Every value with its file and line, and what it replaced."""
    from experiment_hub.configuration.document import stages
    from experiment_hub.configuration.provenance import histories

    grown = stages(config, smoke=smoke, assignments=assignments)
    values = histories(grown)
    document = {
        "config": grown[-1].data,
        "files": list(dict.fromkeys(each.source for each in grown)),
        "values": [
            {"key": each.key, "value": each.value, "origin": each.origin, "replaces": list(map(asdict, each.replaces))}
            for each in values
        ],
    }
    rows = ((each.key, _cell(each.value), each.origin, _replaced(each)) for each in values)
    emit(document, table(("key", "value", "from", "instead of"), rows), as_json=as_json)


def diff_config(one: str, other: str, *, as_json: bool) -> None:
    from experiment_hub.configuration.document import load
    from experiment_hub.configuration.provenance import changes

    found = changes(load(one), load(other))
    rows = ((each.key, _cell(each.a), _cell(each.b), each.a_origin, each.b_origin) for each in found)
    lines = table(("key", "a", "b", "a from", "b from"), rows) if found else ["no difference"]
    emit({"a": one, "b": other, "differences": list(map(asdict, found))}, lines, as_json=as_json)


def _cell(value: Any) -> str:
    """A value as YAML would write it on one line."""
    return shown(value) if value is None or isinstance(value, str) else json.dumps(value, default=str)


def _replaced(value: "Provenance") -> str:
    return "; ".join(f"{_cell(each.value)} ({each.origin})" for each in value.replaces) or "-"


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
