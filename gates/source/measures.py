"""How large files and functions are: Python by its syntax tree, other languages by lizard, scripts by their first line."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from gates.source.python_shape import complexity, nesting, parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gates.source.python_shape import FunctionNode

Language = Literal["python", "other", "lines", "data"]
"""`lines`: source code whose functions nobody here knows to find; `data`: data and prose, which have no limit of lines."""
PYTHON = frozenset({"py", "pyi", "pyw"})
LINES_ONLY = frozenset({"sh", "bash", "zsh", "fish", "sql", "html", "htm", "css", "scss", "less"})
# an agent could exempt its own function, or the rest of its file, with a comment that lizard obeys
_EXEMPTIONS = re.compile(r"lizard(?=\s+forgive)|GENERATED(?= CODE)", re.IGNORECASE)
MARK, MARK_LINES = "@generated", 5
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class UnparsableError(Exception):
    """The file is no valid source code; the line where it stops to be."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, kw_only=True)
class Function:
    name: str
    """Qualified: `Class.method`, `outer.inner`."""
    line: int
    lines: int
    complexity: int = 1
    """McCabe's."""
    nesting: int = 0
    """Depth of the deepest block; of Python only."""
    parameters: int = 0


def language(path: str, text: str) -> Language:
    """Decide by the extension, for a file without one by its `#!` line."""
    name = PurePosixPath(path)
    extension = name.suffix.lstrip(".")
    if not extension:
        first = text.split("\n", 1)[0]
        return "data" if not first.startswith("#!") else "python" if "python" in first else "lines"
    if extension.lower() in PYTHON:
        return "python"
    if extension.lower() in LINES_ONLY:
        return "lines"
    return "other" if extension in _known_to_lizard() or extension.lower() in _known_to_lizard() else "data"


@cache
def _known_to_lizard() -> frozenset[str]:
    from lizard_languages import languages  # type: ignore[import-untyped]  # it ships no types

    return frozenset(extension for reader in languages() for extension in reader.ext)


def is_marked_generated(text: str) -> bool:
    """Say whether the file tells in its first lines that a tool wrote it."""
    return any(MARK in line for line in text.splitlines()[:MARK_LINES])


def count_lines(text: str) -> int:
    """Count as `wc -l` does; a lone carriage return ends a line as well, because Python takes it for one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


def functions(path: str, text: str, *, python: str = "") -> tuple[Function, ...]:
    """List the functions of a source file; `python` is the version that its code is written for."""
    kind = language(path, text)
    if kind == "other":
        return _by_lizard(path, text)
    if kind != "python":
        return ()
    try:
        return tuple(_by_syntax_tree(parse(text), ""))
    except UnparsableError:
        if _newer(python):  # its syntax may be newer than what the interpreter of the harness knows
            return _by_lizard("newer.py", text)
        raise


def ranked(
    found: tuple[Function, ...], figure: Callable[[Function], int] = attrgetter("lines")
) -> dict[tuple[str, int], Function]:
    """Key functions by name; of several with one name (a property and its setter) the one with most comes first."""
    groups: dict[str, list[Function]] = defaultdict(list)
    for function in found:
        groups[function.name].append(function)
    return {
        (name, rank): function
        for name, group in groups.items()
        for rank, function in enumerate(sorted(group, key=lambda one: -figure(one)))
    }


def _newer(python: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", python)[:2]]
    return tuple(numbers) > sys.version_info[:2]


def parse(text: str) -> ast.Module:
    """Parse Python; raise UnparsableError where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is somebody else's question
            return ast.parse(text.removeprefix("\ufeff"))
    except SyntaxError as error:
        raise UnparsableError(error.lineno or 1, error.msg) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnparsableError(1, str(error) or "nested too deeply") from error


def _by_syntax_tree(node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _DEFINITIONS):
            yield from _by_syntax_tree(child, prefix)
            continue
        name = f"{prefix}{child.name}"
        if not isinstance(child, ast.ClassDef):
            yield _measured(name, child, method=isinstance(node, ast.ClassDef))
        yield from _by_syntax_tree(child, f"{name}.")


def _measured(name: str, node: FunctionNode, *, method: bool) -> Function:
    return Function(
        name=name,
        line=node.lineno,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        complexity=complexity(node),
        nesting=nesting(node),
        parameters=parameters(node, method=method),
    )


def _by_lizard(path: str, text: str) -> tuple[Function, ...]:
    import lizard

    harmless = _EXEMPTIONS.sub(lambda match: "x" * len(match[0]), text)
    found = lizard.analyze_file.analyze_source_code(path, harmless).function_list
    return tuple(
        Function(
            name=one.name,
            line=one.start_line,
            lines=one.end_line - one.start_line + 1,
            complexity=one.cyclomatic_complexity,
            parameters=sum(name not in {"self", "cls"} for name in one.parameters),
        )
        for one in found
    )
