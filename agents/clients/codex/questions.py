"""What Codex asks before it acts, as the event that the live gate understands. Whatever is odd is refused."""

from __future__ import annotations

import re
from typing import Any

_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(\s+)""", re.DOTALL)
_ESCAPE = re.compile(r'\\([$`"\\\n])')
_SHELL = re.compile(r"(?:.*/)?(?:ba|z|da|k)?sh")
_HEADERS = {"add": "Add File", "update": "Update File", "delete": "Delete File"}
COMMAND, EDIT = "item/commandExecution/requestApproval", "item/fileChange/requestApproval"


class OddError(Exception):
    """A question that is not understood in full."""


def command_event(params: dict[str, Any]) -> dict[str, Any]:
    """Give the question for a shell command; raise OddError where it asks for anything else, or for more."""
    command = params.get("command")
    if params.get("kind", "command") != "command" or params.get("networkApprovalContext"):
        raise OddError("Codex asks for more than to run a command")
    if not isinstance(command, str) or not command:
        raise OddError("Codex names no command")
    return _event("Bash", {"command": inner(command)}, params)


def edit_event(params: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Give the question for an edit, whose `changes` came before it; raise OddError where it is not plain what will be written."""
    if params.get("grantRoot"):
        raise OddError("Codex asks to write below a folder from now on")
    if not isinstance(changes, list) or not changes:
        raise OddError("Codex asks to write, and does not say what")
    patch = "".join(map(_section, changes))
    return _event("apply_patch", {"command": f"*** Begin Patch\n{patch}*** End Patch\n"}, params)


def _event(tool: str, given: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    cwd = {"cwd": params["cwd"]} if isinstance(params.get("cwd"), str) else {}
    return {
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": given,
        "tool_use_id": params.get("itemId"),
        **cwd,
    }


def _section(change: Any) -> str:
    kind = change.get("kind") if isinstance(change, dict) else None
    if not isinstance(kind, dict) or kind.get("type") not in _HEADERS:
        raise OddError("Codex asks for a change of a kind that is not known")
    name, text = kind["type"], str(change.get("diff") or "")
    lines = [f"*** {_HEADERS[name]}: {_path(change.get('path'))}"]
    if kind.get("move_path") is not None:
        lines.append(f"*** Move to: {_path(kind['move_path'])}")
    # a space or sign before each line: none can then pass for the header of another file
    body = [f"+{line}" for line in text.split("\n")] if name == "add" else _diff(text)
    return "\n".join([*lines, *body, ""])


def _diff(text: str) -> list[str]:
    return [line if line[:1] in {"+", "-", " ", "@"} else f" {line}" for line in text.split("\n")]


def _path(path: Any) -> str:
    if not isinstance(path, str) or not path or any(ord(sign) < ord(" ") for sign in path):
        raise OddError("Codex names no path that can be written down")
    return path


def inner(command: str) -> str:
    """Give the script of `bash -c 'script'`; any other command line as it is."""
    words = _words(command)
    if words and len(words) == 3 and _SHELL.fullmatch(words[0]) and words[1] in {"-c", "-lc"}:  # noqa: PLR2004 - shell, flag, script
        return words[2]
    return command


def _words(line: str) -> list[str] | None:
    """Split a command line that was quoted for a shell; None where it was not, or by other rules."""
    words, word, at = list[str](), None, 0
    while at < len(line):
        found = _PIECE.match(line, at)
        if found is None:
            return None
        at = found.end()
        single, double, escaped, plain, space = found.groups()
        if space is not None:
            words += [word] if word is not None else []
            word = None
            continue
        word = (word or "") + (single or _ESCAPE.sub(r"\1", double or "") or escaped or plain or "")
    return words + ([word] if word is not None else [])
