"""A configuration before it is typed: data, where each value came from, and overrides."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from experiment_hub.configuration.composition import layers
from experiment_hub.configuration.explain import explain
from experiment_hub.configuration.keys import SMOKE, leaves, put, resolve
from experiment_hub.configuration.reading import KeyPath, locate, scalar
from experiment_hub.errors import ConfigurationError

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    data: dict[str, Any]
    source: str
    """File name as messages show it."""
    origins: dict[KeyPath, str] = field(default_factory=dict)
    """`file:line`, or the override, by path."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """What was changed after reading: dotted key -> value."""

    def where(self, path: KeyPath) -> str:
        """Origin of the nearest known ancestor of a path."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return self.source

    def parse(self, model: type[ModelT], data: Any, prefix: KeyPath = ()) -> ModelT:
        """Typed data; raises ConfigurationError with file, line, key and what was expected."""
        try:
            return model.model_validate_json(json.dumps(data, default=str))
        except ValidationError as error:
            raise ConfigurationError(explain(error, model, prefix, self.where)) from error

    def replaced(self, changes: Mapping[str, Any], label: str) -> "Document":
        """The same document with dotted (or unambiguous bare) keys set to new values."""
        data, origins, overrides = copy.deepcopy(self.data), dict(self.origins), dict(self.overrides)
        for key, value in changes.items():
            path = resolve(key, self.data, label)
            put(data, path, value)
            origins = {known: origin for known, origin in origins.items() if known[: len(path)] != path}
            origins[path] = f"{label} {key}={json.dumps(value, default=str)}"
            overrides[".".join(path)] = value
        return Document(data, self.source, origins, overrides)


def load(config: str, *, smoke: bool = False, assignments: Sequence[str] = ()) -> Document:
    """The document of CONFIG with its smoke section (if asked) and then `--set KEY=VALUE` applied."""
    return stages(config, smoke=smoke, assignments=assignments)[-1]


def stages(config: str, *, smoke: bool = False, assignments: Sequence[str] = ()) -> list[Document]:
    """The document as it grows: the lowest base first, each file on top, then the smoke section, then `--set`."""
    files = [Document(layer.data, str(layer.file), layer.origins) for layer in layers(locate(config))]
    document = files[-1]
    section = document.data.get(SMOKE) or {}
    if not isinstance(section, dict):
        raise ConfigurationError(f"{document.where((SMOKE,))}: smoke: expected a mapping of dotted keys")
    smoked = document.replaced(section, f"{document.where((SMOKE,))}: smoke")  # checked even when it is not asked for
    files += [smoked] if smoke else []
    changes = dict(map(_assignment, assignments))
    return [*files, files[-1].replaced(changes, "--set")] if changes else files


def from_record(data: dict[str, Any], source: str) -> Document:
    """A document from the resolved configuration of an earlier run."""
    return Document(data, source)


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ; None where a side lacks the key."""
    left, right = ({".".join(path): value for path, value in leaves(data)} for data in (one, other))
    return {key: (left.get(key), right.get(key)) for key in sorted({*left, *right}) if left.get(key) != right.get(key)}


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (equals and key):
        raise ConfigurationError(f"--set {text}: expected KEY=VALUE")
    return key, scalar(value, f"--set {text}")
