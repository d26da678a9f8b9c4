"""Cases of the gate `audit`."""

from __future__ import annotations

import json
from typing import Any

from gates.example import Example
from gates.protocol import Audit

BASE = {"src/a.py": "def a(x):\n    return x\n", "src/b.py": "b = 1\n", "src/c.py": "c = 1\n"}
CHANGE = {"src/a.py": "def a(x):\n    # fast\n    return 1\n", "src/b.py": "b = 2\n", "src/c.py": "c = 2\n"}
AUDITOR = {
    "agents": {"reader": {"kind": "command", "command": ("reader",)}},
    "roles": {"auditor": "reader"},
}
REAL: dict[str, Any] = {
    "path": "src/a.py",
    "line": 3,
    "quote": "return 1",
    "severity": "blocker",
    "claim": "gives 1 whatever it is given",
    "why": "the argument is not read",
}
CONFIRMED, REFUTED = ({"index": 0, "verdict": verdict, "because": "I looked"} for verdict in ("confirmed", "refuted"))


def _finding(**other: object) -> dict[str, Any]:
    return {**REAL, **other}


def _said(*findings: object, review: tuple[object, ...] = (CONFIRMED,), missed: tuple[object, ...] = ()) -> Audit:
    return Audit(
        tree="@",
        agent="reader",
        findings=json.dumps({"findings": findings}),
        review=json.dumps({"findings": review, "missed": missed}),
    )


def _case(name: str, audit: Audit | None, **more: Any) -> Example:
    return Example(name=name, audit=audit, **{"base": BASE, "change": CHANGE, "policy": AUDITOR, "attempt": 1, **more})


NOTHING = _said(review=())
PROSE = Audit(tree="@", agent="reader", findings="Looks good to me!", review="{}")
ELSEWHERE = Audit(tree="0" * 40, agent="reader", findings=NOTHING.findings, review=NOTHING.review)
CASES = (
    _case("a blocker that quotes a real line", _said(REAL), expects=("audit.blocker",)),
    _case("something major is enough", _said(_finding(severity="major")), expects=("audit.major",)),
    _case("the line is some lines off", _said(_finding(line=90)), expects=("audit.blocker",)),
    _case("what only the second phase saw", _said(review=(), missed=(REAL,)), expects=("audit.blocker",)),
    _case(
        "two findings, one of them made up",
        _said(REAL, _finding(quote="return 17"), review=(CONFIRMED, {**CONFIRMED, "index": 1})),
        expects=("audit.blocker",),
    ),
    _case("a quote of two lines", _said(_finding(quote="# fast\n    return 1")), expects=("audit.blocker",)),
    _case("no answer at all", None, undecided="no auditor has answered"),
    _case("prose instead of an answer", PROSE, undecided="its first phase has not the form"),
    _case("a second phase that passes over a finding", _said(REAL, review=()), undecided="not each of the 1 once"),
    _case("a severity of its own making", _said(_finding(severity="nitpick")), undecided="its first phase has not"),
    _case("an answer about another tree", ELSEWHERE, undecided="was shown another tree"),
    _case("nothing found", NOTHING),
    _case("a quote that stands nowhere", _said(_finding(quote="return 2"))),
    _case("a quote of what the change has removed", _said(_finding(quote="return x"))),
    _case("a quote from a file that is not there", _said(_finding(path="src/gone.py"))),
    _case("an empty quote", _said(_finding(quote=" "))),
    _case("a part of a line", _said(_finding(quote="return"))),
    _case("a path that leaves the tree", _said(_finding(path="../src/a.py"))),
    _case("a finding that the second phase refuted", _said(REAL, review=(REFUTED,))),
    _case("something minor", _said(_finding(severity="minor"))),
    _case("two files are too few to be audited", None, change={"src/a.py": CHANGE["src/a.py"], "src/b.py": "b = 2\n"}),
    _case("no auditor is named", None, policy={}),
    _case("a person at work, not an agent", None, attempt=0),
    _case("audits are switched off", None, policy={**AUDITOR, "audit": {"when": "never"}}),
)
