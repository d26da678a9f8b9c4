"""`hub new`: a plugin of one's own from a template, as an installable package or inside a checkout of the hub."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiment_hub.discovery import ExtensionPoint, discover
from experiment_hub.errors import BadInputError, ConflictError
from experiment_hub.output import emit

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
HUB = Path(__file__).resolve().parents[1]
TESTS = HUB.parents[1] / "tests" / "experiment_hub"


@dataclass(frozen=True)
class Kind:
    name: str
    point: str
    """Module of the extension point, and its attribute there."""
    listed: str | None
    """The command that lists what is registered."""
    configured: bool = False
    """Whether a configuration belongs to it."""

    def load(self) -> ExtensionPoint:
        from importlib import import_module

        module, _, attribute = self.point.partition(":")
        point: ExtensionPoint = getattr(import_module(module), attribute)
        return point


KINDS = {
    kind.name: kind
    for kind in (
        Kind("model", "experiment_hub.plugins.registry:POINT", "plugins", configured=True),
        Kind("dataset", "experiment_hub.datasets.registry:POINT", "datasets"),
        Kind("metric", "experiment_hub.metrics.registry:POINT", "metrics"),
        Kind("launcher", "experiment_hub.worker.launchers.registry:LAUNCHERS", None),
    )
}


def create(kind: str, name: str, folder: Path | None, *, as_json: bool) -> None:
    """With a folder: an installable package there. Without: files of the checkout that this hub runs from."""
    chosen, point = KINDS[kind], KINDS[kind].load()
    _check_name(point, name)
    files = _package(chosen, point, name, folder) if folder else _checkout(chosen, point, name)
    _write(files)
    steps = _steps(chosen, name, folder)
    document = {"kind": kind, "name": name, "files": [str(path) for path in files], "next": steps}
    emit(document, [*map(str, files), "", *steps], as_json=as_json)


def _check_name(point: ExtensionPoint, name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise BadInputError(
            f"{name!r} cannot name a {point.kind}: use a word of small letters, digits and _, such as wide_net"
        )
    known = discover(point)
    if name in known:
        raise ConflictError(f"there is a {point.kind} {name!r} already: {known[name].module}")


def _package(kind: Kind, point: ExtensionPoint, name: str, folder: Path) -> dict[Path, str]:
    if find_spec(name) is not None:
        raise ConflictError(f"{name!r} is the name of an installed Python module; choose another one")
    values = _values(kind, point, name, package=True)
    files = {"pyproject.toml": "pyproject.toml", f"{name}.py": f"{kind.name}.py", "README.md": "readme.md"}
    files |= {f"test_{name}.py": f"test_{kind.name}.py"}
    files |= {f"{name}.yaml": f"{kind.name}.yaml"} if kind.configured else {}
    return {folder / name / file: _render(template, values) for file, template in files.items()}


def _checkout(kind: Kind, point: ExtensionPoint, name: str) -> dict[Path, str]:
    if not TESTS.is_dir() or not Path.cwd().is_relative_to(TESTS.parents[1]):
        raise BadInputError("this is no checkout of the hub: give --package FOLDER for a package of your own")
    taken = re.compile(rf"""(["']){name}\1""")
    for path in sorted(HUB.rglob("*.py")):
        if taken.search(path.read_text(encoding="utf-8")):
            raise ConflictError(f"{name!r} cannot be used: {path} has the word, and the core must name no {kind.name}")
    values = _values(kind, point, name, package=False)
    home = HUB.joinpath(*point.package.split(".")[1:])
    files = {home / f"{name}.py": f"{kind.name}.py", TESTS / f"test_{kind.name}_{name}.py": f"test_{kind.name}.py"}
    files |= {HUB / "configs" / f"{name}.yaml": f"{kind.name}.yaml"} if kind.configured else {}
    return {path: _render(template, values) for path, template in files.items()}


def _values(kind: Kind, point: ExtensionPoint, name: str, *, package: bool) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "name": name,
        "own_class": "".join(part.capitalize() for part in name.split("_")),
        "distribution": name.replace("_", "-").strip("-"),
        "group": point.group,
        "attribute": point.attribute,
        "package": package,
        "listed": kind.listed,
    }


def _render(template: str, values: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("experiment_hub", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- Python, TOML and Markdown, not HTML for a browser
    )
    return environment.get_template(f"{template}.j2").render(**values)


def _write(files: Mapping[Path, str]) -> None:
    """All or none: whatever is there already is left as it is."""
    there = [str(path) for path in files if path.exists()]
    if there:
        raise ConflictError(f"{there[0]} exists already; nothing was written")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise BadInputError(f"{path}: cannot be written: {error.strerror}") from error


def _steps(kind: Kind, name: str, folder: Path | None) -> list[str]:
    """What to type next."""
    install = [f"pip install -e {folder / name}"] if folder else []
    config = f"{folder / name / name}.yaml" if folder else name
    run = [f"hub run {config} --smoke"] if kind.configured else []
    test = [f"pytest {folder / name}"] if folder else [f"pytest {TESTS / f'test_{kind.name}_{name}.py'}"]
    return [*install, *run, *test]
