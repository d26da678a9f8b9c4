"""Cases of the gate `checks`."""

from __future__ import annotations

import json
from typing import Any

from gates.example import Example

BASE = {"a.txt": "fine\n", "sub/b.txt": "fine\n", "lint.sh": "grep -nH bad a.txt sub/b.txt && exit 1; exit 0\n"}
LINT = ("sh", "lint.sh")
PATTERN = r"^(?P<path>[^:]+):(?P<line>\d+):(?P<message>.*)$"
TODAY = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": []}]}
SUITE = '<testsuite tests="1" failures="{0}"><testcase name="t" classname="s">{1}</testcase></testsuite>\n'


def _check(*run: str, **more: Any) -> dict[str, Any]:
    return {"checks": ({"name": "own", "run": run, **more},)}


def _sarif(level: str, text: str = "no good", uri: str = "a.txt") -> str:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
    result = {"ruleId": "R1", "level": level, "message": {"text": text}, "locations": [place]}
    return json.dumps({**TODAY, "runs": [{"tool": {"driver": {"name": "t"}}, "results": [result]}]})


def _reporting(parser: str, code: int = 0) -> dict[str, Any]:
    """A check whose report is the file `said` of the tree, and which ends with this code."""
    return _check("sh", "-c", f"cp said report; exit {code}", parser=parser, report="report")


def _case(name: str, change: dict[str, str | None], policy: dict[str, Any], **more: Any) -> Example:
    return Example(name=name, change=change, policy=policy, runs=True, **{"base": BASE, **more})


CASES = (
    _case("the check fails", {"a.txt": "bad\n"}, _check(*LINT), expects=("checks.own",)),
    _case(
        "two lines that its pattern finds",
        {"a.txt": "bad\nbad too\n"},
        _check(*LINT, parser="regex", pattern=PATTERN),
        expects=("checks.own", "checks.own"),
    ),
    _case(
        "its pattern finds something, and its exit code is 0",
        {"a.txt": "bad\n"},
        _check(
            "grep", "-nH", "ba", "a.txt", parser="regex", pattern=r"^(?P<path>[^:]+):(?P<line>\d+):(?P<message>bad)"
        ),
        expects=("checks.own",),
    ),
    _case(
        "an error in SARIF beside exit code 0",
        {"said": _sarif("error")},
        _reporting("sarif"),
        expects=("checks.own.R1",),
    ),
    _case(
        "a warning in SARIF that the exit code confirms",
        {"said": _sarif("warning")},
        _reporting("sarif", 1),
        expects=("checks.own.R1",),
    ),
    _case(
        "an empty report beside exit code 2",
        {"said": json.dumps(TODAY)},
        _reporting("sarif", 2),
        expects=("checks.own",),
    ),
    _case(
        "a failed test in JUnit beside exit code 0",
        {"said": SUITE.format(1, '<failure message="no"/>')},
        _reporting("junit"),
        expects=("checks.own",),
    ),
    _case(
        "red on the base as well still blocks",
        {"sub/b.txt": "fine, too\n"},
        _check(*LINT),
        base={**BASE, "a.txt": "bad\n"},
        expects=("checks.own",),
    ),
    _case(
        "something new beside what is old",
        {"a.txt": "bad\nbad as well\n"},
        _check(*LINT, parser="regex", pattern=PATTERN),
        base={**BASE, "a.txt": "bad\n"},
        expects=("checks.own", "checks.own"),
    ),
    _case(
        "the working folder removed",
        {"sub/b.txt": None},
        _check("ls", cwd="sub"),
        expects=("checks.own",),
    ),
    _case(
        "no report beside exit code 0",
        {"a.txt": "x\n"},
        _check("echo", "x", parser="sarif", report="r"),
        undecided="it wrote no report",
    ),
    _case(
        "a report that the tree brought along",
        {"report": json.dumps(TODAY)},
        _check("ls", parser="sarif", report="report"),
        undecided="it wrote no report",
    ),
    _case("a JUnit report without a test", {"said": "<testsuite/>\n"}, _reporting("junit"), undecided="lists no test"),
    _case("a program that is not there", {"a.txt": "x\n"}, _check("no-such-tool"), undecided="was not found"),
    _case("a working folder that never was", {"a.txt": "x\n"}, _check("ls", cwd="gone"), undecided="not in this tree"),
    _case(
        "a check that does not end", {"a.txt": "x\n"}, _check("sleep", "60", timeout_s=0.3), undecided="still running"
    ),
    _case("all is well", {"a.txt": "fine as well\n"}, _check(*LINT)),
    _case("all is well in a folder of its own", {"a.txt": "x\n"}, _check("grep", "fine", "b.txt", cwd="sub")),
    _case("a warning in SARIF that the exit code does not confirm", {"said": _sarif("warning")}, _reporting("sarif")),
    _case("a note in SARIF", {"said": _sarif("note")}, _reporting("sarif")),
    _case("a green JUnit report", {"said": SUITE.format(0, "")}, _reporting("junit")),
    _case("an advisory check that fails", {"a.txt": "bad\n"}, _check(*LINT, required=False)),
    _case("an advisory check that is not there", {"a.txt": "x\n"}, _check("no-such-tool", required=False)),
    _case("a repository without checks", {"a.txt": "bad\n"}, {}),
)
