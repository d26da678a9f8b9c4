"""Words in a model's name that say how it differs from its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.recipes.yaml_text import flow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WIDTHS = frozenset(
    {"hidden", "width", "widths", "feedforward", "hidden_size", "channels", "filters", "units", "d_model"}
)
DEPTHS = frozenset({"hidden", "layers", "depth", "blocks", "num_layers", "hidden_layers"})
"""A list is deep by its length, a number by its value."""
OPPOSITES = {"wide": "narrow", "narrow": "wide", "deep": "shallow", "shallow": "deep"}
SAYS = {
    "wide": "doubles the widths",
    "narrow": "halves the widths",
    "deep": "adds a layer",
    "shallow": "takes a layer away",
}


def steer(name: str, model: Mapping[str, Any], parent: str) -> tuple[dict[str, Any], list[str]]:
    """Give the hyperparameters that the words in a name change, and say what was assumed."""
    words = [word for word in SAYS if word in name.split("_")]
    said = [word for word in words if OPPOSITES[word] not in words]
    values, assumptions = dict(model), []
    for word in said:
        changed = _CHANGES[word](values)
        assumptions.append(_assumption(word, changed, values, parent))
        values |= changed
    if len(said) < len(words):
        assumptions.append(f"words that contradict each other in `{name}` change nothing")
    if not words:
        assumptions.append(f"no word in `{name}` says otherwise, so its hyperparameters begin as those of {parent}")
    return {key: value for key, value in values.items() if value != model[key]}, assumptions


def _assumption(word: str, changed: Mapping[str, Any], before: Mapping[str, Any], parent: str) -> str:
    if not changed:
        return f"`{word}` in the name fits no hyperparameter of {parent} that could follow it, so it changes nothing"
    shown = ", ".join(f"{key} {flow(before[key])} becomes {flow(value)}" for key, value in changed.items())
    return f"`{word}` in the name {SAYS[word]}: {shown}"


def _scaled(values: Mapping[str, Any], scale: Callable[[int], int]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in WIDTHS:
            continue
        if isinstance(value, list) and value and all(type(item) is int for item in value):
            changed[key] = [scale(item) for item in value]
        elif type(value) is int:
            changed[key] = scale(value)
    return {key: value for key, value in changed.items() if value != values[key]}


def _deepened(values: Mapping[str, Any], by: int) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in DEPTHS:
            continue
        if isinstance(value, list) and len(value) + by >= 1 and value:
            changed[key] = [*value, value[-1]] if by > 0 else value[:by]
        elif type(value) is int and value + by >= 1 and key != "hidden":
            changed[key] = value + by
    return changed


_CHANGES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "wide": lambda values: _scaled(values, lambda value: 2 * value),
    "narrow": lambda values: _scaled(values, lambda value: max(1, value // 2)),
    "deep": lambda values: _deepened(values, 1),
    "shallow": lambda values: _deepened(values, -1),
}
