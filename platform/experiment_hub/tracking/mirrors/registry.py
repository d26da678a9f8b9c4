from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.tracking.mirrors.protocol import Mirror

POINT = ExtensionPoint("mirror", "experiment_hub.tracking.mirrors", "MIRROR", "experiment_hub.mirrors", Mirror)


@cache
def mirrors() -> dict[str, Extension[Mirror]]:
    return discover(POINT)


def mirror_named(name: str) -> Mirror:
    found: Extension[Mirror] = pick(POINT, mirrors(), name)
    return found.item
