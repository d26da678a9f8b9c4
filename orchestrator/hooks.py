"""What agents' clients ask before a tool call, and the answer in the client's own words.

Known: Claude Code, Codex, Gemini CLI, Qwen Code, opencode, and the plain question {"kind", "path", "command", "cwd"}.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from gates.live.footprint import patched
from gates.protocol import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.live.decision import Decision

Event = dict[str, Any]
_SHELLS = frozenset(
    {
        "bash",
        "shell",
        "exec",
        "exec_command",
        "local_shell",
        "container.exec",
        "run_shell_command",
        "run_command",
        "execute_command",
        "terminal",
        "powershell",
    }
)
_WRITERS = frozenset(
    {
        "write",
        "edit",
        "multiedit",
        "notebookedit",
        "write_file",
        "replace",
        "edit_file",
        "create_file",
        "str_replace_editor",
        "str_replace_based_edit_tool",
    }
)
_PATCHERS = frozenset({"apply_patch", "applypatch", "patch"})
_READERS = frozenset(
    {"read", "read_file", "read_many_files", "view_image", "notebookread", "ls", "list", "list_directory", "view"}
)
_SEARCHERS = frozenset({"grep", "glob", "search_file_content", "grep_search", "find_files", "codesearch", "ripgrep"})
_HARMLESS = frozenset(
    {
        "todowrite",
        "todoread",
        "todo_write",
        "write_todos",
        "update_plan",
        "task",
        "agent",
        "taskoutput",
        "bashoutput",
        "taskcreate",
        "taskget",
        "tasklist",
        "taskupdate",
        "exitplanmode",
        "enterplanmode",
        "exit_plan_mode",
        "askuserquestion",
        "ask_user",
        "structuredoutput",
        "skill",
        "slashcommand",
        "toolsearch",
        "save_memory",
        "think",
        "sleep",
        "webfetch",
        "websearch",
        "web_fetch",
        "google_web_search",
        "web_search",
        "request_user_input",
        "write_stdin",
        "invalid",
        "activate_skill",
        "memory",
        "lsp",
    }
)
"""Tools that touch neither the tree nor a program; the sandbox bounds what they reach on the network."""
_PATHS = ("file_path", "path", "filePath", "absolute_path", "notebook_path", "dir_path", "filename")
_COMMANDS = ("command", "cmd", "script")
_FOLDERS = ("workdir", "directory", "working_directory", "cwd")
_READ_ONLY_EDITS = frozenset({"view"})


class UnclearError(Exception):
    """The question does not say what is about to happen."""


def calls(event: Event) -> list[Call]:
    """Say what the tool is about to do; empty where it touches nothing."""
    if "kind" in event:
        return [_plain(event)]
    tool, given = event.get("tool_name"), event.get("tool_input")
    if not isinstance(tool, str) or not tool:
        raise UnclearError('the question names neither a `tool_name` nor a `kind` ("write", "read" or "run")')
    if given is not None and not isinstance(given, dict):
        raise UnclearError(f"the `tool_input` of {tool} is no JSON object")
    cwd = event.get("cwd") if isinstance(event.get("cwd"), str) else ""
    return list(_of_tool(tool, given or {}, cwd or ""))


def answer(event: Event, decision: Decision) -> dict[str, Any]:
    """Say it as the client that asked understands it: each takes an answer in another form for a yes."""
    if "kind" in event or not event:
        return {"allowed": decision.allowed, "reason": decision.reason, "gate": decision.gate}
    said = "allow" if decision.allowed else "deny"
    name = event.get("hook_event_name") or "PreToolUse"
    output = {"hookEventName": name, "permissionDecision": said, "permissionDecisionReason": decision.reason}
    if name == "BeforeTool":  # Gemini's; in Claude Code's answer these two keys would be of the wrong kind
        return {"decision": said, "reason": decision.reason, "hookSpecificOutput": output}
    return {"hookSpecificOutput": output}


def _plain(event: Event) -> Call:
    kind = event["kind"]
    if kind not in {"write", "read", "run"}:
        raise UnclearError('`kind` is "write", "read" or "run"')
    named = {key: event.get(key, "") for key in ("path", "command", "cwd")}
    if not all(isinstance(value, str) for value in named.values()):
        raise UnclearError("`path`, `command` and `cwd` are text")
    if not named["command" if kind == "run" else "path"]:
        raise UnclearError("a `run` needs its `command`, a `write` or `read` its `path`")
    return Call(kind=kind, **named)


def _of_tool(tool: str, given: Event, cwd: str) -> Iterator[Call]:
    name = tool.rpartition(":")[2].lower()
    path, command = _text(given, _PATHS), _command(given)
    if name in _PATCHERS:
        yield from _patch(tool, given, cwd)
    elif name in _SHELLS:
        if not command:
            raise UnclearError(f"{tool} names no command")
        yield from _shell(command, _text(given, _FOLDERS) or cwd)
    elif name in _WRITERS:
        if not path:
            raise UnclearError(f"{tool} names no file")
        yield Call(kind="read" if given.get("command") in _READ_ONLY_EDITS else "write", path=path, cwd=cwd)
    elif name in _READERS | _SEARCHERS:
        yield from (Call(kind="read", path=each, cwd=cwd) for each in _read_paths(given, path))
    elif name not in _HARMLESS:
        yield from _unknown(tool, path, command, cwd)


def _unknown(tool: str, path: str, command: str, cwd: str) -> Iterator[Call]:
    """Take a tool that nobody knows for the worst that its arguments can mean."""
    if not path and not command:
        raise UnclearError(
            f"the tool {tool} is not known here, and its arguments name neither a path nor a command: use your shell "
            "or edit tool"
        )
    if command:
        yield Call(kind="run", command=command, cwd=cwd)
    if path:
        yield Call(kind="write", path=path, cwd=cwd)


def _shell(command: str, cwd: str) -> Iterator[Call]:
    yield Call(kind="run", command=command, cwd=cwd)


def _patch(tool: str, given: Event, cwd: str) -> Iterator[Call]:
    text = _text(given, ("command", "input", "patch", "patchText", "diff")) or _command(given)
    paths = patched(text)
    if not paths:
        raise UnclearError(f"the patch of {tool} names no file (`*** Update File: PATH`)")
    yield from (Call(kind="write", path=path, cwd=cwd) for path in paths)


def _read_paths(given: Event, path: str) -> list[str]:
    several = [given.get(key) for key in ("paths", "include", "file_paths")]
    return [path] * bool(path) + [
        each for some in several if isinstance(some, list) for each in some if isinstance(each, str)
    ]


def _text(given: Event, keys: tuple[str, ...]) -> str:
    return next((value for key in keys if isinstance(value := given.get(key), str) and value), "")


def _command(given: Event) -> str:
    """Give the command line; some clients send it as a list of words."""
    for key in _COMMANDS:
        value = given.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return shlex.join(value)
    return ""
