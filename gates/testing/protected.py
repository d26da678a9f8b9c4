"""Files that decide what a test run, a check or a CI job says: which they are, and which part of them counts."""

from __future__ import annotations

import configparser
import posixpath
import re
import shlex
import sys
import tomllib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tickets.globs import is_literal, matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tickets.model import Ticket
    from tickets.policy import Policy

_NAMED = {
    "conftest.py": "pytest runs it before the tests",
    "pytest.ini": "it configures pytest",
    ".pytest.ini": "it configures pytest",
    "pytest.toml": "it configures pytest",
    ".pytest.toml": "it configures pytest",
    "tox.ini": "it configures the test run",
    "tox.toml": "it configures the test run",
    "noxfile.py": "it configures the test run",
    ".coveragerc": "it configures coverage",
    "sitecustomize.py": "Python runs it at every start",
    "usercustomize.py": "Python runs it at every start",
    ".gitlab-ci.yml": "CI runs it",
    "jenkinsfile": "CI runs it",
    "azure-pipelines.yml": "CI runs it",
    ".travis.yml": "CI runs it",
    "appveyor.yml": "CI runs it",
    "bitbucket-pipelines.yml": "CI runs it",
}
_SHAPED = (
    (re.compile(r"(?i)^(?:\.github|\.ci|\.gitlab|\.circleci|\.buildkite|\.azure-pipelines)/"), "CI runs it"),
    (re.compile(r"\.pth$"), "Python runs it at every start"),
    (re.compile(r"\.py[co]$|(?:^|/)__pycache__/"), "Python may run it instead of the source"),
    (re.compile(r"\.(?:egg|dist)-info/"), "it can register plugins"),
    (re.compile(r"(?:^|/)\.(?:pytest_cache|hypothesis)/"), "the test run reads it"),
)
_TEST = re.compile(r"(?:^|/)(?:tests?|testing)/|(?:^|/)(?:test_[^/]*|tests)\.py$|_test\.py$")
_BELOW_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|__tests__|spec|__snapshots__)/")
_SNAPSHOT = re.compile(
    r"(?i)(?:^|/)__snapshots__/|\.(?:snap|ambr|approved\.\w+|golden|expected)$|(?:^|/|[._-])(?:goldens?|expected|snapshots?|approved)(?=[/._-])"
)
_INTERPRETERS = re.compile(r"^(?:python[\d.]*|pypy[\d.]*|sh|bash|dash|zsh|node|ruby|perl|Rscript)$")
_CONFIG_OPTION = re.compile(r"^(?:-c|--config(?:-file)?|--rcfile|--settings-file|--rcpath)$")
_RUNNERS = frozenset(
    (
        "pytest",
        "_pytest",
        "pluggy",
        "iniconfig",
        "py",
        "xdist",
        "execnet",
        "pytest_cov",
        "coverage",
        "pytest_timeout",
        "hypothesis",
        "nose",
        "tox",
        "nox",
        "mock",
    )
)
_SECTIONS = re.compile(r"^(?:tool:pytest|pytest|coverage:|run$|report$|tox|testenv|aliases$|options\.entry_points)")


def is_test(path: str) -> bool:
    return bool(_TEST.search(path)) and path.endswith(".py")


def is_snapshot(path: str) -> bool:
    """Say whether the file holds what tests expect: below a folder of tests, and named so."""
    return bool(_BELOW_TESTS.search(path)) and not path.endswith(".py") and bool(_SNAPSHOT.search(path))


def whole(path: str) -> str:
    """Say why no part of the file may change, or give an empty string."""
    if reason := _NAMED.get(posixpath.basename(path).lower()):
        return reason
    return next((reason for shape, reason in _SHAPED if shape.search(path)), "")


def shadows(path: str, roots: Sequence[str]) -> str:
    """Give the installed module that a new file would stand in for, as imports start from these folders."""
    for root in roots:
        inner = path.removeprefix(f"{root}/") if root else path
        name = inner.removesuffix("/__init__.py").removesuffix(".py")
        fits = path.endswith(".py") and "/" not in name and (not root or inner != path)
        if fits and (name in _RUNNERS or name in sys.stdlib_module_names):
            return name
    return ""


def sections(path: str, text: str | None) -> Mapping[str, Any] | None:
    """Give the sections of a file that configure tests, or None where the file has none such by its name.

    Raise ValueError where the file cannot be read.
    """
    name = posixpath.basename(path)
    if name == "pyproject.toml":
        return _toml(text or "")
    if name == "setup.cfg":
        return _ini(text or "")
    if name == "setup.py":
        return {"pytest11": "pytest11" in (text or "")}
    return None


def _toml(text: str) -> dict[str, Any]:
    document = tomllib.loads(text)
    tool, project = _table(document, "tool"), _table(document, "project")
    found = {f"tool.{name}": tool.get(name) for name in ("pytest", "coverage", "tox", "nox")}
    found["project.entry-points.pytest11"] = _table(project, "entry-points").get("pytest11")
    found["tool.poetry.plugins.pytest11"] = _table(_table(tool, "poetry"), "plugins").get("pytest11")
    return found


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = table.get(key)
    return inner if isinstance(inner, dict) else {}


def _ini(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).splitlines()[0]) from error
    found: dict[str, Any] = {name: dict(parser.items(name)) for name in parser.sections() if _SECTIONS.match(name)}
    points = found.pop("options.entry_points", {})
    return {**found, "pytest11": points.get("pytest11")}


def gate_files(policy: Policy, files: Collection[str]) -> frozenset[str]:
    """Give the files of the base that the policy's own commands run, as programs or as their configuration."""
    commands = [(policy.tests.run, ""), *((check.run, str(check.cwd)) for check in policy.checks)]
    words = (
        (posixpath.normpath(posixpath.join(cwd, word)) for word in _programs(command)) for command, cwd in commands
    )
    found = {word for row in words for word in row if word in files}
    makes = any(posixpath.basename(command[0]) in {"make", "gmake"} for command, _ in commands if command)
    return frozenset(found | ({"Makefile", "makefile", "GNUmakefile"} & set(files) if makes else set()))


def _programs(words: Sequence[str]) -> Iterator[str]:
    yield from words[:1]
    for before, word in pairwise(words):
        if before == "-c" and _INTERPRETERS.match(posixpath.basename(words[0])):
            yield from _split(word)
        elif _CONFIG_OPTION.match(before):
            yield word
        elif word.startswith("--") and _CONFIG_OPTION.match(word.partition("=")[0]):
            yield word.partition("=")[2]
    at = next((index for index, word in enumerate(words) if _INTERPRETERS.match(posixpath.basename(word))), None)
    if at is not None:
        script = next((word for word in words[at + 1 :] if not word.startswith("-")), "")
        yield from [script] if "-m" not in words[at:] else []


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def names(ticket: Ticket, path: str) -> bool:
    """Say whether the ticket names this very file: by its path, or by a glob whose last part is its name."""
    folder = path.partition("/")[0]  # `.github/**` is said of nothing but CI
    patterns = [
        glob
        for glob in ticket.scope.allowed
        if glob == path
        or is_literal(glob.rpartition("/")[2])
        or (folder.startswith(".") and glob.startswith(f"{folder}/"))
    ]
    return bool(matches(path, patterns)) and not matches(path, ticket.scope.deny)


def means(ticket: Ticket, path: str) -> bool:
    """Say whether the ticket lets this existing file change on purpose: not only as one of all there are."""
    patterns = [glob for glob in ticket.scope.write if is_literal(glob.partition("/")[0])]
    return names(ticket, path) or (bool(matches(path, patterns)) and not matches(path, ticket.scope.deny))
