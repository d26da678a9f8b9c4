"""Points over steps, written at about a microsecond each and durable against the death of the process.

`SeriesWriter` needs the standard library only; the reading side needs numpy and is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from experiment_hub.tracking.series.writer import SeriesWriter

if TYPE_CHECKING:
    from experiment_hub.tracking.series.curves import Curve, curve
    from experiment_hub.tracking.series.packing import pack, unpack
    from experiment_hub.tracking.series.reader import Points, names, read
    from experiment_hub.tracking.series.summary import Summary, summaries

__all__ = [
    "Curve",
    "Points",
    "SeriesWriter",
    "Summary",
    "curve",
    "names",
    "pack",
    "read",
    "summaries",
    "unpack",
]

_HOMES = {
    "Curve": "curves",
    "curve": "curves",
    "Points": "reader",
    "names": "reader",
    "read": "reader",
    "Summary": "summary",
    "summaries": "summary",
    "pack": "packing",
    "unpack": "packing",
}


def __getattr__(name: str) -> Any:
    """A process that only writes never pays for numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
