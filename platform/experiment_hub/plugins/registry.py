from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.errors import MissingExtraError
from experiment_hub.plugins.protocol import ModelPlugin, Plugin, contract, extra, missing

POINT = ExtensionPoint(
    kind="model",
    package="experiment_hub.plugins",
    attribute="PLUGIN",
    group="experiment_hub.plugins",
    contract=Plugin,
    contract_of=contract,
)


@cache
def plugins() -> dict[str, Extension[ModelPlugin]]:
    return discover(POINT)


def plugin(name: str) -> Extension[ModelPlugin]:
    """Raises UnknownNameError, and MissingExtraError when a library that it needs is not installed."""
    found: Extension[ModelPlugin] = pick(POINT, plugins(), name)
    absent = missing(found.item)
    if absent:
        raise MissingExtraError(f"model {name!r}", absent[0], extra(found.item))
    return found
