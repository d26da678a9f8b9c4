"""SARIF 2.1 from tools that are not trusted: the results that say something is wrong, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from gates.testing.junit import UnusableReportError

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG = frozenset({"error", "warning"})
SHOWN = 400
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Result:
    rule: str
    level: str
    """`error` or `warning`; notes and what is suppressed are not given."""
    message: str
    path: str
    line: int


def read(data: bytes) -> tuple[Result, ...]:
    """Give the results that are errors or warnings; raise UnusableReportError for what is no complete SARIF."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableReportError(f"its report is not JSON ({error})") from error
    runs = _items(_checked(document, dict), "runs")
    if not runs:
        raise UnusableReportError("its report lists no run of a tool")
    return tuple(result for run in runs for result in _results(_checked(run, dict)))


def _results(run: dict[str, Any]) -> Iterator[Result]:
    for invocation in _items(run, "invocations"):
        if _checked(invocation, dict).get("executionSuccessful") is False:
            raise UnusableReportError("its report says that the tool did not run to its end")
    driver = _object(_object(run, "tool"), "driver")
    rules = [_checked(rule, dict) for rule in _items(driver, "rules")]
    for result in _items(run, "results"):
        told = _result(_checked(result, dict), rules)
        if told.level in WRONG and not _excused(result):
            yield told


def _result(result: dict[str, Any], rules: list[dict[str, Any]]) -> Result:
    name, rule = _rule(result, rules)
    path, line = _place(result)
    message = _object(result, "message")
    text = _part(message, "text", "") or _part(message, "markdown", "") or name
    default = _part(_object(rule, "defaultConfiguration"), "level", "warning")
    return Result(
        rule=name[:100],
        level=_part(result, "level", default),
        message=" ".join(text.split())[:SHOWN],
        path=path,
        line=line,
    )


def _rule(result: dict[str, Any], rules: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    reference = _object(result, "rule")
    name = _part(result, "ruleId", "") or _part(reference, "id", "")
    index = result.get("ruleIndex", reference.get("index", -1))
    if isinstance(index, int) and 0 <= index < len(rules):
        return name or _part(rules[index], "id", ""), rules[index]
    return name, next((rule for rule in rules if rule.get("id") == name), {})


def _place(result: dict[str, Any]) -> tuple[str, int]:
    for location in _items(result, "locations")[:1]:
        physical = _object(_checked(location, dict), "physicalLocation")
        uri = _part(_object(physical, "artifactLocation"), "uri", "")
        return unquote(urlsplit(uri).path if uri.startswith("file:") else uri), _part(
            _object(physical, "region"), "startLine", 0
        )
    return "", 0


def _excused(result: dict[str, Any]) -> bool:
    """Say whether the result was looked at already: suppressed and not disputed, or of a kind that accuses nobody."""
    given = [_checked(one, dict) for one in _items(result, "suppressions")]
    open_ = {"rejected", "underReview"}
    suppressed = bool(given) and all(one.get("status", "accepted") not in open_ for one in given)
    return suppressed or _part(result, "kind", "fail") != "fail"


def _object(of: dict[str, Any], key: str) -> dict[str, Any]:
    return _part(of, key, dict[str, Any]())


def _items(of: dict[str, Any], key: str) -> list[Any]:
    return _part(of, key, list[Any]())


def _part(of: dict[str, Any], key: str, default: T) -> T:
    """Give the value of the key, which has the default's type, or the default where it has none."""
    value = of.get(key)
    return default if value is None else _checked(value, type(default))


def _checked(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UnusableReportError(f"its report is not SARIF: {kind.__name__} was expected, not {str(value)[:60]!r}")
    return value
