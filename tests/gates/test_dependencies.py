from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gates.builtin.dependencies import GATE
from gates.protocol import Call

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

PROJECT = """\
[build-system]
requires = ["hatchling>=1"]
[project]
name = "thing"
version = "0.1.0"
dependencies = ["numpy>=2,<3", "Typing_Extensions"]
[project.optional-dependencies]
ui = ["rich"]
[dependency-groups]
dev = ["pytest>=8", {include-group = "lint"}]
lint = ["ruff"]
[tool.uv.sources]
numpy = {index = "main"}
[tool.poetry.dependencies]
python = "^3.11"
six = "^1.2"
[tool.ruff]
line-length = 100
"""
REQUIREMENTS = (
    "-r more.list\nnumpy==2.1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n# a comment\nrich>=13  # why\n"
)
SETUP = 'from setuptools import setup\nsetup(name="thing", version="1", install_requires=["six>=1", "rich"])\n'
UV_LOCK = """\
version = 1
[[package]]
name = "thing"
version = "0.1.0"
source = { editable = "." }
[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://pypi.org/simple" }
"""
BASE = {
    "pyproject.toml": PROJECT,
    "requirements.txt": REQUIREMENTS,
    "more.list": "attrs\n",
    "setup.py": SETUP,
    "computed/setup.py": "from setuptools import setup\nsetup(install_requires=open('r').read().split())\n",
    "setup.cfg": "[metadata]\nname = thing\n[options]\ninstall_requires =\n    six>=1\n    rich\n",
    "Pipfile": '[packages]\nsix = "*"\n[requires]\npython_version = "3.11"\n',
    "environment.yml": "name: x\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip:\n    - six>=1\n",
    "uv.lock": UV_LOCK,
    "package.json": '{"name": "thing", "version": "1.0.0", "dependencies": {"left-pad": "^1.0.0"}}\n',
    "yarn.lock": '# yarn lockfile v1\n\nleft-pad@^1.0.0:\n  version "1.0.0"\n  resolved "https://x/1"\n',
    "Cargo.toml": '[package]\nname = "t"\nversion = "1.0.0"\n[dependencies]\nserde = "1"\n',
    "go.mod": "module x\n\ngo 1.22\n\nrequire (\n\tgithub.com/a/b v1.0.0\n)\n",
    "go.sum": "github.com/a/b v1.0.0 h1:x=\n",
    "run.py": "# /// script\n# dependencies = [\n#   'rich',\n# ]\n# ///\nx = 1\n",
    "plain.py": "x = 1\n",
}


