from functools import cache

from experiment_hub.datasets.protocol import DatasetSpec
from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick

POINT = ExtensionPoint(
    kind="dataset",
    package="experiment_hub.datasets",
    attribute="DATASET",
    group="experiment_hub.datasets",
    contract=DatasetSpec,
)


@cache
def datasets() -> dict[str, Extension[DatasetSpec]]:
    return discover(POINT)


def dataset(name: str) -> Extension[DatasetSpec]:
    return pick(POINT, datasets(), name)
