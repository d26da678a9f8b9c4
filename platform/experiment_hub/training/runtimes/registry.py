from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.plugins.protocol import Plugin, framework
from experiment_hub.training.runtimes.protocol import Runtime

POINT = ExtensionPoint(
    kind="framework",
    package="experiment_hub.training.runtimes",
    attribute="RUNTIME",
    group="experiment_hub.runtimes",
    contract=Runtime,
)


@cache
def runtimes() -> dict[str, Extension[Runtime]]:
    return discover(POINT)


def runtime_of(plugin: Plugin) -> Runtime:
    """Raises UnknownNameError when nothing here trains its framework."""
    found: Extension[Runtime] = pick(POINT, runtimes(), framework(plugin))
    return found.item
