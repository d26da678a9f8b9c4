"""What a ticket raises reaches the lead, and what the lead decides is held to the rules of a plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import POLICY, ticket
from memory.events import read
from orchestrator.lead.followups import (
    DECIDED,
    HEAD,
    NOTHING,
    Reported,
    added_since,
    consult,
    raised_in,
    with_granted_paths,
)
from orchestrator.workspace import Workspace
from tickets.grants import Grant
from tickets.plan import read_plan
from tickets.states import State

if TYPE_CHECKING:
    from demo_project import Demo
    from memory.records import TicketRow
    from orchestrator.lead.followups import Decision

ASKED = "## Summary\n\nx\n\n## Questions\n\n- May I rename `one`?\n\n## Out-of-Scope Issues Found\n\nnone\n"
C = ticket("c", new="src/c.py", accept="import c")


def started(demo: Demo, *answers: object, planning: str = "") -> tuple[Workspace, TicketRow]:
    """A feature with the tickets a and b, and a lead that decides as told."""
    policy = POLICY.replace('lead = "actor"\n', f'lead = "actor"\n{planning}')
    demo.commit(**{"orchestrate.toml": policy, "script.yaml": json.dumps({"follow_up": list(answers)})})
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    tickets = [ticket("a", new="src/a.py", accept="import a"), ticket("b", new="src/b.py", accept="import b")]
    plan = read_plan(json.dumps({"request": "two modules", "tickets": tickets}), "plan", max_tickets=2)
    feature = workspace.records.add_feature("two modules", options={}, target="main", before=workspace.head())
    workspace.records.set_plan(feature, plan)
    return workspace, workspace.records.ticket("T-0001")


def asked(
    workspace: Workspace, row: TicketRow, *, report: str = ASKED, attempt: int = 1, passed: bool = False
) -> Decision:
    return consult(workspace, row, Reported(text=report, attempt=attempt, passed=passed))


def said(workspace: Workspace) -> list[str]:
    return [event.data["said"] for event in read(workspace.database) if event.kind == DECIDED]


# what speaks to the lead


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "None.",
        "- none",
        "_None known._",
        "No issues found.",
        "n/a",
        "-",
        "Nothing out of scope was found",
        "No further questions.",
    ],
)
def test_a_section_that_says_that_there_is_nothing_speaks_to_nobody(text: str) -> None:
    assert raised_in(f"## Questions\n\n{text}\n\n## Out-of-Scope Issues Found\n\n{text}\n") == ""


@pytest.mark.parametrize(
    "text",
    [
        "No tests cover the parser",
        "Nothing checks the key",
        "none of the callers close it",
        "rename it",
        "no: see src/lib.py",
    ],
)
def test_a_section_that_says_anything_else_does(text: str) -> None:
    assert (
        raised_in(f"## Questions\nnone\n## Out-of-Scope Issues Found\n{text}\n")
        == f"## Out-of-scope issues found\n\n{text}"
    )


def test_nobody_is_asked_where_nothing_was_raised_or_nobody_may_be(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "answer", "text": "yes"}, planning='follow_up = "never"\n')
    assert asked(workspace, row) == NOTHING
    assert asked(workspace, row, report="## Summary\nx\n") == NOTHING
    assert said(workspace) == []


def test_recipes_are_no_lead_that_could_answer(demo: Demo) -> None:
    demo.commit(**{"orchestrate.toml": "version = 1\n"})
    workspace, row = started(demo)
    demo.write("orchestrate.toml", "version = 1\n")
    assert asked(Workspace.open(demo.root), row) == NOTHING
    assert said(workspace) == []


# decisions


def test_an_answer_becomes_a_revision_of_the_ticket_and_stands_in_its_file(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "answer", "text": "Yes, call it `uno`.", "why": "it is internal"})
    decision = asked(workspace, row)
    assert (decision.choice, decision.waits) == ("answer", "")
    now = workspace.records.ticket("T-0001")
    assert (now.revision, now.record.context) == (2, f"{HEAD}\n\nYes, call it `uno`.")
    (file,) = (demo.root / ".orchestrate/tickets").glob("T-0001-*.md")
    assert "call it `uno`" in file.read_text(encoding="utf-8")
    log = (demo.root / ".orchestrate/features/F-0001/progress.md").read_text(encoding="utf-8")
    assert "T-0001 attempt 1 asked the lead: answer: it is internal" in log


def test_a_wider_scope_is_a_persons_to_grant_and_the_ticket_waits(demo: Demo) -> None:
    workspace, row = started(
        demo, {"decision": "widen", "paths": ["src/lib.py", "src/new.py"], "why": "it belongs there"}
    )
    decision = asked(workspace, row)
    rows = workspace.grants.of("T-0001")
    assert [(one.kind, one.subject, one.bound, one.state, one.why) for one in rows] == [
        ("scope", "src/lib.py", "modified", "waiting", "it belongs there"),
        ("scope", "src/new.py", "added", "waiting", "it belongs there"),
    ]
    assert decision.waits == "waits for a person: G-0001, G-0002 (scope); next: orchestrate approve G-0001 --reason WHY"


def test_an_agent_may_write_what_was_granted_and_nothing_else(demo: Demo) -> None:
    _, row = started(demo)
    given = {"id": "G-0001", "identity": "x", "person": "Ada", "reason": "y", "expires_at": "2999-01-01T00:00:00+00:00"}
    path = Grant(kind="scope", subject="src/lib.py", **given)
    blanket = Grant(kind="size", subject="any size change of this ticket", **given)
    over = Grant(kind="scope", subject="src/x.py", **{**given, "expires_at": "2000-01-01T00:00:00+00:00"})
    assert with_granted_paths(row.record, [path, blanket, over]).scope.allowed == ("src/lib.py", "src/a.py")
    assert with_granted_paths(row.record, [blanket, over]) is row.record


def test_further_tickets_get_ids_follow_what_overlaps_and_wait_to_be_started(demo: Demo) -> None:
    wide = ticket(
        "d", new="x", accept="import d", scope={"new": ["src/d.py"], "write": ["src/lib.py"]}, depends_on=["c"]
    )
    over = ticket("e", new="x", accept="import e", scope={"new": ["src/a.py"]})
    workspace, row = started(demo, {"decision": "add", "tickets": [C, wide, over]})
    assert asked(workspace, row).tickets == ("T-0003", "T-0004", "T-0005")
    added = [workspace.records.ticket(name).record.depends_on for name in ("T-0003", "T-0004", "T-0005")]
    assert added == [(), ("T-0003",), ("T-0001",)]
    assert added_since(workspace, "F-0001", ["T-0001", "T-0002"]) == ["T-0003", "T-0004", "T-0005"]
    workspace.records.move("T-0003", State.ABANDONED)
    assert added_since(workspace, "F-0001", ["T-0001", "T-0002", "T-0005"]) == ["T-0004"]
    assert len(list((demo.root / ".orchestrate/tickets").glob("T-000[345]-*.md"))) == 3


def test_a_split_says_what_is_left_for_the_ticket(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "split", "tickets": [C], "text": "Leave c out."})
    assert asked(workspace, row).tickets == ("T-0003",)
    assert workspace.records.ticket("T-0001").record.context == f"{HEAD}\n\nLeave c out.\n(parts of it are T-0003 now)"


def test_the_same_attempt_is_asked_about_once(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "add", "tickets": [C]})
    assert asked(workspace, row) == asked(workspace, row)
    assert len(workspace.records.tickets("F-0001")) == 3
    assert len(said(workspace)) == 1


def test_a_feature_asks_its_lead_so_many_times(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "nothing", "why": "fine"}, planning="max_follow_ups = 2\n")
    for attempt in range(1, 5):
        assert asked(workspace, row, attempt=attempt).choice == "nothing"
    assert said(workspace) == [f"T-0001 attempt {number} asked the lead: nothing: fine" for number in (1, 2)]


@pytest.mark.parametrize(
    ("answer", "saying"),
    [
        ("I do not know.", "expected a mapping with `decision:`"),
        ({"decision": "panic"}, "decision: expected"),
        ({"decision": "answer"}, "text: expected something here, because the decision is `answer`"),
        ({"decision": "widen", "paths": ["src/**"]}, "expected a single file that nobody protects, not 'src/**'"),
        ({"decision": "widen", "paths": ["orchestrate.toml"]}, "that nobody protects, not 'orchestrate.toml'"),
        ({"decision": "widen", "paths": ["../x"]}, "a path inside the repository"),
        ({"decision": "add", "tickets": []}, "tickets: expected something here"),
        ({"decision": "add", "tickets": [{**C, "scope": {"new": ["**"]}}]}, "which is everything"),
        ({"decision": "add", "tickets": [{**C, "acceptance": []}]}, "expected at least one command"),
        ({"decision": "add", "tickets": [{**C, "depends_on": ["T-0099"]}]}, "not 'T-0099'"),
        ({"decision": "add", "tickets": [{**C, "key": f"k{n}"} for n in range(9)]}, "expected at most 8 tickets"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_changes_nothing(demo: Demo, answer: Any, saying: str) -> None:
    workspace, row = started(demo, answer)
    assert asked(workspace, row).choice == "nothing"
    (line,) = said(workspace)
    assert line.startswith("T-0001 attempt 1 asked the lead: the lead's decision could not be used: ")
    assert saying in line
    assert workspace.records.ticket("T-0001").revision == 1
    assert len(workspace.records.tickets("F-0001")) == 2
    assert workspace.grants.of("T-0001") == []


@pytest.mark.parametrize("choice", ["answer", "widen", "split"])
def test_what_passed_its_gates_stays_as_it_is(demo: Demo, choice: str) -> None:
    workspace, row = started(demo, {"decision": choice, "text": "x", "paths": ["src/lib.py"], "tickets": [C]})
    assert asked(workspace, row, passed=True).choice == "nothing"
    assert "the change has passed already" in said(workspace)[0]


def test_new_work_can_follow_what_passed(demo: Demo) -> None:
    workspace, row = started(demo, {"decision": "add", "tickets": [C]})
    assert asked(workspace, row, passed=True).tickets == ("T-0003",)
