"""A plan as a whole: from each requirement to a command that proves it and back, what comes first, what it comes to."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tickets.errors import FileError
from tickets.plan import Plan, read_plan, settled
from tickets.plans.page import HEAD, as_yaml, page
from tickets.plans.questions import DECIDED, as_asked, recorded, unanswered
from tickets.plans.review import Prices, review

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickets.model import Draft

    MakeDraft = Callable[..., dict[str, Any]]
    MakeTwo = Callable[..., list[dict[str, Any]]]

R1, R2 = {"id": "R1", "text": "one thing"}, {"id": "R2", "text": "another thing"}


def shared(draft: Draft) -> str:
    return "changes what all rely on" if draft.interfaces else ""


def made(*tickets: dict[str, Any], **more: object) -> Plan:
    text = json.dumps({"request": "r", "tickets": tickets, **more})
    return read_plan(text, "plan", max_tickets=10, first=shared)


def refused(*tickets: dict[str, Any], **more: object) -> list[tuple[str, str]]:
    with pytest.raises(FileError) as caught:
        made(*tickets, **more)
    return [(problem.key, problem.expected) for problem in caught.value.problems]


@pytest.fixture
def two(draft: MakeDraft) -> MakeTwo:
    """Tickets a and b, which write different files."""

    def make(a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        return [draft(**(a or {})), draft(**{"key": "b", "scope": {"new": ["src/b.py"]}, **(b or {})})]

    return make


# requirement → ticket → acceptance, and back


def test_a_plan_whose_requirements_are_all_met_is_taken(two: MakeTwo) -> None:
    plan = made(*two({"meets": ["R1"]}, {"meets": ["R2", "R1"]}), requirements=[R1, R2])
    assert [draft.meets for draft in plan.tickets] == [("R1",), ("R2", "R1")]


def test_all_breaks_of_the_trace_are_told_at_once(two: MakeTwo) -> None:
    found = refused(*two({"meets": ["R1", "R9"]}), requirements=[R1, R2, R1])
    assert [key for key, _ in found] == ["requirements.1", "requirements.2.id", "tickets.0.meets", "tickets.1.meets"]
    assert "a ticket that meets R2" in found[0][1]
    assert "expected one of R1, R2, R1, not 'R9'" in found[2][1]
    assert "nobody asked for what meets no requirement" in found[3][1]


def test_a_ticket_meets_nothing_where_no_requirement_is_named(draft: MakeDraft) -> None:
    assert refused(draft(meets=["R1"])) == [
        ("tickets.0.meets", "expected a requirement under `requirements`, not 'R1'")
    ]


def test_a_requirement_has_an_id_of_its_form(draft: MakeDraft) -> None:
    assert refused(draft(meets=["first"]), requirements=[{"id": "first", "text": "x"}])[0][0] == "requirements.0.id"


# what comes first


def test_what_others_rely_on_comes_before_everything_else(two: MakeTwo) -> None:
    plan = made(*two(None, {"interfaces": True}))
    assert plan.waves == [["b"], ["a"]]
    assert plan.notes == ("b comes first: it changes what all rely on",)
    assert settled(plan, first=shared) == plan


def test_tickets_that_come_first_go_one_after_another(two: MakeTwo) -> None:
    plan = made(*two({"interfaces": True}, {"interfaces": True}), two()[1] | {"key": "c", "scope": {"new": ["c"]}})
    assert plan.waves == [["a"], ["b"], ["c"]]


def test_an_order_among_them_that_the_plan_names_stays(two: MakeTwo) -> None:
    plan = made(*two({"interfaces": True, "depends_on": ["b"]}, {"interfaces": True}))
    assert plan.waves == [["b"], ["a"]]


def test_what_comes_first_waits_for_nothing_that_does_not(two: MakeTwo) -> None:
    ((key, expected),) = refused(*two(None, {"interfaces": True, "depends_on": ["a"]}))
    assert key == "tickets.1.depends_on"
    assert expected.startswith("expected b to come first, because it changes what all rely on; it waits for a (")


def test_an_overlap_with_what_comes_first_follows_the_same_order(two: MakeTwo) -> None:
    scope = {"new": ["src/**"]}
    plan = made(*two({"scope": scope}, {"scope": scope, "interfaces": True}))
    assert plan.waves == [["b"], ["a"]]
    assert len(plan.notes) == 1


def test_tickets_that_stand_already_can_be_waited_for(draft: MakeDraft) -> None:
    text = json.dumps({"request": "r", "tickets": [draft(depends_on=["T-0007"])]})
    plan = read_plan(text, "plan", max_tickets=1, known=["T-0007"])
    assert plan.tickets[0].depends_on == ("T-0007",)
    assert plan.waves == [["a"]]
    with pytest.raises(FileError, match="a key of this plan, not 'T-0007'"):
        read_plan(text, "plan", max_tickets=1)


# what it comes to


def test_the_critical_path_is_the_longest_in_minutes(two: MakeTwo) -> None:
    a, b = two({"estimate": {"minutes": 5}}, {"estimate": {"minutes": 30}})
    c = a | {"key": "c", "scope": {"new": ["c"]}, "depends_on": ["a"], "estimate": {"minutes": 10}}
    seen = review(made(a, b, c), Prices())
    assert (seen.waves, seen.critical_path, seen.length, seen.timed) == ((("a", "b"), ("c",)), ("b",), 30, True)
    assert seen.path == "b (30 minutes)"


def test_without_an_estimate_of_each_ticket_the_path_is_counted_in_tickets(
    two: MakeTwo,
) -> None:
    a, b = two({"estimate": {"minutes": 500}})
    c = b | {"key": "c", "scope": {"new": ["c"]}, "depends_on": ["b"]}
    assert review(made(a, b, c), Prices()).path == "b -> c (2 tickets)"


def test_costs_of_agents_and_of_paid_compute_are_added_and_what_has_no_price_is_named(
    two: MakeTwo,
) -> None:
    a, b = two({"estimate": {"usd": 0.1, "tokens": 1000}}, {"estimate": {"tokens": 2000}})
    seen = review(made(a, b), Prices(worst={"a": Decimal("0.2")}, unknown={"b": "no rate for H100"}))
    assert seen.cost == {"a": 0.3}
    assert seen.money == "$0.30; 3000 tokens; b has no price (no rate for H100)"


def test_a_plan_without_estimates_costs_nothing_that_is_known(draft: MakeDraft) -> None:
    assert review(made(draft()), Prices()).money == "nothing was estimated"


# questions


def test_defaults_become_assumptions_and_answers_reach_every_ticket(
    two: MakeTwo,
) -> None:
    questions = [{"text": "Which?", "default": "this"}, {"text": "How?", "default": "so", "answer": "otherwise"}]
    plan = made(*two({"context": "As before."}), questions=questions, assumptions=["mine"])
    assert [question.text for question in unanswered(plan)] == ["Which?"]
    decided = recorded(plan)
    assert decided.assumptions == ("mine", "Which? this")
    assert decided.tickets[0].context == f"As before.\n\n{DECIDED}\n\n- How? otherwise"
    assert decided.tickets[1].context == f"{DECIDED}\n\n- How? otherwise"
    assert recorded(decided) == decided
    assert as_asked(unanswered(plan)) == "  - Which? (otherwise: this)"


# the two views of it


FULL = {
    "requirements": [R1, R2],
    "data_flow": "a to b\n\n# as a heading\n```\nfence: [\n```\n--- \ttab",
    "alternatives": [{"what": "none: at all", "why_not": "- no"}],
    "risks": [{"what": "it is 'slow'", "severity": "high", "mitigation": "#measure"}],
    "questions": [{"text": "yes", "default": "null"}],
    "assumptions": ["1.0", "{a: b}", "ü 文 🙂"],
    "research": "looked\n\n    indented\nat `x`",
    "unresolved": ["major, a: too wide"],
}


def test_a_plan_survives_its_own_file(two: MakeTwo) -> None:
    a, b = two({"meets": ["R1"], "interfaces": True}, {"meets": ["R2"], "context": "  | \n\n>\n- x: y", "cost": None})
    b = {key: value for key, value in b.items() if value is not None}
    plan = made(a, b, **FULL)
    text = HEAD + as_yaml(plan)
    assert read_plan(text, "plan", max_tickets=10, first=shared) == plan
    assert text.count("answer:") == 2  # the second is in its head
    without = as_yaml(plan, without=("research", "notes", "unresolved"))
    assert "looked" not in without
    assert "too wide" not in without
    assert "comes first" not in without


def test_the_page_leads_from_each_requirement_to_the_command_that_shows_it(
    two: MakeTwo,
) -> None:
    plan = made(*two({"meets": ["R1"]}, {"meets": ["R2"], "depends_on": ["a"]}), **FULL)
    text = page(plan, review(plan, Prices()), ids={"a": "T-0001", "b": "T-0002"}, frozen="2026-01-01")
    assert plan.sha256 in text
    assert "- R1: one thing\n  - T-0001 a, shown by `python -c import a`\n- R2" in text
    assert "### Wave 2\n\n- **T-0002 b: Add a**" in text
    assert "  - after T-0001 a\n" in text
    for said in ("too wide", "it is 'slow'; against it: #measure", "assumed: null", "a -> b (2 tickets)"):
        assert said in text


def test_the_hash_of_a_plan_is_that_of_its_content(two: MakeTwo) -> None:
    plan = made(*two())
    assert plan.sha256 == made(*two()).sha256
    assert plan.sha256 != made(*two(), assumptions=["x"]).sha256
