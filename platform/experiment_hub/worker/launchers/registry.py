"""Launchers by name."""

from functools import cache
from typing import Any

from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.worker.launchers.protocol import Launcher

LAUNCHERS = ExtensionPoint(
    kind="launcher",
    package="experiment_hub.worker.launchers",
    attribute="LAUNCHER",
    group="experiment_hub.launchers",
    contract=Launcher,
)


@cache
def launchers() -> dict[str, Extension[Any]]:
    return discover(LAUNCHERS)


def launcher(name: str) -> Launcher:
    found: Launcher = pick(LAUNCHERS, launchers(), name).item
    return found
