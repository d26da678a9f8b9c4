"""An agent's report, read for what it claims: sections, fields, files, and commands said to have passed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.source.measures import language

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}(#{1,2})\s+(.*?)[\s#:]*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d+[.)])?\s*(?:\[[ xX]\]\s*)?(?:\*\*)?")
_STATUS = re.compile(
    r"^(?:[MADRC]|new(?: file)?|add(?:ed)?|modif(?:y|ied)|changed?|created?|deleted?|removed?|renamed?|updated?)[:\s]+(?=\S)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"`([^`]+)`|([^\s`,;|]+)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_FILE_NAME = re.compile(r".*[^.]\.([A-Za-z][A-Za-z0-9]{0,9})")
_PROSE_AND_DATA = frozenset(
    {"cfg", "csv", "ini", "ipynb", "json", "jsonl", "lock", "md", "rst", "toml", "txt", "xml", "yaml", "yml"}
)
_BETWEEN = re.compile(r"^(?:\*\*|\s|,|;|&|and\b|to\b|->|→|=>)+", re.IGNORECASE)
_PASSED = re.compile(
    r"\b(?:pass(?:ed|es|ing)?|ok|succe(?:ss|eds?|eded|ssful(?:ly)?)|green|clean|exit(?:\s+code)?\s*[:=]?\s*0)\b|[✅✓✔]",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"\b(?:not|fail(?:s|ed|ing|ure)?|red|broken|errors?|exit(?:\s+code)?\s*[:=]?\s*[1-9]\d*)\b|[❌✗✘]", re.IGNORECASE
)
_NO_FAILURES = re.compile(r"\b(?:0|no)\s+(?:fail(?:ed|ures?)|errors?)\b", re.IGNORECASE)
_COMMAND_END = re.compile(r"\s*(?:[:=]>?|[-=]+>|→|[-\u2013\u2014])\s+|\s+(?=(?:PASS|OK|passed|passes|exit)\b)")
_HARNESS_OPTIONS = re.compile(r"^(?:--junitxml=.*|--rootdir=.*|-p|no:cacheprovider|-o|junit_family=xunit1)$")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A line that says that a command passed."""

    command: str
    line: str


def sections(text: str) -> dict[str, str]:
    """Give the body of each `#` or `##` section by its heading in lower case; headings within fences are text."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    fence = ""
    for line in _COMMENT.sub("", text).splitlines():
        fence = _next_fence(fence, line)
        heading = None if fence else _HEADING.match(line)
        if heading:
            current = found.setdefault(heading[2].lower(), [])
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def _next_fence(fence: str, line: str) -> str:
    """Give the fence that the text stands in after this line, "" for none."""
    mark = _FENCE.match(line)
    if not mark:
        return fence
    if not fence:
        return mark[1]
    return "" if mark[1].startswith(fence) else fence


def field(text: str, name: str) -> str:
    """Give the value of a field: the section of that name, or the rest of a line `Name: value`; "" for none."""
    if body := sections(text).get(name.lower().rstrip(":")):
        return body
    label = re.escape(name.rstrip(":"))
    pattern = re.compile(
        rf"^[ \t]*(?:[-*+][ \t]+)?\*{{0,2}}{label}\*{{0,2}}[ \t]*:\*{{0,2}}[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE
    )
    match = pattern.search(_COMMENT.sub("", text))
    return match[1].strip("* \t") if match else ""


# files


def mentions(section: str, path: str) -> bool:
    """Say whether the section names the path somewhere, and not only a longer one that contains it."""
    return bool(re.search(rf"(?<![\w/.-])(?:\./)?{re.escape(path)}(?![\w/-]|\.\w)", section))


def claimed_files(section: str, known: Collection[str]) -> tuple[str, ...]:
    """List the paths that the items of the section begin with; what follows in an item is prose about them.

    A word is a path when it is one of `known` or ends like a file name.
    """
    found: list[str] = []
    for line in section.splitlines():
        found += _leading_paths(_LINK.sub(r"\1", line), known)
    return tuple(dict.fromkeys(found))


def _leading_paths(line: str, known: Collection[str]) -> Iterator[str]:
    if line.lstrip().startswith("|"):
        cells = (cell.strip() for cell in line.split("|"))
        rest = next((cell for cell in cells if _is_path(_plain(cell.strip("`")), known)), "")
    else:
        rest = _STATUS.sub("", _ITEM.sub("", line))
    while match := _TOKEN.match(rest):
        path = _plain(match[1] or match[2])
        if not _is_path(path, known):
            return
        yield path
        rest = _BETWEEN.sub("", rest[match.end() :])


def _plain(word: str) -> str:
    return word.strip().strip("*()\"'<>").removeprefix("./").rstrip(".,;:!?)")


def _is_path(word: str, known: Collection[str]) -> bool:
    if word in known:
        return True
    if not word or " " in word or "://" in word or word.startswith(("-", "/")):
        return False
    name = _FILE_NAME.fullmatch(PurePosixPath(word).name)
    if name is None or word.endswith("/"):
        return False
    # `e.g.` and `Trainer.fit` have a dot as well
    return "/" in word or name[1].lower() in _PROSE_AND_DATA or language(word, "") != "data"


# commands


def claims(section: str) -> tuple[Claim, ...]:
    """List the commands that the section says have passed."""
    found = []
    for line in section.splitlines():
        words = re.sub(r"`[^`]*`", " ", line)
        if not _PASSED.search(words) or _FAILED.search(_NO_FAILURES.sub("", words)):
            continue
        found += [Claim(command=command, line=line.strip()) for command in _commands(line)]
    return tuple(found)


def _commands(line: str) -> list[str]:
    quoted = [command.strip() for command in re.findall(r"`([^`]+)`", line) if not _PASSED.fullmatch(command.strip())]
    if quoted:
        return quoted
    if line.lstrip().startswith("|"):
        return [next((cell.strip() for cell in line.split("|") if cell.strip()), "")]
    bare = _COMMAND_END.split(_ITEM.sub("", line).removeprefix("$ "), maxsplit=1)[0].strip()
    return [bare] if bare else []


def same_command(claim: str, measured: str) -> bool:
    """Say whether the measured command is the claimed one, whatever options the harness appended for itself."""
    said = _words(claim)
    return bool(said) and said == _words(measured)


def begins(claim: str, measured: str) -> bool:
    """Say whether the measured command is the claimed one with further words: one test of a suite run again, say."""
    said = _words(claim)
    return bool(said) and _words(measured)[: len(said)] == said


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    words = [word for word in words if not _HARNESS_OPTIONS.match(word)]
    if words:
        words[0] = PurePosixPath(words[0]).name
    if re.fullmatch(r"python[\d.]*", "".join(words[:1])) and words[1:2] == ["-m"]:
        words = words[2:]
    return words
