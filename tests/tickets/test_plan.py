from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tickets.errors import FileError
from tickets.plan import Plan, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeDraft = Callable[..., dict[str, Any]]

HEAD = 'request: "as asked"\ntickets:\n'
GOOD = """\
  - key: {key}
    title: Add {key}
    objective: Add it.
    non_goals: [more]
    scope: {{new: [{path}]}}
    acceptance: [{{run: [python, -c, import a]}}]
"""


def good(key: str = "a", path: str = "src/a.py") -> str:
    return GOOD.format(key=key, path=path)


def refused(text: str, *, max_tickets: int = 10) -> list[tuple[int, str, str]]:
    with pytest.raises(FileError) as caught:
        read_plan(text, "plan", max_tickets=max_tickets)
    assert {problem.file for problem in caught.value.problems} == {"plan"}
    assert caught.value.exit_code == 2
    return [(problem.line, problem.key, problem.expected) for problem in caught.value.problems]


def test_yaml_and_json_give_the_same_plan(draft: MakeDraft) -> None:
    data = {
        "request": "as asked",
        "tickets": [draft(), draft(key="b", scope={"write": ["b.py"]}, depends_on=["a"])],
        "assumptions": ["none"],
    }
    from_json = read_plan(json.dumps(data), "p", max_tickets=2)
    assert from_json == read_plan("# yaml\n" + json.dumps(data, indent=1), "p", max_tickets=2)
    assert from_json == read_plan("\ufeff" + json.dumps(data), "p", max_tickets=2)
    assert from_json == read_plan(f"\n\n  {json.dumps(data)}\n", "p", max_tickets=2)
    assert from_json.waves == [["a"], ["b"]]
    assert from_json.tickets[1].depends_on == ("a",)


def test_only_what_the_contract_requires_is_required(draft: MakeDraft) -> None:
    (ticket,) = read_plan(json.dumps({"request": "r", "tickets": [draft()]}), "p", max_tickets=1).tickets
    assert ticket.role == "executor"
    assert (ticket.risk.cost, ticket.context, ticket.smoke, ticket.depends_on) == ("none", "", None, ())
    assert ticket.acceptance[0].timeout_s == 300


