"""Several runs side by side."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from experiment_hub.api.context import HubDep
from experiment_hub.api.run_comparison import MOST_RUNS, Comparison, comparison
from experiment_hub.api.texts import MaybeText, Text
from experiment_hub.ui.pages.run import CHARTS, chart_run
from experiment_hub.ui.rendering import number, page, visible

router = APIRouter()
AXES = 8  # of the parallel table's drawing


@router.get("/compare")
def compare(
    request: Request,
    hub: HubDep,
    run: Annotated[list[Text] | None, Query(max_length=MOST_RUNS)] = None,
    names: MaybeText = None,
) -> Response:
    if not run:
        return page(request, "compare.html", found=None)
    found = comparison(hub.store, run)
    labels = _labels(found)
    runs = [chart_run(each, index, labels[index]) for index, each in enumerate(found.runs)]
    metrics = [name for name in found.metrics if not names or names.lower() in name.lower()]
    values: dict[str, Any] = {
        "found": found,
        "runs": runs,
        "metrics": metrics[:CHARTS],
        "hidden": len(metrics) - CHARTS,
    }
    return page(request, "compare.html", names=names, parallel=parallel(found), **values)


def _labels(found: Comparison) -> list[str]:
    """Names where they tell the runs apart, else names with the end of the id."""
    names = [visible(run.name)[:40] for run in found.runs]
    if len(set(names)) == len(names):
        return names
    return [f"{name} {visible(run.id)[-6:]}" for name, run in zip(names, found.runs, strict=True)]


def parallel(found: Comparison) -> dict[str, Any] | None:
    """Axes and lines of a drawing with one line for each run; places from 0 to 1, None where there is no value."""
    named = [name for name in found.differing if name in found.parameters]
    axes = [(name, found.parameters[name]) for name in named][: AXES - 2]
    axes += [(name, values) for name, values in found.metrics.items() if len(set(map(str, values))) > 1][:2]
    drawn = [_axis(name, values) for name, values in axes]
    if len(drawn) < 2 or len(found.runs) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    places = [[axis["places"][index] for axis in drawn] for index in range(len(found.runs))]
    return {"axes": [{key: axis[key] for key in ("name", "low", "high")} for axis in drawn], "lines": places}


def _axis(name: str, values: list[Any]) -> dict[str, Any]:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if numbers and len(numbers) == sum(value is not None for value in values):
        low, high = min(numbers), max(numbers)
        places = [None if value is None else (float(value) - low) / ((high - low) or 1) for value in values]
        return {"name": visible(name), "low": number(low), "high": number(high), "places": places}
    kinds = sorted({str(value) for value in values if value is not None})
    spread = max(1, len(kinds) - 1)
    places = [None if value is None else kinds.index(str(value)) / spread for value in values]
    return {"name": visible(name), "low": visible(kinds[0]), "high": visible(kinds[-1]), "places": places}
