"""Whole runs in which tickets raise something and the lead decides: an answer, a further ticket, a wider scope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.long]
REPORT = (
    "## Summary\nx\n## Files Changed\n- {files}\n## Verification\nnone\n## Risks / Edge Cases\nnone\n"
    "## Questions\n{asks}\n## Out-of-Scope Issues Found\n{found}\n"
)
A = ticket("a", new="src/a.py", accept="import a; assert a.X == 1")
ASKS = [{"report": REPORT.format(files="none", asks="- Which value should X have?", found="none")}]
HONEST = writes("src/a.py", "X = 1\n")


def prepare(demo: Demo, decision: dict[str, Any], steps: dict[str, list[list[dict[str, Any]]]]) -> None:
    acts = json.loads(script([A], steps))
    demo.commit(**{"script.yaml": json.dumps({**acts, "follow_up": [decision]})})


def test_an_answer_reaches_the_next_attempt(demo: Demo) -> None:
    prepare(demo, {"decision": "answer", "text": "X is 1."}, {"add a": [ASKS, HONEST]})
    outcome = demo.feature("one module", exits=0)
    assert outcome["tickets"][0]["attempts"] == 2
    assert "X is 1." in demo.orchestrate("tickets", "show", "T-0001", exits=0).stdout


def test_a_ticket_that_is_added_in_a_run_lands_in_it(demo: Demo) -> None:
    found = {"report": REPORT.format(files="src/a.py", asks="none", found="- nobody wrote c")}
    steps = {"add a": [[HONEST[0], found]], "add c": [writes("src/c.py", "X = 3\n")]}
    prepare(demo, {"decision": "add", "tickets": [ticket("c", new="src/c.py", accept="import c")]}, steps)
    outcome = demo.feature("one module", exits=0)
    assert [one["state"] for one in outcome["tickets"]] == ["landed", "landed"]
    assert demo.git("show", "main:src/c.py") == "X = 3"


def test_a_wider_scope_waits_for_a_person_and_is_used_once_it_was_given(demo: Demo) -> None:
    more = {"append": {"path": "src/lib.py", "text": "\n\ndef two() -> int:\n    return 2\n"}}
    prepare(demo, {"decision": "widen", "paths": ["src/lib.py"]}, {"add a": [ASKS, [HONEST[0], more, HONEST[1]]]})
    assert "G-0001" in demo.feature("one module", exits=3)["tickets"][0]["reason"]
    demo.orchestrate("approve", "G-0001", "--reason", "fine", exits=0)
    assert "def two" in demo.git("show", "main:src/lib.py")
