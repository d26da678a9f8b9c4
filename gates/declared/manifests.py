"""Files that declare dependencies, read as data. Lock files are read in `gates.declared.lockfiles`."""

from __future__ import annotations

import ast
import configparser
import json
import posixpath
import re
import tomllib
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gates.declared import lockfiles
from gates.declared.requirements import Entry, file_entries, is_requirement, lines, requirement, value
from tickets.documents import read_yaml
from tickets.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Declared = dict[tuple[str, str], tuple[str, ...]]
"""(place in the file, package) -> everything that is asked of it there."""

PYPROJECT = (
    "build-system.requires", "project.dependencies", "project.optional-dependencies.*", "dependency-groups.*",
    "tool.poetry.dependencies", "tool.poetry.dev-dependencies", "tool.poetry.group.*.dependencies", "tool.poetry.source",
    "tool.poetry.requires-plugins", "tool.pdm.dev-dependencies.*", "tool.pdm.source", "tool.pdm.resolution.overrides",
    "tool.uv.dev-dependencies", "tool.uv.sources", "tool.uv.index", "tool.uv.index-url", "tool.uv.extra-index-url",
    "tool.uv.find-links", "tool.uv.override-dependencies", "tool.uv.constraint-dependencies", "tool.uv.pip.index-url",
    "tool.uv.build-constraint-dependencies", "tool.uv.pip.extra-index-url", "tool.hatch.envs.*.dependencies",
    "tool.hatch.envs.*.extra-dependencies", "tool.hatch.build.dependencies", "tool.hatch.build.targets.*.dependencies",
    "tool.hatch.build.hooks.*.dependencies", "tool.hatch.build.targets.*.hooks.*.dependencies", "tool.pixi.dependencies",
    "tool.pixi.pypi-dependencies", "tool.pixi.feature.*.dependencies", "tool.pixi.feature.*.pypi-dependencies",
    "tool.setuptools.dynamic.dependencies", "tool.setuptools.dynamic.optional-dependencies.*",
)  # fmt: skip
CARGO = (
    "dependencies", "dev-dependencies", "build-dependencies", "target.*.dependencies", "target.*.dev-dependencies",
    "target.*.build-dependencies", "workspace.dependencies", "patch.*", "replace",
)  # fmt: skip
NODE = (
    "dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "bundledDependencies",
    "bundleDependencies", "overrides", "resolutions", "pnpm.overrides", "pnpm.patchedDependencies",
)  # fmt: skip
SETUP_KEYS = frozenset({"install_requires", "extras_require", "setup_requires", "tests_require", "dependency_links"})
_PIPFILE_OTHER = frozenset({"source", "requires", "scripts", "pipenv"})
_REQUIREMENTS = re.compile(r"(?:.*(?:requirements?|constraints?).*\.(?:txt|in))", re.IGNORECASE)
_PLAIN_IN = frozenset({"base", "build", "ci", "dev", "doc", "docs", "lint", "main", "prod", "test", "tests", "typing"})
_SCRIPT = re.compile(r"(?m)^# /// script[ \t]*$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///[ \t]*$")


class UnreadableError(Exception):
    """The file does not parse, or what it declares can only be known by running it."""


def reader(path: str) -> Callable[[str], Declared] | None:
    """Give the reader of a file that declares dependencies, or None: decided by its name alone."""
    name = PurePosixPath(path).name
    if found := _BY_NAME.get(name):
        return found
    if name in lockfiles.BY_NAME:
        return lambda text: _guarded(lockfiles.BY_NAME[name], text)
    if is_requirements(path):
        return read_requirements
    if re.fullmatch(r"environment.*\.ya?ml", name):
        return _conda
    return script if name.endswith((".py", ".pyw")) or "." not in name else None


def is_manifest(path: str) -> bool:
    """Say whether the file exists to declare dependencies (a script with inline metadata does not)."""
    return reader(path) not in {None, script}


def is_requirements(path: str) -> bool:
    folder, _, name = path.rpartition("/")  # by hand: every file of a tree is asked about
    stem, suffix = posixpath.splitext(name)
    if _REQUIREMENTS.fullmatch(name) or (
        suffix in {".txt", ".in"} and folder.rpartition("/")[2] in {"requirements", "constraints"}
    ):
        return True
    return suffix == ".in" and stem in _PLAIN_IN


def read_requirements(text: str) -> Declared:
    for line in lines(text):
        if (
            not line.startswith("-")
            and not is_requirement(re.sub(r"\s--hash[= ]\s*\S+", "", line))
            and not _is_place(line)
        ):
            raise UnreadableError(f"{line!r} is no requirement")
    return _gathered("the file", file_entries(text))


def _is_place(line: str) -> bool:
    return bool(re.match(r"(?:[a-z+]+://|\.{0,2}/|[\w.-]+/|[^\s]+\.(?:whl|zip|tar\.gz)$)", line))


def script(text: str) -> Declared:
    """Read the inline metadata of a script (PEP 723)."""
    found = _SCRIPT.search(text + "\n")
    if found is None:
        return {}
    content = "\n".join(line[2:] for line in found["content"].splitlines())
    return _tables(_toml(content), ("dependencies", "tool.uv.sources", "tool.uv.index", "tool.uv.extra-index-url"))


def _pyproject(text: str) -> Declared:
    data = _toml(text)
    declared = _tables(data, PYPROJECT)
    declared.pop(("tool.poetry.dependencies", "python"), None)
    dynamic = [field for field in _walk(data, ("project", "dynamic")) if isinstance(field[1], list)]
    named = [(str(one), "dynamic") for _, listed in dynamic for one in listed if "dependencies" in str(one)]
    return {**declared, **_gathered("project.dynamic", named)}


