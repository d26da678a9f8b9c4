"""Experiment hub: any model type, one way to train, track, compare, register and pay.

import experiment_hub as hub

run = hub.start("name", config={"learning_rate": 0.01})
run.log({"loss": 0.5}, step=1)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiment_hub.tracking.client import TrackedRun, start

__all__ = ["TrackedRun", "start"]


def __getattr__(name: str) -> Any:
    """Loaded when it is asked for, so that importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from experiment_hub.tracking import client

    return getattr(client, name)
