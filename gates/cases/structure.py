"""Cases of the gate `structure`."""

from __future__ import annotations

from gates.example import Example

SMALL = {"limits": {"complexity": 4, "nesting": 2, "parameters": 3}}
DEMANDED = {"structure": {"docstrings": "always", "types": "always"}}


def branchy(branches: int, name: str = "f", indent: str = "") -> str:
    """Write a function of complexity `branches` + 1."""
    body = "".join(f"{indent}    if x == {number}:\n{indent}        x += 1\n" for number in range(branches))
    return f"{indent}def {name}(x):\n{body}{indent}    return x\n"


def deep(depth: int) -> str:
    lines = ["def f(x):"] + [f"{'    ' * (level + 1)}for _ in x:" for level in range(depth)]
    return "\n".join([*lines, f"{'    ' * (depth + 1)}print(x)\n"])


def documented(count: int, name: str = "f") -> str:
    head = '"""What this module is for."""\n\n'
    return head + "".join(
        f'\ndef {name}{number}(x: int) -> int:\n    """Give {number}."""\n    return x\n' for number in range(count)
    )


CAREFUL = {
    "lib/__init__.py": "",
    "lib/a.py": documented(6),
    "lib/b.py": documented(4, "g"),
    "tools/x.py": "def t(a):\n    pass\n",
}
CAREFUL |= {f"lib/m{number}.py": f'"""Module {number}."""\n\nX = {number}\n' for number in range(5)}
BARE = '"""New."""\n\n\ndef load(path: str) -> str:\n    return path\n'
UNTYPED = '"""New."""\n\n\ndef load(path, mode="r"):\n    """Load it."""\n    return path\n'
METHODS = '''"""New."""


class Base:
    """A base."""

    def run(self) -> None:
        """Run."""


class Child(Base):
    """A child."""

    def run(self) -> None:
        pass
'''
HONEST = '''"""New."""

from typing import overload


@overload
def load(path: str) -> str: ...
@overload
def load(path: bytes) -> bytes: ...
def load(path: object) -> object:
    """Load it."""

    def inner(x):
        return x

    return inner(path)


def _private(x):
    return x


class Loader:
    """Loads."""

    def __init__(self, path):
        self.path = path

    @property
    def size(self) -> int:
        """How much."""
        return 1

    @size.setter
    def size(self, value):
        pass
'''

