"""YAML text as plain data together with the line of every key; bounded, and nothing from the environment."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiment_hub.errors import ConfigurationError, UnknownNameError

KeyPath = tuple[str | int, ...]
BUILT_IN = Path(__file__).resolve().parents[1] / "configs"
MAXIMUM_BYTES = 256 * 1024
MAXIMUM_VALUES = 20_000  # aliases counted as often as they are used, which bounds what a few lines can grow to
MAXIMUM_DEPTH = 32
TOO_MUCH = f"more than {MAXIMUM_VALUES} values or {MAXIMUM_DEPTH} levels, aliases expanded"
SUFFIXES = (".yaml", ".yml")

_INTERPOLATION = re.compile(r"\$\{[^}]*\}?")
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Bounded; and YAML 1.1 reads `1e-3` as text, while people who write learning rates mean a number."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._values += 1
        self._depth += 1
        if self._values > MAXIMUM_VALUES or self._depth > MAXIMUM_DEPTH:
            raise yaml.MarkedYAMLError(problem=TOO_MUCH, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def locate(config: str, beside: Path | None = None) -> Path:
    """The file that CONFIG means: a path, or the bare name of a configuration that ships with the hub."""
    if "/" in config or config.endswith(SUFFIXES):
        path = (beside or Path()) / config
        if not _is_file(path):
            raise ConfigurationError(f"{path if beside else config}: no such configuration file")
        return path
    built_in = BUILT_IN / f"{config}.yaml"
    if not _is_file(built_in):
        raise UnknownNameError("configuration", config, [path.stem for path in BUILT_IN.glob("*.yaml")])
    return built_in


def _is_file(path: Path) -> bool:
    """False also for a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def read(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Data and lines (from 1) by path; raises ConfigurationError when it is not a YAML mapping within bounds."""
    survey = _Survey(str(path))
    data = _parse(_content(path), survey)
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path}:1: expected a mapping of keys, got {type(data).__name__}")
    return data, survey.lines


def scalar(text: str, label: str) -> Any:
    """The value that `text` would be in a file."""
    survey = _Survey(label, numbered=False)
    try:
        return _parse(text, survey)
    except ConfigurationError as error:
        if survey.complaint:
            raise
        raise ConfigurationError(f"{label}: the value is not valid YAML") from error


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
        if len(content) > MAXIMUM_BYTES:
            raise ConfigurationError(f"{path}: larger than {MAXIMUM_BYTES // 1024} KiB; a configuration holds no data")
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error


def _parse(text: str, survey: "_Survey") -> Any:
    """Looked through as nodes first: only what is within bounds is built."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        survey.walk(node, ())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{survey.file}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # numbers and dates that Python cannot hold
        raise ConfigurationError(f"{survey.file}: not valid YAML: {str(error).splitlines()[0]}") from error


@dataclass
class _Survey:
    """One walk over the nodes: notes the line of every key, and refuses what a configuration must not hold."""

    file: str
    numbered: bool = True
    lines: dict[KeyPath, int] = field(default_factory=lambda: {(): 1})
    values: int = 0
    complaint: bool = False

    def walk(self, node: yaml.Node, path: KeyPath) -> None:
        self.values += 1
        if self.values > MAXIMUM_VALUES or len(path) > MAXIMUM_DEPTH:
            self._refuse(node, path, TOO_MUCH)
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = _line(item)
                self.walk(item, (*path, index))
        else:
            self._mapping(node, path)

    def _mapping(self, node: yaml.Node, path: KeyPath) -> None:
        for key, value in node.value:
            here = (*path, str(key.value))
            if key.tag not in {_TEXT, _MERGE}:
                self._refuse(key, path, f"a key must be text, and YAML reads this one as something else: {_brief(key)}")
            if here in self.lines:
                self._refuse(key, here, "the key appears twice")
            self.lines[here] = _line(key)
            self.walk(value, here)

    def _check_text(self, node: yaml.ScalarNode, path: KeyPath) -> None:
        found = _INTERPOLATION.search(node.value)
        if found:
            self._refuse(
                node,
                path,
                f"{found[0]} is not filled in: values stand in the file or in --set, never in the environment",
            )

    def _refuse(self, node: yaml.Node, path: KeyPath, problem: str) -> None:
        self.complaint = True
        place = f"{self.file}:{_line(node)}" if self.numbered else self.file
        key = ".".join(map(str, path[:MAXIMUM_DEPTH]))
        raise ConfigurationError(f"{place}: {key + ': ' if key else ''}{problem}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _brief(key: yaml.Node) -> str:
    return repr(key.value)[:40] if isinstance(key, yaml.ScalarNode) else "a collection"
