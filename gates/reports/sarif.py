"""The report as SARIF 2.1.0 (an OASIS standard), for editors and code scanning."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gates.reports.words import Report, blocking, headline, permission, presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "SRCROOT"
_LEVELS = {"fail": "error", "inconclusive": "warning", "pass": "note"}
Json = dict[str, Any]


def render_sarif(report: Report) -> str:
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}, indent=2)


def _run(report: Report) -> Json:
    shown = presentable(report)
    rules = list(_rules(shown))
    index = {rule["id"]: at for at, rule in enumerate(rules)}
    driver = {"name": "Signalbox", "version": version("signalbox"), "rules": rules}
    subject = report["ticket"] or "tree"
    return {
        "tool": {"driver": driver},
        "automationDetails": {
            "id": f"signalbox/{subject}/{report['pass']}/attempt-{report['attempt']}",
            "description": _text(headline(shown)),
        },
        "invocations": [_invocation(shown, index)],
        "originalUriBaseIds": {ROOT: {"description": _text("The root of the repository that was judged.")}},
        "columnKind": "unicodeCodePoints",
        "language": "en",
        "results": list(_results(report, index)),
        "properties": {name: report[name] for name in ("ticket", "attempt", "pass", "base", "tree", "verdict")},
    }


def _text(words: str) -> Json:
    return {"text": words}


# rules


def _rules(report: Report) -> Iterator[Json]:
    """Give a rule for each one that was broken, and one for each gate that only said something as a whole."""
    seen: set[str] = set()
    for gate in report["gates"]:
        for name in [finding["rule"] for finding in gate["findings"]] or [gate["name"]]:
            if name not in seen and (gate["findings"] or gate["verdict"] != "pass"):
                seen.add(name)
                yield _rule(name, gate)


def _rule(name: str, gate: Json) -> Json:
    words = re.sub(r"[^\w]+", " ", name.removeprefix(f"{gate['name']}.")).strip()
    short = f"{gate['name']}: {words}" if words and words != gate["name"] else f"The gate {gate['name']}"
    full = gate["rule"] or f"The gate {gate['name']} holds every change to this rule."
    return {
        "id": name,
        "shortDescription": _text(short),
        "fullDescription": _text(full),
        "help": {"text": full, "markdown": full},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": [gate["name"]]},
    }


# results


def _results(report: Report, index: dict[str, int]) -> Iterator[Json]:
    seen: Counter[str] = Counter()
    shown = presentable(report)
    for raw, gate in zip(report["gates"], shown["gates"], strict=True):
        for path, finding in zip((one["path"] for one in raw["findings"]), gate["findings"], strict=True):
            mark = _mark(finding)
            seen[mark] += 1
            yield _result(gate, finding, index) | _place(path, finding) | {"partialFingerprints": _print(mark, seen)}
        if gate["verdict"] != "pass" and not gate["findings"]:
            yield {**_head(gate["name"], _LEVELS[gate["verdict"]], index), "message": _text(gate["reason"])}


def _head(rule: str, level: str, index: dict[str, int]) -> Json:
    return {"ruleId": rule, "ruleIndex": index[rule], "level": level}


def _result(gate: Json, finding: Json, index: dict[str, int]) -> Json:
    figures = f" Allowed: {finding['limit']}; found: {finding['actual']}." if finding["limit"] else ""
    said = permission(finding)
    message = f"{finding['message']}{figures}" + (f" ({said})" if said else "")
    level = "note" if finding["granted"] else _LEVELS[gate["verdict"]]
    result = {**_head(finding["rule"], level, index), "message": _text(message)}
    if finding["granted"]:
        lifted = {"kind": "external", "status": "accepted", "justification": f"permitted by {finding['granted']}"}
        result["suppressions"] = [lifted]
    return result


def _place(path: str, finding: Json) -> Json:
    """Say where, by the path as git knows it, byte by byte."""
    if not path:
        return {}
    uri = quote(os.fsencode(path), safe="/")
    artifact = {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": ROOT}
    place: Json = {"artifactLocation": artifact}
    if finding["line"] > 0:
        place["region"] = {"startLine": finding["line"]}
    return {"locations": [{"physicalLocation": place}]}


def _mark(finding: Json) -> str:
    """Identify a finding by all that stays when lines move: figures and line numbers in its words do not count."""
    parts = (finding["rule"], finding["path"], re.sub(r"\d+", "#", finding["message"]))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _print(mark: str, seen: Counter[str]) -> dict[str, str]:
    return {"signalboxFinding/v1": f"{mark}:{seen[mark]}"}


# the run itself


def _invocation(report: Report, index: dict[str, int]) -> Json:
    undecided = [gate for gate in blocking(report) if gate["verdict"] == "inconclusive"]
    return {
        "executionSuccessful": not undecided,
        "endTimeUtc": report["created_at"].replace("+00:00", "Z"),
        "toolExecutionNotifications": [_notification(gate, index) for gate in undecided],
    }


def _notification(gate: Json, index: dict[str, int]) -> Json:
    said = {"level": "warning", "message": _text(f"{gate['name']} could not judge: {gate['reason']}")}
    rule = gate["name"]
    return {**said, "associatedRule": {"id": rule, "index": index[rule]}} if rule in index else said
