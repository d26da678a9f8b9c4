"""JUnit XML from processes that are not trusted: read as data, and held against itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

State = Literal["passed", "skipped", "xfailed", "failed", "error", "collection"]
_WORST: tuple[State, ...] = ("collection", "error", "failed", "xfailed", "skipped", "passed")
_PLACE = re.compile(r"^(?P<path>[^\s:][^:\n]*):(?P<line>\d+):", re.MULTILINE)
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


class UnusableReportError(Exception):
    """The report proves nothing, and why."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one test."""

    id: str
    """`path/to/test_x.py::Class::test_name[param]`; for `collection` the path of what could not be collected."""
    state: State
    message: str = ""
    path: str = ""
    line: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read(data: bytes, paths: Iterable[str], *, subtests: bool = False) -> tuple[Result, ...]:
    """Give one result for each test id; `paths` are the files of the tree, which the ids are spelled with.

    With `subtests` the report may count more tests than it has cases: pytest counts those that passed.
    """
    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UnusableReportError(f"it is not well-formed XML ({error})") from error
    suites = list(root.iter("testsuite"))
    if not suites:
        raise UnusableReportError("it has no <testsuite>")
    for suite in suites:
        _check_totals(suite, subtests=subtests)
    spelling = _Spelling(paths)
    cases = (_result(case, spelling) for suite in suites for case in suite.findall("testcase"))
    worst: dict[str, Result] = {}
    for case in cases:
        if case.id not in worst or _WORST.index(case.state) < _WORST.index(worst[case.id].state):
            worst[case.id] = case
    return tuple(worst.values())


def _check_totals(suite: Element, *, subtests: bool) -> None:
    cases = suite.findall("testcase")
    found = Counter(child.tag for case in cases for child in case)
    for attribute, tag in _COUNTED.items():
        if attribute in suite.attrib and _number(suite, attribute) != found[tag]:
            raise UnusableReportError(f"it counts {suite.get(attribute)} {attribute} but lists {found[tag]}")
    nested = any(child.tag == "testsuite" for child in suite)
    if "tests" not in suite.attrib or nested:
        return
    counted = _number(suite, "tests")
    # pytest lists a test that fails and whose teardown fails too as two cases, and counts it once
    if counted < len(cases) - found["error"] or (counted > len(cases) + found["error"] and not subtests):
        raise UnusableReportError(f"it counts {counted} tests but lists {len(cases)}")


def _number(suite: Element, attribute: str) -> int:
    text = suite.get(attribute, "")
    if not re.fullmatch(r"\d{1,9}", text):
        raise UnusableReportError(f"its {attribute} are {text!r}, not a number")
    return int(text)


def _result(case: Element, spelling: _Spelling) -> Result:
    identity = spelling.id_of(case)
    trouble = next((child for child in case if child.tag in {"error", "failure"}), None)
    if trouble is not None:
        return _trouble(case, trouble, identity)
    skipped = case.find("skipped")
    if skipped is None:
        return Result(id=identity, state="passed")
    state: State = "xfailed" if "xfail" in skipped.get("type", "") else "skipped"
    return Result(id=identity, state=state, message=_short(skipped.get("message", "")))


def _trouble(case: Element, trouble: Element, identity: str) -> Result:
    state: State = "failed" if trouble.tag == "failure" else "error"
    if trouble.get("message") == "collection failure" and not case.get("classname"):
        state = "collection"
    text = trouble.text or ""
    places = list(_PLACE.finditer(text))
    path, line = (places[-1]["path"], int(places[-1]["line"])) if places else (case.get("file", ""), 0)
    message = _last_error(text) if state == "collection" else _short(trouble.get("message") or text)
    return Result(id=identity, state=state, message=message, path=path, line=line)


def _short(text: str) -> str:
    """Keep the first line of a message and, where there are more, its last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:400]


def _last_error(text: str) -> str:
    errors = [line.removeprefix("E").strip() for line in text.splitlines() if line.startswith("E ")]
    return (errors or [_short(text)])[-1][:400]


class _Spelling:
    """Turns class names back into ids: pytest writes `tests.test_x.TestA` for `tests/test_x.py::TestA`."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._files = {re.sub(r"\.py$", "", path.replace("/", ".")): path for path in sorted(paths, reverse=True)}

    def id_of(self, case: Element) -> str:
        dotted, name = case.get("classname", ""), case.get("name", "")
        if not dotted:
            return self._files.get(name, case.get("file") or name)
        for head, tail in _splits(dotted):
            if path := self._files.get(head):
                return "::".join([path, *([tail.replace(".", "::")] if tail else []), name])
        return f"{dotted}::{name}"


def _splits(dotted: str) -> Iterator[tuple[str, str]]:
    """Cut at each dot, the longest head first."""
    head, tail = dotted, ""
    while head:
        yield head, tail
        head, _, last = head.rpartition(".")
        tail = f"{last}.{tail}" if tail else last
