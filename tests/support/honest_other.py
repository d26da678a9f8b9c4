"""Honest changes to everything else: documents, configuration, other languages, data, merges."""

from __future__ import annotations

import json
import struct
import zlib

from gates.example import Example
from honest_python import APP, code
from worktrees.changes import Change

PYPROJECT = '[project]\nname = "demo"\nversion = "0.1.0"\ndescription = "A demo"\ndependencies = ["numpy>=2"]\n\n[tool.ruff]\nline-length = 100\n'
PACKAGE = {"name": "demo", "version": "1.0.0", "scripts": {"build": "tsc"}, "dependencies": {"left-pad": "^1.0.0"}}
MAKEFILE = ".PHONY: test\ntest:\n\tpytest\n"
ACTION = "name: ci\non: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: pytest\n"


REPORT = """## Summary
The port is another one: `port` was 8000 and is 8001.
## Files Changed
- conf/app.yaml
## Verification
none
## Risks / Edge Cases
none
## Out-of-Scope Issues Found
none
"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(range(12)) for _ in range(4))))
    + _chunk(b"IEND", b"")
)


def notebook(*cells: str) -> str:
    made: list[dict[str, object]] = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": [cell]}
        for cell in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


DOCUMENTS = (
    Example(
        name="a README that says more",
        base={"README.md": "# Demo\n"},
        change={"README.md": "# Demo\n\nRun `make test`.\n\n```sh\npip install -e .\n```\n"},
    ),
    Example(
        name="a line in the CHANGELOG",
        base={"CHANGELOG.md": "# Changes\n\n## Unreleased\n"},
        change={"CHANGELOG.md": "# Changes\n\n## Unreleased\n\n- The mean of nothing is an error.\n"},
    ),
    Example(
        name="a page of the documentation",
        base={"docs/index.md": "# Index\n"},
        change={
            "docs/guide.md": "# Guide\n\n" + "A sentence of the guide.\n" * 150,
            "docs/index.md": "# Index\n\n- [Guide](guide.md)\n",
        },
    ),
    Example(
        name="a reStructuredText page",
        base={"docs/index.rst": "Index\n=====\n"},
        change={"docs/api.rst": "API\n===\n\n.. automodule:: app\n   :members:\n"},
    ),
    Example(name="a notebook", base={"a.ipynb": notebook("x = 1")}, change={"a.ipynb": notebook("x = 1", "x + 1")}),
    Example(
        name="a name that is not ASCII",
        base={"app.py": APP},
        change={"docs/Übersicht.md": "# Übersicht\n", "docs/日本語.md": "# 日本語\n", "docs/naïve café.txt": "x\n"},
    ),
    Example(
        name="a file with Windows line ends",
        base={"win.py": "a = 1\r\nb = 2\r\n"},
        change={"win.py": "a = 1\r\nb = 3\r\n"},
    ),
    Example(name="line ends made one kind", base={"win.py": "a = 1\r\nb = 2\r\n"}, change={"win.py": "a = 1\nb = 2\n"}),
    Example(
        name="a file that begins with a byte order mark",
        base={"bom.py": "\ufeffa = 1\n"},
        change={"bom.py": "\ufeffa = 2\n"},
    ),
    Example(
        name="a file in Latin-1",
        base={"old.py": b"# -*- coding: latin-1 -*-\nname = 'J\xfcrgen'\n"},
        change={"old.py": b"# -*- coding: latin-1 -*-\nname = 'J\xfcrgen'\nplace = 'K\xf6ln'\n"},
    ),
    Example(name="a text without a line end at its end", base={"a.txt": "one"}, change={"a.txt": "one\ntwo"}),
    Example(
        name="a picture",
        base={"README.md": "# Demo\n"},
        change={"docs/logo.png": PNG, "README.md": "# Demo\n\n![logo](docs/logo.png)\n"},
    ),
    Example(
        name="a picture exchanged",
        base={"logo.png": PNG},
        change={"logo.png": PNG[:-12] + _chunk(b"tEXt", b"Title\0x") + PNG[-12:]},
    ),
    Example(name="an empty file", base={"app.py": APP}, change={"src/py.typed": "", "src/pkg/__init__.py": ""}),
)
SETTINGS = (
    Example(
        name="another description of the project",
        base={"pyproject.toml": PYPROJECT},
        change={"pyproject.toml": PYPROJECT.replace("A demo", "A better demo").replace("0.1.0", "0.2.0")},
    ),
    Example(
        name="a linter's setting",
        base={"pyproject.toml": PYPROJECT},
        change={"pyproject.toml": PYPROJECT + 'target-version = "py311"\n'},
    ),
    Example(
        name="a manifest put in order",
        base={"pyproject.toml": PYPROJECT},
        change={"pyproject.toml": PYPROJECT.replace('["numpy>=2"]', '[\n    "numpy>=2", # arrays\n]')},
    ),
    Example(
        name="a script in package.json",
        base={"package.json": json.dumps(PACKAGE, indent=2)},
        change={"package.json": json.dumps({**PACKAGE, "scripts": {"build": "tsc", "lint": "eslint ."}}, indent=2)},
    ),
    Example(
        name="a value in YAML",
        base={"conf/app.yaml": "port: 8000\nname: demo\n"},
        change={"conf/app.yaml": "port: 8001\nname: demo\n# for the people in the other office\ntimeout: 3\n"},
        report=REPORT,
    ),
    Example(
        name="a value in JSON",
        base={"data/app.json": '{"a": 1}\n'},
        change={"data/app.json": '{"a": 1, "b": [1, 2]}\n'},
    ),
    Example(
        name="a value in TOML", base={"settings.toml": "a = 1\n"}, change={"settings.toml": "a = 1\n[more]\nb = 2\n"}
    ),
    Example(
        name="a line in .gitignore that the ticket names",
        base={".gitignore": "*.log\n"},
        change={".gitignore": "*.log\nbuild/\n"},
        ticket={"scope": {"write": [".gitignore"]}},
    ),
    Example(
        name="a target in the Makefile",
        base={"Makefile": MAKEFILE},
        change={"Makefile": MAKEFILE + "\nlint:\n\truff check .\n"},
    ),
    Example(
        name="a Dockerfile",
        base={"app.py": APP},
        change={"Dockerfile": 'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nUSER nobody\nCMD ["python", "app.py"]\n'},
    ),
    Example(
        name="a compose file",
        base={"app.py": APP},
        change={
            "compose.yaml": "services:\n  web:\n    build: .\n    ports: ['8000:8000']\n    environment:\n      PASSWORD: ${PASSWORD}\n"
        },
    ),
    Example(
        name="an example of an environment",
        base={"app.py": APP},
        change={".env.example": "APP_PASSWORD=change-me\nPORT=8000\n"},
    ),
    Example(
        name="an editor's settings",
        base={"app.py": APP},
        change={".editorconfig": "root = true\n\n[*]\nindent_style = space\n"},
    ),
)
LANGUAGES = (
    Example(
        name="a page with its style",
        base={"web/index.html": "<!doctype html>\n<title>x</title>\n"},
        change={
            "web/index.html": "<!doctype html>\n<title>x</title>\n<link rel=stylesheet href=style.css>\n<main><h1>Hello</h1></main>\n",
            "web/style.css": "main {\n  max-width: 60ch;\n}\n@media (prefers-color-scheme: dark) {\n  body { background: #111; }\n}\n",
        },
    ),
    Example(
        name="JavaScript",
        base={"web/app.js": "export function add(a, b) {\n  return a - b;\n}\n"},
        change={
            "web/app.js": "export function add(a, b) {\n  return a + b;\n}\n\nexport const twice = (a) => add(a, a);\n"
        },
    ),
    Example(
        name="TypeScript",
        base={"src/a.ts": "export const a = 1;\n"},
        change={
            "src/b.ts": "import { a } from './a';\n\nexport interface Point { x: number; y: number }\n\nexport function shift(point: Point): Point {\n  return { x: point.x + a, y: point.y };\n}\n"
        },
    ),
    Example(
        name="Go",
        base={"main.go": "package main\n\nfunc main() {}\n"},
        change={
            "add.go": "package main\n\n// Add adds.\nfunc Add(a, b int) int {\n\treturn a + b\n}\n",
            "add_test.go": 'package main\n\nimport "testing"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal("wrong")\n\t}\n}\n',
        },
    ),
    Example(
        name="Rust",
        base={"src/lib.rs": "pub fn one() -> i32 { 1 }\n"},
        change={
            "src/lib.rs": "pub fn one() -> i32 { 1 }\n\npub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() { assert_eq!(super::add(1, 2), 3); }\n}\n"
        },
    ),
    Example(
        name="C",
        base={"a.c": "int one(void) { return 1; }\n"},
        change={
            "a.c": "#include <stddef.h>\n\nint one(void) { return 1; }\n\nint sum(const int *v, size_t n)\n{\n    int s = 0;\n    for (size_t i = 0; i < n; i++)\n        s += v[i];\n    return s;\n}\n",
            "a.h": "int sum(const int *v, unsigned long n);\n",
        },
    ),
    Example(
        name="Java",
        base={"A.java": "class A {}\n"},
        change={"A.java": "class A {\n    int twice(int a) {\n        return 2 * a;\n    }\n}\n"},
    ),
    Example(
        name="a shell script that may be run",
        base={"app.py": APP},
        change={
            "tools/build.sh": '#!/bin/sh\nset -eu\nfor file in src/*.py; do\n    python -m py_compile "$file"\ndone\n'
        },
        executable=("tools/build.sh",),
    ),
    Example(
        name="a script made executable",
        base={"tools/run.sh": "#!/bin/sh\necho run\n"},
        change={"tools/run.sh": "#!/bin/sh\necho run\n"},
        executable=(),
    ),
    Example(
        name="SQL",
        base={"db/001.sql": "CREATE TABLE a (id INTEGER PRIMARY KEY);\n"},
        change={
            "db/002.sql": "ALTER TABLE a ADD COLUMN name TEXT NOT NULL DEFAULT '';\nCREATE INDEX a_name ON a (name);\n"
        },
    ),
    Example(
        name="a broken template of another language",
        base={"t/page.html.j2": "{% for a in b %}{{ a }}{% endfor %}\n"},
        change={
            "t/page.html.j2": "{% for a in b %}<li>{{ a | e }}</li>{% endfor %}\n",
            "t/def.py.tmpl": "def {{ name }}(\n",
        },
    ),
)
DATA = (
    Example(
        name="a table of data",
        base={"data/a.csv": "x,y\n1,2\n"},
        change={"data/a.csv": "x,y\n" + "".join(f"{n},{n * n}\n" for n in range(200))},
    ),
    Example(
        name="generated code that says so",
        base={"gen/tables.py": "# @generated by tool\nTABLE = {}\n"},
        change={
            "gen/tables.py": "# @generated by tool\nTABLE = {\n"
            + "".join(f"    {n}: {n * n},\n" for n in range(900))
            + "}\n"
        },
    ),
    Example(
        name="a snapshot of protobuf code",
        base={"gen/x_pb2.py": "# @generated\nX = 1\n"},
        change={"gen/x_pb2.py": "# @generated\n" + "X = 2\n" * 50},
    ),
    Example(
        name="many small files",
        base={"app.py": APP},
        change={f"data/part{n}.json": f'{{"n": {n}}}\n' for n in range(11)},
    ),
    Example(
        name="a deletion of a whole folder",
        base={f"old/f{n}.py": f"x = {n}\n" for n in range(8)} | {"app.py": APP},
        change={f"old/f{n}.py": None for n in range(8)},
    ),
    Example(
        name="files moved into a folder",
        base={f"f{n}.py": f"x = {n}\ny = {n}\nz = {n}\n" for n in range(4)},
        change={f"f{n}.py": None for n in range(4)}
        | {f"pkg/f{n}.py": f"x = {n}\ny = {n}\nz = {n}\n" for n in range(4)},
    ),
    Example(
        name="a move with an edit",
        base={"a.py": APP},
        change={"a.py": None, "b.py": APP.replace("Give the mean.", "Give the arithmetic mean.")},
    ),
    Example(
        name="a name in other letters",
        base={"Readme.md": "# Demo\n"},
        change={"Readme.md": None, "README.md": "# Demo\n"},
    ),
    Example(
        name="what an editor and a test run leave behind",
        base={"app.py": APP, ".gitignore": "*~\n__pycache__/\n.pytest_cache/\n"},
        change={"app.py": APP + "\nLIMIT = 3\n"},
        evidence=(
            Change(path="app.py~", kind="byproduct"),
            Change(path="__pycache__/app.cpython-311.pyc", kind="byproduct"),
            Change(path=".pytest_cache/README.md", kind="byproduct"),
        ),
    ),
    Example(
        name="two tickets merged into one another",
        base={"a.py": "a = 1\n", "b.py": "b = 1\n", "app.py": APP},
        change={
            "a.py": "a = 2\n",
            "b.py": "b = 2\n",
            "app.py": APP.replace(
                "return sum(values) / len(values)", "total = sum(values)\n    return total / len(values)"
            ),
            "tests/test_a.py": "def test_a():\n    assert 1 + 1 == 2\n",
        },
    ),
    Example(
        name="a change in a repository of many parts",
        base={f"parts/p{n}/src/m.py": f"x = {n}\n" for n in range(40)},
        change={"parts/p7/src/m.py": "x = 70\n", "parts/p7/README.md": "# Seven\n"},
        ticket={"scope": {"write": ["parts/p7/**"], "new": ["parts/p7/**"]}},
    ),
    Example(
        name="vendored code left as it was, beside a change",
        base={"vendor/lib.js": "var a=function(){" + "x();" * 500 + "}\n", "app.py": APP},
        change={"app.py": APP + "\nLIMIT = 3\n"},
    ),
    Example(
        name="a migration with its model",
        base={
            "db/models.py": code('''
        """Tables."""

        USERS = {"id": "int"}
    ''')
        },
        change={
            "db/models.py": code('''
        """Tables."""

        USERS = {"id": "int", "name": "text"}
    '''),
            "db/migrations/0002_name.sql": "ALTER TABLE users ADD COLUMN name TEXT;\n",
        },
    ),
    Example(
        name="a fix without any ticket", base={"app.py": APP}, change={"app.py": APP + "\nLIMIT = 3\n"}, ticket=None
    ),
)
OTHER = (*DOCUMENTS, *SETTINGS, *LANGUAGES, *DATA)
