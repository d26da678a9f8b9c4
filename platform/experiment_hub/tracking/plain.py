"""Values of somebody's script as plain data that JSON and both databases can keep."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from experiment_hub.errors import BadInputError

DEEPEST = 32
LONGEST_TEXT = 10_000  # of the description of an object that is no plain data
LONGEST_KEY = 1000  # bytes: PostgreSQL's indexes take no more than about 2,700 for a row


def plain(value: Any, depth: int = 0) -> Any:
    """Dictionaries, lists, text, numbers, booleans and None; NaN and infinity become text, other objects their repr."""
    if depth > DEEPEST:
        raise BadInputError(f"the configuration is nested more than {DEEPEST} deep, or contains itself")
    if value is None or isinstance(value, bool) or type(value) is int:
        return value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else odd(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth + 1) for each in value]
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    """A dataclass or a namespace by its fields, a numpy scalar by its number, everything else by its description."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item(), depth + 1)
    if type(value).__module__ == "argparse" or hasattr(type(value), "__dataclass_fields__"):
        return plain(vars(value), depth + 1)
    return storable(str(value)[:LONGEST_TEXT])


def odd(value: float) -> str | None:
    """NaN, Infinity or -Infinity; None for a finite number."""
    if math.isfinite(value):
        return None
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def flatten(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def storable(text: str) -> str:
    """Text that every database takes: no NUL and no half of a surrogate pair."""
    return text.replace("\0", "\u2400").encode("utf-8", "backslashreplace").decode("utf-8")


def key(text: str) -> str:
    """A name as both databases can index it: of a longer one the beginning and a hash of all of it."""
    clean = storable(text)
    content = clean.encode()
    if len(content) <= LONGEST_KEY:
        return clean
    import hashlib

    digest = hashlib.sha256(content).hexdigest()[:16]
    return f"{content[: LONGEST_KEY - 20].decode('utf-8', 'ignore')}…{digest}"


def as_text(value: Any) -> str:
    """A leaf as people read it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
