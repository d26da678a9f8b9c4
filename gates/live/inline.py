"""Code that stands in a command line: which programs it starts and which files it touches, as commands of a shell."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a piece of code does, said in commands."""

    commands: list[tuple[str, ...]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)


_RUNNERS = re.compile(
    r"(?:subprocess|sp)\.(?:run|call|check_call|check_output|Popen|getoutput|getstatusoutput)"
    r"|(?:os\.)?(?:exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?)|os\.(?:system|popen|startfile)"
    r"|check_call|check_output|Popen|getoutput|pty\.spawn|(?:asyncio\.)?create_subprocess_(?:exec|shell)"
)
_RUN_MAYBE = re.compile(r"(?:.*\.)?(?:run|call|check_call|check_output|Popen|getoutput|spawn|system|popen)")
"""Perhaps under another name."""
_MODED = re.compile(r"(?:os\.)?(?:spawn[lv]p?e?)")
"""Their first argument is no program."""
_REMOVERS = frozenset({"shutil.rmtree", "rmtree"})
_FILE_REMOVERS = frozenset({"os.remove", "os.unlink", "os.rmdir", "os.truncate"})
_KILLERS = frozenset({"os.kill", "os.killpg"})
_SECOND_WRITTEN = frozenset({"shutil.copy", "shutil.copyfile", "shutil.copy2", "shutil.copytree"})
_MOVERS = frozenset({"shutil.move", "os.rename", "os.replace"})
_WRITERS = frozenset({"write_text", "write_bytes", "touch", "unlink", "rename", "replace"})
"""Methods of a path that write it."""
_READERS = frozenset({"read_text", "read_bytes"})
_REPOSITORY_LIBRARIES = frozenset({"git", "dulwich", "pygit2", "hglib"})
_STRINGS = re.compile(r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`|q[qwx]?[({\[]([^)}\]]*)[)}\]]")
_STARTS_PROGRAMS = re.compile(
    r"\b(?:system|exec\w*|popen\w*|spawn\w*|qx|subprocess|child_process|shell_exec|passthru|proc_open|Process|getline)\b|`|\|"
)


def python(code: str) -> Found:
    """Find what Python code starts and touches; what it computes stays unseen."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in code that an agent wrote is not ours to report
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return other(code)
    found = Found()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.commands.extend(_imported(node))
        elif isinstance(node, ast.Call):
            _called(node, found)
        elif isinstance(node, ast.Attribute) and _name(node) == "os.environ" and not _is_looked_up(node, tree):
            found.commands.append(("env",))
    return found


def other(code: str) -> Found:
    """Take every string in code that starts programs for a command it may start."""
    if not _STARTS_PROGRAMS.search(code):
        return Found()
    strings = [next(filter(None, groups), "") for groups in _STRINGS.findall(code)]
    return Found(scripts=[*filter(None, strings), " ".join(strings)])


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, ...]]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for name in names:
        if (root := name.split(".")[0]) in _REPOSITORY_LIBRARIES:
            yield ("git", f"(the library {root})")


def _called(node: ast.Call, found: Found) -> None:
    name = _name(node.func)
    first = node.args[0] if node.args else None
    if name in {"__import__", "importlib.import_module"} and _text(first) in _REPOSITORY_LIBRARIES:
        found.commands.append(("git", f"(the library {_text(first)})"))
    elif name in {"exec", "eval"} and (code := _text(first)):
        inner = python(code)
        found.commands.extend(inner.commands)
        found.scripts.extend(inner.scripts)
    elif _RUN_MAYBE.fullmatch(name) or _RUNNERS.fullmatch(name):
        _started(node, found)
    else:
        found.commands.extend(_on_files(node, name, _text(first)))


def _started(node: ast.Call, found: Found) -> None:
    given = node.args[1:] if _MODED.fullmatch(_name(node.func)) else node.args
    given = given or [keyword.value for keyword in node.keywords if keyword.arg == "args"]
    if not given:
        return
    if isinstance(given[0], ast.List | ast.Tuple):
        words = tuple(_text(part) or "*" for part in given[0].elts)
        if words[:1] != ("*",) or _RUNNERS.fullmatch(_name(node.func)):
            found.commands.append(words)
    elif text := _text(given[0]):
        rest = tuple(each for part in given[1:] if (each := _text(part)))
        if rest and not any(keyword.arg == "shell" for keyword in node.keywords):
            found.commands.append((text, *rest))
        found.scripts.append(text)
    elif _RUNNERS.fullmatch(_name(node.func)):
        found.commands.append(("*",))


def _on_files(node: ast.Call, name: str, first: str) -> Iterator[tuple[str, ...]]:
    second = _text(node.args[1]) if len(node.args) > 1 else ""
    method, path = name.rpartition(".")[2], _of_path(node)
    if name in _REMOVERS and first:
        yield ("rm", "-r", "--", first)
    elif name in _FILE_REMOVERS and first:
        yield ("rm", "--", first)
    elif name in _KILLERS:
        yield ("kill", "*")
    elif name in _SECOND_WRITTEN and second:
        yield ("tee", "--", second)
    elif name in _MOVERS and first and second:
        yield ("mv", "--", first, second)
    elif name in {"open", "io.open"} and first:
        yield _opened(node, first, second)
    elif path and method in _WRITERS:
        yield ("tee", "--", path)
    elif path and (method in _READERS or method == "open"):
        yield _opened(node, path, first if method == "open" else "")


def _opened(node: ast.Call, path: str, mode: str) -> tuple[str, ...]:
    mode = next((_text(keyword.value) for keyword in node.keywords if keyword.arg == "mode"), "") or mode
    return ("tee", "--", path) if set(mode) & set("wax+") else ("cat", "--", path)


def _of_path(node: ast.Call) -> str:
    """Give the path of `Path("x").write_text(...)`."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if isinstance(owner, ast.Call) and _name(owner.func) in {"Path", "pathlib.Path"} and len(owner.args) == 1:
        return _text(owner.args[0])
    return ""


def _is_looked_up(node: ast.Attribute, tree: ast.AST) -> bool:
    """Say whether the environment is only asked for single names, or handed on."""
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Call) and node in parent.args:
            return _name(parent.func) not in {"print", "dict", "str", "repr", "json.dumps", "list", "pprint"}
    return True


def _name(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif isinstance(node, ast.Call) and _name(node.func) == "__import__" and node.args:
        parts.append(_text(node.args[0]))
    return ".".join(reversed(parts))


def _text(node: ast.AST | None) -> str:
    """Give a string that is written out, or put together from such."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return left + right if left and right else ""
    if isinstance(node, ast.Attribute) and _name(node) == "sys.executable":
        return "python"
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "*" for part in node.values)
    return ""
