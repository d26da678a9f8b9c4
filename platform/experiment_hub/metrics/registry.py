from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.metrics.definition import MetricDefinition

POINT = ExtensionPoint(
    kind="metric",
    package="experiment_hub.metrics.definitions",
    attribute="METRIC",
    group="experiment_hub.metrics",
    contract=MetricDefinition,
)


@cache
def metrics() -> dict[str, Extension[MetricDefinition]]:
    return discover(POINT)


def metric(name: str) -> MetricDefinition:
    found: Extension[MetricDefinition] = pick(POINT, metrics(), name)
    return found.item
