"""Finds plugins, datasets and metrics: as modules of a package and through entry points."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType, TracebackType
from typing import Any, Generic, TypeVar

from experiment_hub.errors import BrokenExtensionError, HubError, UnknownNameError
from experiment_hub.output import progress
from experiment_hub.strict import Hyperparameters

ItemT = TypeVar("ItemT")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ExtensionPoint:
    kind: str
    """What people call it, for example `model`."""
    package: str
    """Every module of this package that has `attribute` registers itself."""
    attribute: str
    group: str
    """Entry point group for other distributions."""
    contract: type
    """A runtime-checkable protocol, or a class."""
    contract_of: Callable[[Any], type] | None = None
    """Where kinds within the kind promise more: the contract of one item."""


@dataclass(frozen=True)
class Extension(Generic[ItemT]):
    item: ItemT
    module: str
    """Where it came from, for people and for the run's snapshot."""


class _Naming:
    """Around foreign code: what it raises, or ends the process with, becomes one error that names its module.

    What it prints goes to stderr: stdout is for results.
    """

    def __init__(self, kind: str, module: str) -> None:
        self._label = f"{kind} module {module}"
        self._printing = redirect_stdout(sys.stderr)

    def __enter__(self) -> None:
        self._printing.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._printing.__exit__(kind, error, trace)
        if isinstance(error, Exception | SystemExit) and not isinstance(error, HubError):
            raise BrokenExtensionError(f"{self._label} is broken: {type(error).__name__}: {error}") from error


def discover(point: ExtensionPoint) -> dict[str, Extension[Any]]:
    """All extensions by name, sorted; a broken module or a name used twice raises BrokenExtensionError.

    What another distribution brings and is broken is left out with a warning: it must not stand in the way of the others.
    """
    found: dict[str, Extension[Any]] = {}
    for item, module in _modules(point):
        _add(point, found, item, module)
    for entry in sorted(entry_points(group=point.group), key=lambda entry: entry.name):
        try:
            _add(point, found, _load(point, entry), entry.value)
        except BrokenExtensionError as error:
            progress(f"warning: {' '.join(str(error).split())}; it is left out")
    return dict(sorted(found.items()))


def _add(point: ExtensionPoint, found: dict[str, Extension[Any]], item: Any, module: str) -> None:
    with _Naming(point.kind, module):
        _check(point, item, module)
    if item.name in found:
        raise BrokenExtensionError(
            f"{point.kind} {item.name!r} is registered twice: by {found[item.name].module} and by {module}"
        )
    found[item.name] = Extension(item, module)


def pick(point: ExtensionPoint, known: dict[str, Extension[Any]], name: str) -> Extension[Any]:
    """Raises UnknownNameError; where an entry point of that name is broken, the reason is on stderr already."""
    if name not in known:
        raise UnknownNameError(point.kind, name, list(known))
    return known[name]


def _modules(point: ExtensionPoint) -> Iterator[tuple[Any, str]]:
    package = importlib.import_module(point.package)
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{point.package}.{info.name}"
        with _Naming(point.kind, name):
            module = importlib.import_module(name)
        if hasattr(module, point.attribute):
            yield getattr(module, point.attribute), name


def _load(point: ExtensionPoint, entry: EntryPoint) -> Any:
    with _Naming(point.kind, entry.value):
        loaded = entry.load()
        return getattr(loaded, point.attribute) if isinstance(loaded, ModuleType) else loaded


def _check(point: ExtensionPoint, item: Any, module: str) -> None:
    contract: Any = point.contract_of(item) if point.contract_of else point.contract
    if isinstance(item, type) or not isinstance(item, contract):
        raise BrokenExtensionError(
            f"{point.kind} module {module} is broken: {point.attribute} must be an instance with "
            f"{', '.join(_members(contract))}"
        )
    _check_name(point, item.name, module)
    if hasattr(item, "Config"):
        _check_config(point, item.Config, module)


def _check_name(point: ExtensionPoint, name: Any, module: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BrokenExtensionError(
            f"{point.kind} module {module} is broken: its name {name!r:.50} is not of letters, digits, _, - and ."
        )


def _check_config(point: ExtensionPoint, config: Any, module: str) -> None:
    if not (isinstance(config, type) and issubclass(config, Hyperparameters)):
        raise BrokenExtensionError(f"{point.kind} module {module} is broken: Config must extend Hyperparameters")
    optional = [name for name, field in config.model_fields.items() if not field.is_required()]
    if optional:
        raise BrokenExtensionError(
            f"{point.kind} module {module} is broken: Config gives defaults to {', '.join(optional)}; "
            "values live in YAML only"
        )


def _members(contract: type) -> list[str]:
    names = {name for base in contract.__mro__ for name in getattr(base, "__annotations__", {})}
    return sorted(name for name in {*names, *dir(contract)} if not name.startswith("_"))
