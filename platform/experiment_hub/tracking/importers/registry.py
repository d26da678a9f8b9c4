from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.tracking.importers.protocol import Importer

POINT = ExtensionPoint(
    "importer", "experiment_hub.tracking.importers", "IMPORTER", "experiment_hub.importers", Importer
)


@cache
def importers() -> dict[str, Extension[Importer]]:
    return discover(POINT)


def importer_named(name: str) -> Importer:
    found: Extension[Importer] = pick(POINT, importers(), name)
    return found.item
