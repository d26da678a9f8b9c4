"""An evaluation as pictures: plain SVG, drawn from what the database holds."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiment_hub.metadata.tables import Evaluation

MOST_NAMED = 20  # classes whose counts are written into the cells


def plots(row: Evaluation) -> dict[str, bytes]:
    """By file name."""
    made = {"calibration.svg": _draw("calibration", _calibration(row)), "metrics.svg": _draw("metrics", _metrics(row))}
    if row.details["confusion"] is not None:
        made["confusion.svg"] = _draw("confusion", _confusion(row))
    return made


def _draw(name: str, values: dict[str, Any]) -> bytes:
    return _environment().get_template(f"{name}.svg.j2").render(**values).encode()


@cache
def _environment() -> Environment:
    """Names of classes and datasets are foreign text, so everything is escaped."""
    folder = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _title(row: Evaluation) -> str:
    return f"{row.dataset}, {row.split}, {row.samples} samples"


def _confusion(row: Evaluation) -> dict[str, Any]:
    counts = row.details["confusion"]
    names = row.details["classes"] or [str(index) for index in range(len(counts))]
    shares = [[count / max(1, sum(line)) for count in line] for line in counts]
    return {"title": _title(row), "names": names, "counts": counts, "shares": shares, "named": len(names) <= MOST_NAMED}


def _calibration(row: Evaluation) -> dict[str, Any]:
    found = row.details["calibration"]
    bins = zip(found["counts"], found["confidence"], found["accuracy"], strict=True)
    most = max(found["counts"])
    return {
        "title": _title(row),
        "error": found["expected_error"],
        "width": 1 / len(found["counts"]),
        "bins": [
            {"index": index, "count": count, "share": count / most, "confidence": confidence, "accuracy": accuracy}
            for index, (count, confidence, accuracy) in enumerate(bins)
        ],
    }


def _metrics(row: Evaluation) -> dict[str, Any]:
    """Each metric on an axis of its own, from 0 or the interval's end to the largest of 1 and the interval's end."""
    figures = []
    for name, each in row.metrics.items():
        ends = [end for end in (each["low"], each["high"], each["value"]) if end is not None]
        start, stop = min(0.0, *ends), max(1.0, *ends)
        places = {
            key: (each[key] - start) / (stop - start) for key in ("low", "high", "value") if each[key] is not None
        }
        figures.append({"name": name, "places": places, **each})
    return {"title": _title(row), "figures": figures}
