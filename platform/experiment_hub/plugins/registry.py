from functools import cache

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.plugins.protocol import ModelPlugin

POINT = ExtensionPoint(
    kind="model",
    package="experiment_hub.plugins",
    attribute="PLUGIN",
    group="experiment_hub.plugins",
    contract=ModelPlugin,
)


@cache
def plugins() -> dict[str, Extension[ModelPlugin]]:
    return discover(POINT)


def plugin(name: str) -> Extension[ModelPlugin]:
    return pick(POINT, plugins(), name)