def edited(path: str, old: str, new: str) -> dict[str, str | None]:
    assert old in BASE[path]
    return {path: BASE[path].replace(old, new)}


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "pyproject: added": (edited("pyproject.toml", '"numpy>=2,<3"', '"numpy>=2,<3", "evil"'), "evil"),
    "pyproject: removed": (edited("pyproject.toml", ', "Typing_Extensions"', ""), "typing-extensions"),
    "pyproject: specifier": (edited("pyproject.toml", ">=2,<3", ">=2,<4"), "numpy<4,>=2"),
    "pyproject: marker": (edited("pyproject.toml", "numpy>=2,<3", "numpy>=2,<3; python_version>'3.1'"), "numpy"),
    "pyproject: extra": (edited("pyproject.toml", '["rich"]', '["rich[jupyter]"]'), "rich[jupyter]"),
    "pyproject: by address": (edited("pyproject.toml", '"numpy>=2,<3"', '"numpy @ https://x/n.whl"'), "https://x/n.whl"),
    "pyproject: group": (edited("pyproject.toml", '["ruff"]', '["ruff", "mypy"]'), "mypy"),
    "pyproject: build": (edited("pyproject.toml", '["hatchling>=1"]', '["hatchling>=1", "cython"]'), "cython"),
    "pyproject: source": (edited("pyproject.toml", '{index = "main"}', '{git = "https://x"}'), "https://x"),
    "pyproject: poetry": (edited("pyproject.toml", 'six = "^1.2"', 'six = {version = "^1.2", optional = true}'), "six"),
    "pyproject: dynamic": (edited("pyproject.toml", 'version = "0.1.0"', 'version = "0.1.0"\ndynamic = ["dependencies"]'), "dynamic"),
    "pyproject: index": (edited("pyproject.toml", "[tool.ruff]", '[tool.uv]\nindex-url = "https://x"\n[tool.ruff]'), "https://x"),
    "requirements: added": (edited("requirements.txt", "# a comment", "evil==1"), "evil==1"),
    "requirements: hash": (edited("requirements.txt", "sha256:bb", "sha256:cc"), "sha256:cc"),
    "requirements: index": (edited("requirements.txt", "# a comment", "--extra-index-url https://x"), "https://x"),
    "requirements: editable": (edited("requirements.txt", "# a comment", "-e git+https://x#egg=y"), "https://x"),
    "requirements: chained file": ({"more.list": "attrs\nevil\n"}, "evil"),
    "requirements: chain": (edited("requirements.txt", "-r more.list", "-r more.list\n-r other.list"), "other.list"),
    "requirements: broken": (edited("requirements.txt", "# a comment", "no such thing"), "cannot be read"),
    "requirements: new file": ({"requirements-dev.in": "evil\n"}, "evil"),
    "requirements: deleted": ({"requirements.txt": None}, "was deleted"),
    "requirements: renamed": ({"requirements.txt": None, "reqs.old": REQUIREMENTS}, "was renamed to reqs.old"),
    "setup.py: added": (edited("setup.py", '"rich"', '"rich", "evil"'), "evil"),
    "setup.py: computed": ({"computed/setup.py": BASE["computed/setup.py"] + "x = 1\n"}, "cannot be read"),
    "setup.py: made computed": (edited("setup.py", '["six>=1", "rich"]', "list(x)"), "cannot be read"),
    "setup.cfg": (edited("setup.cfg", "    rich", "    rich\n    evil"), "evil"),
    "Pipfile": (edited("Pipfile", 'six = "*"', 'six = "*"\nevil = "*"'), "evil"),
    "conda": (edited("environment.yml", "python=3.11", "python=3.12"), "python=3.12"),
    "conda: pip": (edited("environment.yml", "six>=1", "six>=2"), "six>=2"),
    "conda: channel": (edited("environment.yml", "[conda-forge]", "[conda-forge, x]"), "channels"),
    "uv.lock: version": (edited("uv.lock", "2.1.0", "2.2.0"), "2.2.0"),
    "uv.lock: source": (edited("uv.lock", "https://pypi.org/simple", "https://x"), "https://x"),
    "uv.lock: broken": (edited("uv.lock", "[[package]]", "[[package"), "cannot be read"),
    "package.json": (edited("package.json", "^1.0.0", "^2.0.0"), "^2.0.0"),
    "package.json: overrides": (edited("package.json", '"name"', '"overrides": {"a": "1"}, "name"'), "overrides"),
    "yarn.lock": (edited("yarn.lock", "https://x/1", "https://y/1"), "https://y/1"),
    "Cargo.toml": (edited("Cargo.toml", 'serde = "1"', 'serde = { git = "https://x" }'), "https://x"),
    "go.mod": (edited("go.mod", "v1.0.0", "v1.1.0"), "v1.1.0"),
    "go.mod: replace": (edited("go.mod", "go 1.22", "go 1.22\n\nreplace github.com/a/b => ../b"), "replace"),
    "go.sum": ({"go.sum": BASE["go.sum"] + "evil v1 h1:y=\n"}, "evil"),
    "script: added": (edited("run.py", "'rich',", "'rich', 'evil',"), "evil"),
    "script: new": ({"plain.py": "# /// script\n# dependencies = ['evil']\n# ///\nx = 1\n"}, "evil"),
    "new manifest": ({"sub/package.json": '{"devDependencies": {"evil": "1"}}\n'}, "evil"),
}  # fmt: skip
ALLOWED: dict[str, dict[str, str | None]] = {
    "pyproject: own version": edited("pyproject.toml", '"0.1.0"', '"0.2.0"'),
    "pyproject: tools": edited("pyproject.toml", "line-length = 100", "line-length = 120"),
    "pyproject: order and spelling": edited("pyproject.toml", '"numpy>=2,<3", "Typing_Extensions"', '"typing-extensions", "NumPy <3, >=2"'),
    "pyproject: comment": edited("pyproject.toml", '["rich"]', '[\n  "rich", # for people\n]'),
    "requirements: order, comments, space": {"requirements.txt": "rich >= 13\n\nnumpy==2.1 --hash=sha256:bb --hash=sha256:aa\n-r more.list\n"},
    "setup.py: own version": edited("setup.py", 'version="1"', 'version="2"'),
    "setup.py: order": edited("setup.py", '"six>=1", "rich"', '"rich", "six >= 1"'),
    "setup.cfg: metadata": edited("setup.cfg", "name = thing", "name = thing\nversion = 2"),
    "Pipfile: order": edited("Pipfile", '[packages]\nsix = "*"\n[requires]\npython_version = "3.11"\n', '[requires]\npython_version = "3.11"\n[packages]\nsix = "*"\n'),
    "conda: name": edited("environment.yml", "name: x", "name: y"),
    "uv.lock: own version": edited("uv.lock", '"0.1.0"', '"0.2.0"'),
    "package.json: own version": edited("package.json", '"1.0.0"', '"1.1.0"'),
    "Cargo.toml: own version": edited("Cargo.toml", '"1.0.0"', '"1.1.0"'),
    "go.mod: language": edited("go.mod", "go 1.22", "go 1.23"),
    "script: code below": edited("run.py", "x = 1", "x = 2"),
    "new manifest without any": {"sub/pyproject.toml": "[tool.ruff]\nline-length = 99\n"},
    "MANIFEST.in is none": {"MANIFEST.in": "include README.md\n"},
    "other files": {"words.txt": "numpy\n", "docs/environment.md": "x\n"},
    "nothing": {},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(make_case: MakeCase, name: str) -> None:
    change, said = REFUSED[name]
    verdict = GATE.verify(make_case(BASE, change, ticket={}))
    assert verdict.answer.value == "fail"
    assert all(finding.path in change or finding.path == "requirements.txt" for finding in verdict.findings)
    assert said in " ".join(f"{finding.message} {finding.actual}" for finding in verdict.findings)


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(make_case: MakeCase, judge: Judge, name: str) -> None:
    judge.allowed(GATE, make_case(BASE, ALLOWED[name], ticket={}))


def test_a_person_is_told_what_could_be_permitted(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.refused(
        GATE, make_case(BASE, {"go.sum": BASE["go.sum"] + "x v1 h1:y=\n"}, ticket={}), "dependencies.added"
    )
    assert [(one.need.kind, one.need.subject) for one in verdict.findings if one.need] == [("dependency", "go.sum: x")]


@pytest.mark.parametrize(
    ("call", "free"),
    [
        (Call(kind="run", command="pip install evil"), False),
        (Call(kind="run", command="uv add evil && pytest"), False),
        (Call(kind="write", path="sub/uv.lock"), False),
        (Call(kind="run", command="pip list"), True),
        (Call(kind="write", path="pyproject.toml"), True),
    ],
    ids=str,
)
def test_the_live_answer(make_case: MakeCase, call: Call, free: bool) -> None:  # noqa: FBT001 - a table's column
    case = make_case({"a": "1"}, {}, ticket={})
    assert case.ticket is not None
    assert (GATE.permits(call, case.ticket, case.policy) is None) is free
