"""Names of what a recipe adds: which ones will do, and how they are spelled in Python."""

from __future__ import annotations

import builtins
import keyword
import re
import sys

from tickets.errors import InputError

NAME = r"\"[^\"]*\"|'[^']*'|`[^`]*`|\S+"
"""Pattern of a name within a request; quotes are tolerated."""
LONGEST = 40  # generated lines stay within what the formatter leaves alone
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def unquoted(written: str) -> str:
    return written.strip("\"'`").strip()


def spelled(written: str, kind: str) -> tuple[str, list[str]]:
    """Give the name in snake_case, and what had to be assumed for that; raise InputError where none can be had."""
    plain = unquoted(written)
    name = plain.replace("-", "_").lower()
    if not _SNAKE.fullmatch(name) or len(name) > LONGEST:
        raise InputError(
            f"{plain!r} cannot name a {kind}: expected words of letters a-z and digits, joined by `_`, "
            f"a letter first, at most {LONGEST} characters"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise InputError(f"{name!r} cannot name a {kind}: it is a keyword of Python")
    if name in sys.stdlib_module_names:
        raise InputError(f"{name!r} cannot name a {kind}: it is a module of Python's standard library")
    return name, [] if name == plain else [f"`{plain}` is written `{name}`"]


def class_name(name: str, *taken: str) -> str:
    """`wide_mlp` -> `WideMlp`; with `Model` behind it where that is taken or shadows a builtin."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    return f"{camel}Model" if camel in taken or hasattr(builtins, camel) else camel
