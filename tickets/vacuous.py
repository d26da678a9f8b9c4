"""Commands that cannot fail, and so prove nothing: what swallows its exit code, and what checks nothing.

A lint for honest mistakes, not a wall: only what is certain is refused, and what it cannot read passes.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
HARMLESS = frozenset({"true", ":", "echo", "printf", "set", "export", "unset"})
"""Commands that end with 0 whatever they are given."""
FILTERS = frozenset({"tee", "cat", "head", "tail", "uniq", "tr", "less", "more", "wc", "nl", "ts"})
"""At the end of a pipe they hide the exit code of what stands before them."""
BEFORE = frozenset({"env", "command", "exec", "nice", "time", "nohup", "sudo"})
SILENT: dict[str, frozenset[str]] = {
    "ruff": frozenset({"--exit-zero", "-e"}),
    "flake8": frozenset({"--exit-zero"}),
    "pylint": frozenset({"--exit-zero"}),
    "bandit": frozenset({"--exit-zero"}),
    "pytest": frozenset({"--collect-only", "--co", "--fixtures", "--markers"}),
    "prospector": frozenset({"--zero-exit", "-0"}),
    "golangci-lint": frozenset({"--issues-exit-code=0"}),
    "trivy": frozenset({"--exit-code=0"}),
    "checkov": frozenset({"--soft-fail", "-s"}),
    "tflint": frozenset({"--force"}),
    "hadolint": frozenset({"--no-fail"}),
    "brakeman": frozenset({"--no-exit-on-warn"}),
}
"""Options with which a tool finds nothing wrong, or looks at nothing."""
_COMPOUND = re.compile(r"[(){}`]|<<|(?:^|[;&|\n])\s*(?:(?:if|for|while|until|case|function)\b|!)")
_REDIRECTION = re.compile(r"[0-9]*[<>]&[0-9-]|&>>?")


def cannot_fail(run: str | Sequence[str]) -> str:
    """Say why a shell line, or a program with its arguments, ends with 0 whatever it meets; nothing where it may fail."""
    if isinstance(run, str):
        return _line(run)
    words = _without_prefix(list(run))
    if words and words[0].rpartition("/")[2] in SHELLS:
        for at, word in enumerate(words[1:], 1):
            if re.fullmatch(r"-[a-z]*c", word) and at + 1 < len(words):
                return _line(words[at + 1], strict="e" in word or "-e" in words[1:at], piped="pipefail" in words[1:at])
    return _simple(list(run))


def _line(line: str, *, strict: bool = False, piped: bool = False) -> str:
    """`strict` and `piped`: the shell runs with `-e` and with `pipefail`."""
    if re.search(r"\btrap\b[^;\n]*\bexit 0\b", line):
        return "it ends with `exit 0` whatever happens"
    if _COMPOUND.search(line):
        return ""
    lists = _lists(_REDIRECTION.sub(" ", line))
    if piped or "pipefail" in line:
        lists = [[("&&" if operator in {"|", "|&"} else operator, words) for operator, words in one] for one in lists]
    if strict or any(words[:1] == ["set"] and _stops(words) for pairs in lists for _, words in pairs):
        return "" if any(not _status(pairs) for pairs in lists) else _status(lists[-1]) if lists else ""
    return _status(lists[-1]) if lists else ""


def _stops(words: Sequence[str]) -> bool:
    return any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in words[1:]) or "errexit" in words


def _lists(line: str) -> list[list[tuple[str, list[str]]]]:
    """Split a line at `;`, `&` and line ends into lists of commands, each with the operator before it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, "#"
    try:
        words = list(lexer)
    except ValueError:  # quotes that do not close are another complaint
        return []
    lists: list[list[tuple[str, list[str]]]] = [[("", [])]]
    for word in words:
        if word in {"&&", "||", "|", "|&"}:
            lists[-1].append((word, []))
        elif word == "&":
            lists[-1].append((word, []))
            lists.append([("", [])])
        elif set(word) <= {";", "\n"}:
            lists.append([("", [])])
        else:
            lists[-1][-1][1].append(word)
    return [pairs for pairs in lists if any(words for _, words in pairs)]


def _status(pairs: Sequence[tuple[str, list[str]]]) -> str:
    """Say why the list ends with 0 always: `a && b` fails where one of both may, `a || b` only where both may."""
    if pairs[-1][0] == "&" and not pairs[-1][1]:
        return "nobody waits for what `&` starts in the background"
    why = ""
    for at, (operator, words) in enumerate(pairs):
        own = _simple(words)
        if operator in {"|", "|&"}:
            why = own or (f"`| {words[0]}` hides the exit code of what stands before it" if _filters(words) else "")
        elif operator == "||":
            why = why or (f"`|| {' '.join(words)}` swallows its exit code" if own else "")
        elif at == 0:
            why = own
        else:
            why = why and own
    return why


def _filters(words: Sequence[str]) -> bool:
    return bool(words) and words[0] in FILTERS


def _simple(words: list[str]) -> str:
    """Say why one program with its arguments always ends with 0."""
    words = _without_prefix(words)
    if not words:
        return ""
    if words[0].rpartition("/")[2] in HARMLESS:
        return f"`{words[0]}` never fails"
    if words[:2] == ["exit", "0"]:
        return "`exit 0` never fails"
    for at, word in enumerate(words):
        for option in words[at + 1 :]:
            if option in SILENT.get(word.rpartition("/")[2], ()):
                return f"with {option} `{word}` never finds anything wrong"
    return ""


def _without_prefix(words: list[str]) -> list[str]:
    """Leave out variables that are set for the command, and what only starts another one."""
    at = 0
    while at < len(words) and (words[at] in BEFORE or re.match(r"[A-Za-z_][A-Za-z0-9_]*=", words[at])):
        at += 1
    return words[at:]
