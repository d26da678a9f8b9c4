"""Cases of the gate `origin`: each name below is one that Python answers from elsewhere before it looks at any path."""

from __future__ import annotations

from gates.example import Example

PACKAGE = {"thing/__init__.py": "", "thing/a.py": "a = 1\n"}


def shadowed(name: str, path: str) -> Example:
    return Example(name=name, base=PACKAGE, change={path: "x = 1\n"}, expects=("origin.elsewhere",) * 2, runs=True)


CASES = (
    shadowed("a module named as a built-in one", "time.py"),
    shadowed("a package named as a built-in one", "itertools/__init__.py"),
    shadowed("a module below src", "src/errno.py"),
    shadowed("a module that the interpreter is made of", "marshal.py"),
    shadowed("a package that the interpreter is made of", "src/gc/__init__.py"),
    Example(name="a package at the root", base=PACKAGE, change={"thing/a.py": "a = 2\n"}, runs=True),
    Example(name="a package below src", change={"src/other/__init__.py": ""}, runs=True),
    Example(name="a single module", change={"lonely.py": "x = 1\n"}, runs=True),
    Example(name="no Python at all", base={"a.txt": "x\n"}, change={"a.txt": "y\n"}),
)
