"""Lock files as data: each locked package with everything that decides what is installed for it."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from tickets.documents import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Locked = dict[str, str]
"""Package -> version, source, hashes; a reader raises ValueError (or fails on a shape that is no lock file)."""


def _said(version: Any, rest: Any) -> str:
    """The version first, for people; then everything else."""
    return f"{version} {json.dumps(rest, sort_keys=True, default=str)}".strip()


def _packages(text: str) -> Locked:
    """poetry.lock, uv.lock, pdm.lock, Cargo.lock: tables `[[package]]`. The project's own version is not a dependency."""
    found: dict[str, list[str]] = {}
    for package in tomllib.loads(text).get("package", []):
        own = _is_own(package)
        rest = {key: one for key, one in package.items() if key not in {"name", "version"}}
        found.setdefault(str(package["name"]), []).append(_said("" if own else package.get("version", ""), rest))
    return {name: " ".join(sorted(every)) for name, every in found.items()}


def _is_own(package: dict[str, Any]) -> bool:
    source = package.get("source")
    if isinstance(source, dict):
        return bool({"editable", "virtual", "directory"} & source.keys())
    # only Cargo writes packages without source and without hashes: members of the workspace
    return (
        source is None and not {"checksum", "files", "content_hash", "sdist", "wheels", "description"} & package.keys()
    )


def _pipfile_lock(text: str) -> Locked:
    data = json.loads(text)
    found = {
        f"{name} ({section})": _said(one.get("version", ""), one)
        for section, every in data.items()
        if section != "_meta"
        for name, one in every.items()
    }
    return {**found, "sources": _said("", data.get("_meta", {}).get("sources", []))}


def _package_lock(text: str) -> Locked:
    data = json.loads(text)
    found = {}
    for section in ("packages", "dependencies"):
        for name, one in data.get(section, {}).items():
            rest = {key: part for key, part in one.items() if name or key not in {"version", "name", "license"}}
            found[f"{name or '(the project)'} ({section})"] = _said(rest.pop("version", ""), rest)
    return found


def _yarn_lock(text: str) -> Locked:
    """Blocks: a line of names without indentation, then indented lines."""
    if text.strip() and not re.search(r"(?m)^\S.*:\s*$", text):
        raise ValueError("no entry `name@range:` in it")
    bare = re.sub(r"(?m)^\s*#.*\n?", "", text)
    blocks = (block for block in re.split(r"\n(?=\S)", bare) if block.strip())
    found = {}
    for block in blocks:
        head, _, body = block.strip().partition("\n")
        if not head.startswith("__metadata"):
            found[head.rstrip(":")] = " ".join(body.split())
    return found


def _pnpm_lock(text: str) -> Locked:
    data = read_yaml(text, "pnpm-lock.yaml").data
    found = {}
    for section in ("importers", "packages", "snapshots", "dependencies", "devDependencies", "overrides"):
        for name, one in (data.get(section) or {}).items():
            found[f"{name} ({section})"] = _said("", one)
    return found


def _go_sum(text: str) -> Locked:
    found: dict[str, list[str]] = {}
    for words in _words(text.splitlines()):
        found.setdefault(words[0], []).append(" ".join(words[1:]))
    return {name: ", ".join(sorted(every)) for name, every in found.items()}


def _words(lines: Iterable[str]) -> Iterable[list[str]]:
    for line in lines:
        words = line.split()
        if words and len(words) != 3:  # noqa: PLR2004 - module, version, hash
            raise ValueError(f"{line!r} is not `module version hash`")
        if words:
            yield words


BY_NAME: dict[str, Callable[[str], Locked]] = {
    "poetry.lock": _packages,
    "uv.lock": _packages,
    "pdm.lock": _packages,
    "pylock.toml": lambda text: _packages(
        text.replace("[[packages]]", "[[package]]")
        .replace("[[packages.", "[[package.")
        .replace("[packages.", "[package.")
    ),
    "Cargo.lock": _packages,
    "Pipfile.lock": _pipfile_lock,
    "package-lock.json": _package_lock,
    "npm-shrinkwrap.json": _package_lock,
    "yarn.lock": _yarn_lock,
    "pnpm-lock.yaml": _pnpm_lock,
    "go.sum": _go_sum,
}
