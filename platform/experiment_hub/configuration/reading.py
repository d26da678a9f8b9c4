"""YAML text as plain data together with the line of every key."""

import re
from pathlib import Path
from typing import Any

import yaml

from experiment_hub.errors import ConfigurationError, UnknownNameError

KeyPath = tuple[str | int, ...]
BUILT_IN = Path(__file__).resolve().parents[1] / "configs"


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-3` as text; people who write learning rates mean a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def locate(config: str) -> Path:
    """The file that CONFIG means: a path, or the bare name of a configuration that ships with the hub."""
    if "/" in config or config.endswith((".yaml", ".yml")):
        path = Path(config)
        if not path.is_file():
            raise ConfigurationError(f"{config}: no such configuration file")
        return path
    built_in = BUILT_IN / f"{config}.yaml"
    if not built_in.is_file():
        raise UnknownNameError("configuration", config, [path.stem for path in BUILT_IN.glob("*.yaml")])
    return built_in


def read(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Data and lines (from 1) by path; raises ConfigurationError when it is not a YAML mapping."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {(): 1}
        if node is not None:
            _collect(node, (), lines, path)
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path}:1: expected a mapping of keys, got {type(data).__name__}")
    return data, lines


def scalar(text: str, label: str) -> Any:
    """The value that `text` would be in a file."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 -- _Loader is a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{label}: the value is not valid YAML") from error


def _collect(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], file: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _collect(item, (*path, index), lines, file)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here, line = (*path, str(key.value)), key.start_mark.line + 1
            if here in lines:
                raise ConfigurationError(f"{file}:{line}: {'.'.join(map(str, here))}: the key appears twice")
            lines[here] = line
            _collect(value, here, lines, file)
