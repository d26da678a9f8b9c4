"""Commands that change what a project depends on, or what is installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gates.live.shell import Step

_ANY = "*"
"""The program does nothing else."""
_NPM = frozenset(
    [
        "i",
        "in",
        "ins",
        "inst",
        "install",
        "add",
        "ci",
        "uninstall",
        "un",
        "remove",
        "rm",
        "r",
        "update",
        "up",
        "upgrade",
        "link",
        "dedupe",
        "audit-fix",
    ]
)
_VERBS: dict[str, str] = {
    "pip": "install uninstall download wheel",
    "uv": "add remove lock sync",
    "poetry": "add remove update lock install sync",
    "pdm": "add remove update lock install sync",
    "pipenv": "install uninstall update lock sync upgrade",
    "rye": "add remove lock sync install",
    "hatch": "dep",
    "pipx": "install inject upgrade uninstall",
    "pixi": "add remove install update",
    "conda": "install update remove uninstall create upgrade",
    "cargo": "add remove rm update install uninstall",
    "go": "get install",
    "gem": "install uninstall update",
    "bundle": "install add update remove",
    "bundler": "install add update remove",
    "composer": "require install update remove",
    "apt": "install remove purge upgrade dist-upgrade full-upgrade autoremove",
    "aptitude": "install remove purge upgrade",
    "apk": "add del upgrade",
    "brew": "install uninstall upgrade reinstall",
    "dnf": "install remove upgrade erase",
    "yum": "install remove update erase",
    "zypper": "install in remove rm update up",
    "cpan": _ANY,
    "cpanm": _ANY,
    "easy_install": _ANY,
    "pip-compile": _ANY,
    "pip-sync": _ANY,
    "snap": "install remove refresh",
    "opam": "install remove update",
    "nuget": "install update",
    "luarocks": "install remove",
    "mix": "deps.get deps.update",
}
_ALIASES = {"apt-get": "apt", "mamba": "conda", "micromamba": "conda"}


def installation(step: Step) -> str:
    """Give the command, shortened, where a step changes dependencies; "" where it does not."""
    name = re.sub(r"^pip[\d.]+$", "pip", step.name)
    texts = [each.text for each in step.arguments if each.text]
    if name in {"npm", "pnpm", "yarn", "bun"}:
        return _npm(name, texts)
    if name == "uv" and texts[:1] == ["pip"]:
        name, texts = "pip", texts[1:]
        if _first(texts) in {"sync", "compile"}:
            return f"uv pip {_first(texts)}"
    if {"--help", "-h", "--dry-run"} & set(texts):
        return ""
    verbs = _VERBS.get(_ALIASES.get(name, name), "")
    if verbs == _ANY:
        return name
    verb = _first(texts)
    if verb in verbs.split() and verb:
        return f"{name} {verb}"
    return f"{name} {verb} install" if (name, verb) == ("uv", "tool") and "install" in texts else ""


def _first(texts: list[str]) -> str:
    """Give the first word that is no option; a global option may have a value before it."""
    words = [text for number, text in enumerate(texts) if not text.startswith("-") and not _is_value(texts, number)]
    return next(iter(words), "")


def _is_value(texts: list[str], number: int) -> bool:
    takes = {
        "-C",
        "-p",
        "-n",
        "-P",
        "--project",
        "--directory",
        "--prefix",
        "--proxy",
        "--python",
        "--cache-dir",
        "--log",
    }
    return number > 0 and texts[number - 1] in takes


def _npm(name: str, texts: list[str]) -> str:
    verb = _first(texts)
    if not verb:
        return name if name == "yarn" and not texts else ""
    return f"{name} {verb}" if verb in _NPM else ""