@pytest.mark.parametrize("key", ["key", "title", "objective", "non_goals", "scope", "acceptance"])
def test_each_required_key_is_missed_by_name(key: str, draft: MakeDraft) -> None:
    text = json.dumps({"request": "r", "tickets": [draft(**{key: None})]}, indent=0)
    assert refused(text) == [(4, f"tickets.0.{key}", "this key is required")]


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("", 1, "", "a mapping with `request:`"),
        ("- a\n- b", 1, "", "a mapping with `request:`"),
        ("just words", 1, "", "a mapping with `request:`"),
        ("tickets: []", 1, "request", "required"),
        ("request: r\ntickets: []", 2, "tickets", "at least one ticket"),
        ("request: r\ntickets: {}", 2, "tickets", "array"),
        ("request: 5\ntickets: []", 1, "request", "string"),
        ("request: ' '\ntickets: []", 1, "request", "at least 1"),
        (f"{HEAD}{good()}odd: 1", 9, "odd", "no such key"),
        (f"{HEAD}{good()}    odd: 1", 9, "tickets.0.odd", "no such key"),
        (f"{HEAD}{good()}    id: T-0001", 9, "tickets.0.id", "no such key"),
        (HEAD + good().replace("scope: {", "scope: {odd: 1, "), 7, "tickets.0.scope.odd", "no such key"),
        (f"{HEAD}{good()}{good('b').replace('[more]', '[]')}", 12, "tickets.1.non_goals", "at least one thing"),
        (
            f"{HEAD}{good()}{good('b').replace('non_goals: [more]', 'non_goals: more')}",
            12,
            "tickets.1.non_goals",
            "array",
        ),
        (HEAD + good().replace("{new: [src/a.py]}", "{}"), 7, "tickets.0.scope", "could write nothing"),
        (HEAD + good().replace("{new: [src/a.py]}", "{deny: [x]}"), 7, "tickets.0.scope", "could write nothing"),
        (HEAD + good().replace("src/a.py", "../a.py"), 7, "tickets.0.scope.new.0", "inside the repository"),
        (HEAD + good().replace("src/a.py", "/etc/passwd"), 7, "tickets.0.scope.new.0", "relative"),
        (HEAD + good().replace("src/a.py", ".git/hooks/x"), 7, "tickets.0.scope.new.0", "outside .git"),
        (
            HEAD + good().replace("[{run: [python, -c, import a]}]", "[]"),
            8,
            "tickets.0.acceptance",
            "at least one command",
        ),
        (HEAD + good().replace("[python, -c, import a]", "[]"), 8, "tickets.0.acceptance.0.run", "at least 1"),
        (HEAD + good().replace("[python, -c, import a]", "5"), 8, "tickets.0.acceptance.0.run", "string"),
        (
            HEAD + good().replace("import a]", "import a], timeout_s: .inf"),
            8,
            "tickets.0.acceptance.0.timeout_s",
            "finite",
        ),
        (
            HEAD + good().replace("import a]", "import a], timeout_s: '5'"),
            8,
            "tickets.0.acceptance.0.timeout_s",
            "number",
        ),
        (f"{HEAD}{good()}    smoke: {{run: x, timeout_s: 0}}", 9, "tickets.0.smoke.timeout_s", "greater than 0"),
        (f"{HEAD}{good()}    cost: {{gpu: h100, hours: 0}}", 9, "tickets.0.cost.hours", "greater than 0"),
        (f"{HEAD}{good()}    tests: {{floor: true}}", 9, "tickets.0.tests.floor", "integer"),
        (f"{HEAD}{good()}    budget: {{usd: -1}}", 9, "tickets.0.budget.usd", "greater than or equal to 0"),
        (f"{HEAD}{good()}    role: ''", 9, "tickets.0.role", "matches"),
        (f"{HEAD}{good()}    risk: {{odd: x}}", 9, "tickets.0.risk.odd", "no such key"),
        (HEAD + good("'a b'"), 3, "tickets.0.key", "matches"),
        (HEAD + good("-x"), 3, "tickets.0.key", "matches"),
        (
            HEAD + good().replace("Add it.", '"a \\x07 bell"'),
            5,
            "tickets.0.objective",
            "control characters (found U+0007)",
        ),
        (f"{HEAD}{good()}{good()}", 9, "tickets.1.key", "its own, not 'a' again"),
        (f"{HEAD}{good()}    depends_on: [zz]", 9, "tickets.0.depends_on", "a key of this plan, not 'zz'"),
        (f"{HEAD}{good()}    depends_on: [a]", 9, "tickets.0.depends_on", "no cycle, not a -> a"),
        (
            f"{HEAD}{good()}    depends_on: [b]\n{good('b', 'b')}    depends_on: [a]",
            9,
            "tickets.0.depends_on",
            "no cycle",
        ),
        ("request: r\nrequest: r", 2, "", "duplicate key"),
        ("request: r\n\ttickets: []", 2, "", "valid YAML"),
        ('{"request": "r",\n"tickets": []}', 2, "tickets", "at least one ticket"),
        ('{"request": "r",\n"tickets": [{"odd": 1}]}', 2, "tickets.0.odd", "no such key"),
        ('{"request": "r",\n"request": "s"}', 2, "request", "each key once"),
        ('{"request": "r",\n}', 2, "", "valid JSON"),
    ],
)
def test_each_refusal_names_line_and_key(text: str, line: int, key: str, said: str) -> None:
    found = refused(text)
    assert (line, key) in [(one[0], one[1]) for one in found]
    assert any(said in one[2] for one in found if one[1] == key)


def test_the_problems_of_all_tickets_are_told_at_once() -> None:
    text = HEAD + good().replace("[more]", "[]") + good("b", "b.py").replace("{new: [b.py]}", "{}")
    assert [line for line, _, _ in refused(text)] == [6, 13]


def test_more_tickets_than_allowed_are_refused() -> None:
    text = HEAD + "".join(good(f"k{number}", f"{number}.py") for number in range(3))
    assert len(read_plan(text, "p", max_tickets=3).tickets) == 3
    assert refused(text, max_tickets=2) == [(2, "tickets", "expected at most 2 tickets (planning.max_tickets), not 3")]


def test_overlapping_tickets_are_ordered_and_the_plan_says_so() -> None:
    plan = read_plan(HEAD + good("a", "src/**") + good("b", "src/x.py") + good("c", "docs/x"), "p", max_tickets=3)
    assert [ticket.depends_on for ticket in plan.tickets] == [(), ("a",), ()]
    assert plan.notes == ("b waits for a: both may write src/** and src/x.py",)
    assert plan.waves == [["a", "c"], ["b"]]


def test_settling_a_settled_plan_changes_nothing() -> None:
    plan = read_plan(HEAD + good("a", "src/**") + good("b", "src/x.py"), "p", max_tickets=3)
    assert read_plan(plan.model_dump_json(), "p", max_tickets=3) == plan


def test_a_plan_survives_its_own_json() -> None:
    plan = read_plan(HEAD + good(), "p", max_tickets=1)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
