"""What is known of the agents that speak ACP: what makes each of them ask, where its model is, and how it writes a file."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from agents.programs import version_said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ASK = dict.fromkeys(("edit", "bash", "webfetch", "external_directory", "doom_loop"), "ask")
_OPENCODE_QUIET = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "PROJECT_CONFIG")
TRIAL_MODEL = "trial"


@dataclass(frozen=True, kw_only=True)
class Known:
    """One agent."""

    steady: Callable[[Mapping[str, str]], dict[str, str]]
    """Variables under which it asks for what it can ask for, whatever the repository says; given those of the run."""
    aimed: Callable[[str], dict[str, str]]
    """Variables that put its model at an address."""
    write: Callable[[str], tuple[str, dict[str, Any]]]
    """The tool call that writes a file."""
    folder: str
    """The argument in which its shell takes the folder to run in."""


def known(command: Sequence[str]) -> Known | None:
    """Find the agent by its program's name, or by that of the script that an interpreter runs."""
    return _KNOWN[_named(command)[1]] if _named(command)[0] else None


def version_of(command: Sequence[str]) -> str:
    """Ask a known agent for its version; empty where that is not to be had."""
    words = command[: _named(command)[0]]
    said, trouble = version_said(words) if words else ("", "")
    return said.split()[-1] if said and not trouble else ""


def folders_of(command: Sequence[str]) -> tuple[Path, ...]:
    """Give what must be readable for the program to start: its file, or all packages where it is one of npm's."""
    located = [shutil.which(command[0]) or "", *(word for word in command[1:] if os.path.isabs(word))]  # noqa: PTH117 - words, not yet paths
    files = [Path(word).resolve() for word in located if word and Path(word).is_file()]
    return tuple(dict.fromkeys(_packages(file) for file in files))


def _packages(file: Path) -> Path:
    return next((parent for parent in reversed(file.parents) if parent.name == "node_modules"), file)


def _named(command: Sequence[str]) -> tuple[int, str]:
    """Give how many words of the command are the agent's program, and its name; 0 for one that is not known."""
    for count, word in enumerate(command[:2], 1):
        for agent in _KNOWN:
            if PurePath(word).name.lower().startswith(agent):
                return count, agent
    return 0, ""


def everywhere(url: str) -> dict[str, str]:
    """Give the variables in which agents look for the address of a model: which of them one reads is its own affair."""
    return {"OPENAI_BASE_URL": url, "ANTHROPIC_BASE_URL": url, "GOOGLE_GEMINI_BASE_URL": url}


def keyless(url: str) -> dict[str, str]:
    """Give the addresses of a scripted model, as each wire has it, and keys that are none."""
    keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    return {**everywhere(url), "OPENAI_BASE_URL": f"{url}/v1", **dict.fromkeys(keys, "none")}


def _gemini(_: Mapping[str, str]) -> dict[str, str]:
    return {"GEMINI_CLI_NO_RELAUNCH": "1"}


def _opencode(variables: Mapping[str, str]) -> dict[str, str]:
    """It allows everything unless it is told to ask; what the person configured besides stays."""
    try:
        configured = json.loads(variables.get("OPENCODE_CONFIG_CONTENT") or "{}")
    except ValueError:
        configured = {}
    merged = {**configured, "permission": _ASK} if isinstance(configured, dict) else {"permission": _ASK}
    quiet = {f"OPENCODE_DISABLE_{name}": "1" for name in _OPENCODE_QUIET}
    return {**quiet, "OPENCODE_CONFIG_CONTENT": json.dumps(merged)}


def _opencode_at(url: str) -> dict[str, str]:
    model = {"name": TRIAL_MODEL, "limit": {"context": 100_000, "output": 10_000}}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": TRIAL_MODEL,
        "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
        "models": {TRIAL_MODEL: model},
    }
    name = f"{TRIAL_MODEL}/{TRIAL_MODEL}"
    content = {"model": name, "small_model": name, "provider": {TRIAL_MODEL: provider}}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(content)}


_KNOWN: dict[str, Known] = {
    "gemini": Known(
        steady=_gemini,
        aimed=lambda _: {},
        folder="dir_path",
        write=lambda path: ("write_file", {"file_path": path, "content": "written\n"}),
    ),
    "opencode": Known(
        steady=_opencode,
        aimed=_opencode_at,
        folder="workdir",
        write=lambda path: ("write", {"filePath": path, "content": "written\n"}),
    ),
}
