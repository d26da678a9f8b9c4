"""What a source file defines, a line for each: Python by its syntax tree, other languages by patterns that are cheap and seldom wrong."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.source.measures import UnparsableError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 160
"""Characters of one line."""
MOST = 60
"""Lines of one file."""
_NAME = r"[A-Za-z_$][\w$]*"
_SCRIPT = (
    rf"^(?:export\s+(?:default\s+)?)?(?:abstract\s+)?(?:async\s+)?((?:class|function\*?|interface|type|enum)\s+{_NAME})"
)
_ARROW = rf"^export\s+(?:const|let)\s+({_NAME})"
_CURLY = (
    rf"^\s{{0,4}}(?:(?:public|protected|internal|static|final|abstract|sealed|open|data|partial|override|async)\s+)+"
    rf"((?:class|interface|enum|record|struct|object|fun)\s+{_NAME}|[\w<>\[\],.?]+\s+{_NAME}\s*\([^)\n]*\))"
)
_C = rf"^(?:typedef\s+)?((?:struct|enum|union|class|namespace)\s+{_NAME})|^(?!return|else|if|for|while|switch)[\w*][\w\s*:<>,&]*?\b({_NAME}\s*\([^;{{}}\n]*\))\s*\{{?\s*$"
_PATTERNS: dict[str, str] = {
    **dict.fromkeys(("js", "jsx", "mjs", "cjs", "ts", "tsx", "mts"), f"{_SCRIPT}|{_ARROW}"),
    "go": rf"^(func\s+(?:\([^)\n]*\)\s*)?{_NAME}\s*\([^)\n]*\)|type\s+{_NAME}\s+(?:struct|interface))",
    "rs": rf"^\s{{0,4}}(?:pub(?:\([^)\n]*\))?\s+)(?:async\s+|unsafe\s+|const\s+)*((?:fn|struct|enum|trait|mod|type|const)\s+{_NAME})",
    **dict.fromkeys(("java", "kt", "cs", "scala", "swift"), _CURLY),
    **dict.fromkeys(("c", "h", "cc", "cpp", "hpp", "cu", "cuh"), _C),
    "rb": r"^\s{0,4}((?:class|module|def)\s+[\w.:?!]+)",
    "sh": rf"^((?:function\s+)?{_NAME})\s*\(\)\s*\{{",
    "sql": r"^\s*create\s+(?:or\s+replace\s+)?((?:table|view|function|index|type)\s+(?:if\s+not\s+exists\s+)?[\w.\"]+)",
    "proto": rf"^\s{{0,4}}((?:message|service|enum|rpc)\s+{_NAME})",
}
_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PATTERNS.items()}
_TEST = re.compile(r"(?:func |fn |function )?[tT]est(?:_|[A-Z])\w*\s*\(")


def speaks(path: str) -> bool:
    """Say whether anything can be found in such a file."""
    return _extension(path) in {"py", "pyi", *_PATTERNS}


def symbols_of(path: str, text: str) -> tuple[str, ...]:
    """Give a line for each public class, function and the like, and the number of tests; none where the file cannot be read."""
    extension = _extension(path)
    found = list(_python(text) if extension in {"py", "pyi"} else _matched(extension, text))
    tests = sum(bool(_TEST.match(line)) for line in found)
    others = [line[:LONGEST] for line in found if not _TEST.match(line) and not line.startswith("_")]
    return (*others[:MOST], *([f"{tests} test{'s' * (tests != 1)}"] if tests else []))


def _extension(path: str) -> str:
    return PurePosixPath(path).suffix.lstrip(".").lower()


def _matched(extension: str, text: str) -> Iterator[str]:
    if (pattern := _COMPILED.get(extension)) is None:
        return
    for line in text.splitlines():
        # a longer line was written by a tool, and could keep a pattern busy for minutes
        if len(line) <= LONGEST and (match := pattern.match(line)):
            yield " ".join(next(filter(None, match.groups())).split())


def _python(text: str) -> Iterator[str]:
    try:
        body = parse(text).body
    except UnparsableError:
        return
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{node.name}({', '.join(_parameters(node.args))})"
        elif isinstance(node, ast.ClassDef):
            yield _class(node)


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join(_short(base) for base in node.bases)
    functions = (one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    methods = ", ".join(name for name in functions if not name.startswith("_"))
    return f"class {node.name}{f'({bases})' if bases else ''}{f': {methods}' if methods else ''}"


def _short(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_short(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "..."


def _parameters(given: ast.arguments) -> Iterator[str]:
    yield from (one.arg for one in (*given.posonlyargs, *given.args))
    if given.vararg or given.kwonlyargs:
        yield f"*{given.vararg.arg if given.vararg else ''}"
    yield from (one.arg for one in given.kwonlyargs)
    if given.kwarg:
        yield f"**{given.kwarg.arg}"
