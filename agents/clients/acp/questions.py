"""What an ACP agent is about to do, read from a permission request: each path and command that it names, as questions to the live gate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PATHS = ("file_path", "filepath", "path", "absolute_path", "notebook_path", "dir_path", "filename", "file")
_ENDS = ("old_path", "new_path", "source", "destination", "target", "target_file")
"""Names of arguments that hold a path, without regard to case."""
_COMMANDS = ("command", "cmd", "script")
_FOLDERS = ("cwd", "workdir", "directory", "working_directory")
_READS = frozenset({"read", "search"})
_PATCH = "*** Begin Patch"
_KEPT = ("toolCallId", "kind", "title", "rawInput")
MANY = 500
"""Paths that one call may name."""
# Gemini CLI says in words where a command runs
_PLACE = re.compile(r"\[(?:in|current working directory) ([^\]]+)\]")


class UnclearError(Exception):
    """The request does not say what is about to happen."""


def questions(call: Mapping[str, Any], *, cwd: str) -> list[dict[str, Any]]:
    """Give all that must be allowed for this call; raise UnclearError for one that names neither a path nor a command.

    `call` has the keys of a tool call in the protocol. Whatever it names counts: an argument, a location, a difference.
    """
    identity, kind = _text(call, "toolCallId"), _text(call, "kind")
    given = call.get("rawInput")
    asked = [
        *(("Bash", {"command": command}) for command in _commands(call, given, kind)),
        *(("apply_patch", {"input": patch}) for patch in _patches(given)),
        *(("Write", {"file_path": path}) for path in _differing(call)),
        *(("Read" if kind in _READS else "Write", {"file_path": path}) for path in _paths(call, given, kind)),
    ]
    if kind == "switch_mode":
        raise UnclearError("the way in which it asks for permission stays as it is")
    if kind == "execute" and all(tool != "Bash" for tool, _ in asked):
        raise UnclearError("it wants to run something and does not say which command")
    if not asked:
        raise UnclearError("it names neither a path nor a command, so that nobody can judge it")
    if len(asked) > MANY:
        raise UnclearError(f"it names more than {MANY} paths: make several calls of it")
    place = _place(call, given) or cwd
    return [
        {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": said, "tool_use_id": identity, "cwd": place}
        for tool, said in asked
    ]


def joined(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Give a call with what is needed of all that was said about it: a path that was named once stays named."""
    said = {key: later[key] for key in _KEPT if later.get(key) not in (None, "", [], {})}
    known = [path for path in _differing(later) if path not in _differing(earlier)]
    texts = [one for one in _list(later, "content") if isinstance(one.get("content"), dict)]
    differing = [one for one in _list(earlier, "content") if one.get("type") == "diff"]
    differing += [{"type": "diff", "path": path} for path in known]
    places = [one for one in _list(later, "locations") if one not in _list(earlier, "locations")]
    return {
        **earlier,
        **said,
        "locations": [*_list(earlier, "locations"), *places][: MANY + 1],
        "content": [*differing[: MANY + 1], *texts[:1]],
    }


def _commands(call: Mapping[str, Any], given: object, kind: str) -> list[str]:
    """Some clients name a command in its arguments, and some in the title alone."""
    found = [_line(given.get(key)) for key in _COMMANDS] if isinstance(given, dict) else []
    named = [command for command in found if command]
    if named or kind != "execute":
        return named
    title = _text(call, "title").strip()
    return [title] if title else []


def _line(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        import shlex

        return shlex.join(value)
    return value if isinstance(value, str) else ""


def _patches(given: object) -> Iterator[str]:
    values = given.values() if isinstance(given, dict) else [given]
    yield from (value for value in values if isinstance(value, str) and _PATCH in value)


def _differing(call: Mapping[str, Any]) -> list[str]:
    return _names(one.get("path") for one in _list(call, "content") if one.get("type") == "diff")


def _paths(call: Mapping[str, Any], given: object, kind: str) -> list[str]:
    if kind == "execute":  # where a command runs is no file that it writes: the gate judges the command
        return []
    named = [one.get("path") for one in _list(call, "locations")]
    named += [value for key, value in given.items() if _is_path(key)] if isinstance(given, dict) else []
    return [path for path in _names(named) if path not in _differing(call)]


def _names(found: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(path for path in found if isinstance(path, str) and path))


def _is_path(key: object) -> bool:
    return isinstance(key, str) and key.lower() in (*_PATHS, *_ENDS)


def _place(call: Mapping[str, Any], given: object) -> str:
    named = [given.get(key) for key in _FOLDERS] if isinstance(given, dict) else []
    texts = [_text(one["content"], "text") for one in _list(call, "content") if isinstance(one.get("content"), dict)]
    named += [found[1] for text in texts if (found := _PLACE.match(text))]
    return next((place for place in named if isinstance(place, str) and place), "")


def _list(call: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = call.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