CASES = (
    Example(
        name="a new function with too many branches",
        change={"a.py": branchy(4)},
        policy=SMALL,
        expects=("structure.complexity",),
    ),
    Example(
        name="branches hidden in a nested function",
        change={"a.py": "def f(x):\n" + branchy(4, "g", "    ") + "    return g(x)\n"},
        policy=SMALL,
        expects=("structure.complexity", "structure.complexity"),
    ),
    Example(
        name="branches as the cases of a match",
        change={
            "a.py": "def f(x):\n    match x:\n" + "".join(f"        case {n}:\n            pass\n" for n in range(4))
        },
        policy=SMALL,
        expects=("structure.complexity",),
    ),
    Example(
        name="a legacy function that grows worse",
        base={"a.py": branchy(6)},
        change={"a.py": branchy(7)},
        policy=SMALL,
        expects=("structure.complexity",),
    ),
    Example(
        name="a legacy function that grows worse while its file is renamed",
        base={"a.py": branchy(6)},
        change={"a.py": None, "b.py": branchy(7)},
        policy=SMALL,
        expects=("structure.complexity",),
    ),
    Example(
        name="a complex method beside a legacy function of the same name",
        base={"a.py": branchy(6)},
        change={"a.py": branchy(6) + "\n\nclass A:\n" + branchy(6, "f", "    ")},
        policy=SMALL,
        expects=("structure.complexity",),
    ),
    Example(
        name="loops nested too deep",
        change={"a.py": deep(3)},
        policy=SMALL,
        expects=("structure.nesting",),
    ),
    Example(
        name="an `if` within `else` within `else`",
        change={
            "a.py": "def f(x):\n    if x:\n        pass\n    else:\n        if x > 1:\n            pass\n        else:\n"
            "            if x > 2:\n                pass\n"
        },
        policy=SMALL,
        expects=("structure.nesting",),
    ),
    Example(
        name="too many parameters behind a bare star",
        change={"a.py": "def f(a, *, b, c, d):\n    pass\n"},
        policy=SMALL,
        expects=("structure.parameters",),
    ),
    Example(
        name="too many parameters of an async static method",
        change={"a.py": "class A:\n    @staticmethod\n    async def f(a, b, *c, **d):\n        pass\n"},
        policy=SMALL,
        expects=("structure.parameters",),
    ),
    Example(
        name="too many branches and parameters in JavaScript",
        change={"a.js": "function f(a, b, c, d) {\n" + "  if (a) { b(); }\n" * 4 + "}\n"},
        policy=SMALL,
        expects=("structure.complexity", "structure.parameters"),
    ),
    Example(
        name="a limit that the ticket tightens",
        change={"a.py": branchy(4)},
        ticket={"limits": {"complexity": 3}},
        expects=("structure.complexity",),
    ),
    Example(
        name="a public function without docstring in a documented package",
        base=CAREFUL,
        change={"lib/c.py": BARE},
        expects=("structure.docstring",),
    ),
    Example(
        name="a function without annotations in a typed package",
        base=CAREFUL,
        change={"lib/c.py": UNTYPED},
        expects=("structure.types",),
    ),
    Example(
        name="a function without annotation of its result alone",
        base=CAREFUL,
        change={"lib/c.py": UNTYPED.replace('path, mode="r"', 'path: str, mode: str = "r"')},
        expects=("structure.types",),
    ),
    Example(
        name="a module without docstring in a documented package",
        base=CAREFUL,
        change={"lib/c.py": "X = 1\n"},
        expects=("structure.docstring",),
    ),
    Example(
        name="a docstring taken away",
        base=CAREFUL,
        change={"lib/a.py": documented(6).replace('    """Give 3."""\n', "")},
        expects=("structure.docstring",),
    ),
    Example(
        name="annotations taken away from a function that moves to another file",
        base=CAREFUL,
        change={"lib/b.py": None, "lib/c.py": documented(4, "g").replace("g2(x: int) -> int", "g2(x)")},
        expects=("structure.types",),
    ),
    Example(
        name="a comment in the place of a docstring",
        change={"a.py": '"""New."""\n\n\ndef load() -> int:\n    # loads it\n    return 1\n'},
        policy=DEMANDED,
        expects=("structure.docstring",),
    ),
    Example(
        name="a method that overrides, where the policy demands docstrings always",
        change={"a.py": METHODS},
        policy=DEMANDED,
        expects=("structure.docstring",),
    ),
    Example(
        name="a public class without docstring and its public method without annotations",
        change={"a.py": '"""New."""\n\n\nclass A:\n    def run(self, x):\n        """Run."""\n'},
        policy=DEMANDED,
        expects=("structure.docstring", "structure.types"),
    ),
    Example(
        name="a function at the limits",
        change={"a.py": branchy(3) + "\n\n" + deep(2).replace("f(x)", "g(a, b, x)")},
        policy=SMALL,
    ),
    Example(
        name="a legacy function that improves and is still over the limit",
        base={"a.py": branchy(8)},
        change={"a.py": branchy(7)},
        policy=SMALL,
    ),
    Example(
        name="a legacy function moved to another module",
        base={"a.py": branchy(8) + "\n\n" + branchy(1, "g")},
        change={"a.py": "from b import f\n\n\n" + branchy(1, "g"), "b.py": branchy(8)},
        policy=SMALL,
    ),
    Example(
        name="`self` and `cls` beside the parameters",
        change={
            "a.py": "class A:\n    def f(self, a, b, c):\n        pass\n\n"
            "    @classmethod\n    def g(cls, a, b, c):\n        pass\n"
        },
        policy=SMALL,
    ),
    Example(
        name="options of a command line",
        change={
            "a.py": "import typer\n\napp = typer.Typer()\n\n\n@app.command()\ndef main(a, b, c, d, e):\n    pass\n"
        },
        policy=SMALL,
    ),
    Example(
        name="a long chain of elif is not nested",
        change={
            "a.py": "def f(x):\n    if x == 0:\n        pass\n"
            + "".join(f"    elif x == {n}:\n        pass\n" for n in range(1, 3))
        },
        policy=SMALL,
    ),
    Example(
        name="blocks of `with` open no second way",
        change={
            "a.py": "def f(x):\n    with x as a:\n        with a as b:\n            with b:\n"
            "                for c in b:\n                    pass\n"
        },
        policy=SMALL,
    ),
    Example(
        name="bare functions where nobody documents",
        base={"lib/a.py": "def f(x):\n    pass\n" * 9},
        change={"lib/b.py": "def load(path):\n    return path\n"},
    ),
    Example(
        name="bare functions in another folder of a careful repository",
        base=CAREFUL,
        change={"tools/y.py": "def load(path):\n    return path\n"},
    ),
    Example(name="private, nested, overloaded and special functions", base=CAREFUL, change={"lib/c.py": HONEST}),
    Example(name="a method that may inherit its docstring", base=CAREFUL, change={"lib/c.py": METHODS}),
    Example(
        name="tests, scripts and private modules",
        base=CAREFUL,
        change={
            "lib/tests/test_a.py": "def test_it(x):\n    pass\n",
            "lib/conftest.py": "def fix(x):\n    pass\n",
            "lib/_hidden.py": "def f(x):\n    pass\n",
            "bin/tool": "#!/usr/bin/env python3\ndef f(x):\n    pass\n",
        },
    ),
    Example(
        name="legacy without docstring beside a new documented one",
        base={**CAREFUL, "lib/old.py": '"""Old."""\n\n\ndef old(x):\n    return x\n'},
        change={
            "lib/old.py": '"""Old."""\n\n\ndef old(x, y=1):\n    return x + y\n\n\n'
            'def new(x: int) -> int:\n    """Give x."""\n    return x\n'
        },
    ),
    Example(
        name="a file that is no Python",
        base={"a.py": "print 'hello'\n"},
        change={"a.py": "print 'goodbye'\n", "data.bin": b"\0\xff", "b.txt": "if\n" * 40},
        policy=DEMANDED,
    ),
    Example(
        name="a generated file",
        base={"gen.py": "# @generated by a tool\n" + branchy(3)},
        change={"gen.py": "# @generated by a tool\n" + branchy(9)},
        policy=SMALL,
    ),
    Example(
        name="a package file that only imports",
        base=CAREFUL,
        change={"lib/sub/__init__.py": "from lib.a import f1\n\n__all__ = ['f1']\n"},
    ),
)
