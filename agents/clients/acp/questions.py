"""What an ACP agent is about to do, read from a permission request: each path and command that it names, as questions to the live gate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.values import table, tables, text

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


@dataclass(frozen=True, kw_only=True)
class Where:
    """In which folder an agent's tools do what they are called for."""

    cwd: str
    """Of the session."""
    argument: str = ""
    """Name under which its shell takes another one; empty where that is not known."""


class UnclearError(Exception):
    """The request does not say what is about to happen."""


def questions(call: Mapping[str, Any], *, where: Where) -> list[dict[str, Any]]:
    """Give all that must be allowed for this call; raise UnclearError for one that names neither a path nor a command.

    `call` has the keys of a tool call in the protocol. Whatever it names counts: an argument, a location, a difference.
    """
    identity, kind = text(call.get("toolCallId")), text(call.get("kind"))
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
    about = {"hook_event_name": "PreToolUse", "tool_use_id": identity}
    return [
        {**about, "tool_name": tool, "tool_input": said, "cwd": place}
        for place in _places(call, given, where)
        for tool, said in asked
    ]


def joined(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Give a call with what is needed of all that was said about it: a path that was named once stays named."""
    said = {key: later[key] for key in _KEPT if later.get(key) not in (None, "", [], {})}
    known = [path for path in _differing(later) if path not in _differing(earlier)]
    texts = [one for one in tables(later.get("content")) if isinstance(one.get("content"), dict)]
    differing = [one for one in tables(earlier.get("content")) if one.get("type") == "diff"]
    differing += [{"type": "diff", "path": path} for path in known]
    places = [one for one in tables(later.get("locations")) if one not in tables(earlier.get("locations"))]
    return {
        **earlier,
        **said,
        "locations": [*tables(earlier.get("locations")), *places][: MANY + 1],
        "content": [*differing[: MANY + 1], *texts[:1]],
    }


def _commands(call: Mapping[str, Any], given: object, kind: str) -> list[str]:
    """Some clients name a command in its arguments, and some in the title alone."""
    found = [_line(given.get(key)) for key in _COMMANDS] if isinstance(given, dict) else []
    named = [command for command in found if command]
    if named or kind != "execute":
        return named
    title = text(call.get("title")).strip()
    return [title] if title else []


def _line(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        import shlex

        return shlex.join(value)
    return text(value)


def _patches(given: object) -> Iterator[str]:
    values = given.values() if isinstance(given, dict) else [given]
    yield from (value for value in values if isinstance(value, str) and _PATCH in value)


def _differing(call: Mapping[str, Any]) -> list[str]:
    return _names(one.get("path") for one in tables(call.get("content")) if one.get("type") == "diff")


def _paths(call: Mapping[str, Any], given: object, kind: str) -> list[str]:
    if kind == "execute":  # where a command runs is no file that it writes: the gate judges the command
        return []
    named = [one.get("path") for one in tables(call.get("locations"))]
    named += [value for key, value in given.items() if _is_path(key)] if isinstance(given, dict) else []
    return [path for path in _names(named) if path not in _differing(call)]


def _names(found: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(path for path in found if isinstance(path, str) and path))


def _is_path(key: object) -> bool:
    return isinstance(key, str) and key.lower() in (*_PATHS, *_ENDS)


def _places(call: Mapping[str, Any], given: object, where: Where) -> list[str]:
    """Say in which folders it may happen: a model can name one by an argument that the tool does not go by, so the session's counts, too."""
    arguments = table(given)
    if taken := text(arguments.get(where.argument)):
        return [taken]
    texts = [
        text(one["content"].get("text")) for one in tables(call.get("content")) if isinstance(one.get("content"), dict)
    ]
    if told := next((found[1] for said in texts if (found := _PLACE.match(said))), ""):
        return [told]
    return list(dict.fromkeys([*filter(None, (text(arguments.get(key)) for key in _FOLDERS)), where.cwd]))