def _cargo(text: str) -> Declared:
    return _tables(_toml(text), CARGO)


def _node(text: str) -> Declared:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    return _tables(data, NODE)


def _pipfile(text: str) -> Declared:
    data = _toml(text)
    return _tables(data, (*(name for name in data if name not in _PIPFILE_OTHER), "source"))


def _go_mod(text: str) -> Declared:
    bare = re.sub(r"//.*$", "", text, flags=re.MULTILINE)
    found: list[tuple[str, Entry]] = []
    for kind, block, single in re.findall(r"(?m)^\s*(require|replace|exclude|tool)\s*(?:\(([^)]*)\)|(\S.*))", bare):
        rows = (line.split() for line in (block or single).splitlines())
        found += [(kind, (words[0], " ".join(words[1:]))) for words in rows if words]
    return _merged(_gathered(kind, [entry]) for kind, entry in found)


def _setup_cfg(text: str) -> Declared:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise UnreadableError(str(error).replace("\n", " ")) from error
    options = dict(parser.items("options")) if parser.has_section("options") else {}
    extras = dict(parser.items("options.extras_require")) if parser.has_section("options.extras_require") else {}
    places = {
        **{key: options[key] for key in SETUP_KEYS & options.keys()},
        **{f"extras_require.{key}": one for key, one in extras.items()},
    }
    return _merged(
        _gathered(place, [requirement(line) for line in re.split(r"[\n;](?!\s*\w+\s*[<>=!])", listed) if line.strip()])
        for place, listed in places.items()
    )


def _setup_py(text: str) -> Declared:
    try:
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError) as error:
        raise UnreadableError(str(error)) from error
    found: Declared = {}
    for keyword in (keyword for call in calls for keyword in call.keywords):
        if keyword.arg is None:
            raise UnreadableError("it passes `**`, so what it declares is known only by running it")
        if keyword.arg in SETUP_KEYS:
            found |= _tables({keyword.arg: _literal(keyword)}, (keyword.arg, f"{keyword.arg}.*"))
    return found


def _literal(keyword: ast.keyword) -> Any:
    try:
        listed = ast.literal_eval(keyword.value)
    except ValueError as error:
        raise UnreadableError(f"{keyword.arg} is computed, so it is known only by running it") from error
    return listed.splitlines() if isinstance(listed, str) else [*listed] if isinstance(listed, (tuple, set)) else listed


def _conda(text: str) -> Declared:
    try:
        data = read_yaml(text, "environment").data
    except FileError as error:
        raise UnreadableError(str(error)) from error
    listed = data.get("dependencies") if isinstance(data, dict) else None
    plain = [_conda_entry(one) for one in listed or [] if isinstance(one, str)]
    nested = [_tables(one, ("pip",)) for one in listed or [] if isinstance(one, dict)]
    return _merged(
        [_gathered("dependencies", plain), *nested, _tables(data, ("channels",)) if isinstance(data, dict) else {}]
    )


def _conda_entry(text: str) -> Entry:
    name, _, asked = re.sub(r"\s*([=<>!~,|]+)\s*", r"\1", text.strip()).partition(" ")
    package = re.split(r"[=<>!~]", name, maxsplit=1)[0]
    return package.lower(), f"{name} {asked}".strip()


_BY_NAME: dict[str, Callable[[str], Declared]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    "Pipfile": _pipfile,
    "Cargo.toml": _cargo,
    "package.json": _node,
    "go.mod": _go_mod,
}


# tables to entries


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(str(error)) from error


def _tables(data: Any, patterns: Iterable[str]) -> Declared:
    """Gather what stands at dotted places; `*` stands for any key."""
    places = (place for pattern in patterns for place in _walk(data, tuple(pattern.split("."))))
    return _merged(_gathered(place, _entries(found)) for place, found in places)


def _walk(data: Any, keys: tuple[str, ...], place: str = "") -> Iterator[tuple[str, Any]]:
    if not keys:
        yield place, data
    elif isinstance(data, dict):
        for key in data if keys[0] == "*" else [keys[0]] if keys[0] in data else []:
            yield from _walk(data[key], keys[1:], f"{place}.{key}".lstrip("."))


def _entries(found: Any) -> list[Entry]:
    if isinstance(found, dict):
        return [value(str(name), asked) for name, asked in found.items()]
    if not isinstance(found, list):
        return [(str(found), str(found))]
    return [_item(one) for one in found]


def _item(one: Any) -> Entry:
    if isinstance(one, str):
        return requirement(one)
    name = (
        next((str(one[key]) for key in ("name", "include-group", "url") if key in one), "")
        if isinstance(one, dict)
        else ""
    )
    return name or str(one), json.dumps(one, sort_keys=True, default=str)


def _gathered(place: str, entries: Iterable[Entry]) -> Declared:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, asked in entries:
        groups[place, name].append(asked)
    return {key: tuple(sorted(asked)) for key, asked in groups.items()}


def _merged(parts: Iterable[Declared]) -> Declared:
    whole: Declared = {}
    for part in parts:
        for key, asked in part.items():
            whole[key] = tuple(sorted((*whole.get(key, ()), *asked)))
    return whole


def _guarded(read: Callable[[str], dict[str, str]], text: str) -> Declared:
    try:
        return {("locked", name): (asked,) for name, asked in read(text).items()}
    except (ValueError, TypeError, KeyError, AttributeError, FileError) as error:
        raise UnreadableError(f"not a lock file of its kind: {error}") from error
