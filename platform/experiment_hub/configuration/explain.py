"""pydantic's errors as one line that names place, key and what was expected."""

from collections.abc import Callable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

MAXIMUM_SHOWN = 60  # characters of a wrong value


def explain(
    error: ValidationError,
    model: type[BaseModel],
    prefix: tuple[str | int, ...],
    where: Callable[[tuple[str | int, ...]], str],
) -> str:
    """The first error; how many more there are is counted at the end."""
    first, *rest = error.errors(include_url=False)
    path = (*prefix, *first["loc"])
    key = ".".join(map(str, path))
    more = f" (and {len(rest)} more)" if rest else ""
    return f"{where(path)}: {key + ': ' if key else ''}{_expected(first, model)}{more}"


def _expected(error: ErrorDetails, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown key; expected one of {', '.join(_fields(model, error['loc'][:-1])) or 'no keys'}"
    if error["type"] == "missing":
        return "missing key; a value is required"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])
    shown = shown if len(shown) <= MAXIMUM_SHOWN else f"{shown[:MAXIMUM_SHOWN]}..."
    return f"expected {error['msg'].removeprefix('Input should be ')}, got {shown}"


def _fields(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Keys that are allowed at a path inside a model."""
    current: Any = model
    for key in path:
        if isinstance(key, int):  # an item of a list: its model was found with the list
            continue
        annotation = current.model_fields[str(key)].annotation
        options = [annotation, *get_args(annotation)]
        current = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return sorted(current.model_fields)
