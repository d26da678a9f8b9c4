from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.errors import FileError
from tickets.files import BODY, read, render
from tickets.grants import KINDS
from tickets.model import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeTicket = Callable[..., Ticket]

GOOD = """\
---
id: T-0001
title: Add a
scope: {new: [src/a.py]}
acceptance: [{run: [python, -c, import a]}]
---
# T-0001: Add a

## Objective

Add a.

## Non-goals

- anything
  else
* more

## Scope

- creates `src/a.py`

## Acceptance Criteria

- it works

## Risk Notes

- Cost: none
- Performance: a: b
- Security: none

## Context

(none)
"""
ODD_LINES = [
    "## Objective",
    "---",
    "(none)",
    "\\---",
    "\\\\## x",
    "- a",
    "* a",
    "a: b",
    "- Cost: x",
    "```",
    "{{ x }}",
    "{% raw %}",
    "'",
    '"',
    "#",
    "key: |",
    "~",
    "null",
    "1.0",
    "yes",
    "2020-01-01",
    "&a *a",
    "!!x",
    "%YAML",
    "\ufeff",
    "\u00a0x\u00a0",
    "\u200b",
    "…",
    "🚀",
    "é",
    "\ufffe",
]
CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
TEXT = st.one_of(st.sampled_from(ODD_LINES), st.text(CHARACTERS, min_size=1, max_size=30))
LINES = TEXT.filter(lambda text: text.split() != [])
BLOCKS = st.lists(st.one_of(TEXT, st.just(""), st.just("\t  x")), max_size=6).map("\n".join)
PATHS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\\/:~."),
    min_size=1,
    max_size=9,
).filter(lambda text: text.strip() != "")
COMMANDS = st.fixed_dictionaries(
    {"run": st.one_of(LINES, st.lists(LINES, min_size=1, max_size=3).map(tuple))},
    optional={"timeout_s": st.floats(min_value=1e-6, max_value=600_000)},
)
TICKETS = st.fixed_dictionaries(
    {
        "id": st.integers(min_value=1, max_value=10**6).map(lambda number: f"T-{number:04d}"),
        "title": LINES,
        "objective": LINES,
        "non_goals": st.lists(LINES, min_size=1, max_size=3).map(tuple),
        "scope": st.fixed_dictionaries(
            {}, optional={key: st.lists(PATHS, max_size=2).map(tuple) for key in ("write", "new", "deny")}
        ),
        "acceptance": st.lists(COMMANDS, min_size=1, max_size=2).map(tuple),
    },
    optional={
        "feature": st.sampled_from(["", "F-0001"]),
        "depends_on": st.just(("T-0002", "T-0003")),
        "context": BLOCKS,
        "risk": st.fixed_dictionaries(
            {}, optional={key: st.one_of(TEXT, st.just("")) for key in ("cost", "perf", "security")}
        ),
        "tests": st.fixed_dictionaries(
            {}, optional={"select": st.lists(LINES, max_size=2).map(tuple), "floor": st.integers(0, 9)}
        ),
        "limits": st.fixed_dictionaries({}, optional={"file_lines": st.integers(1, 10**9), "parameters": st.just(0)}),
        "smoke": st.fixed_dictionaries({"run": LINES}, optional={"produces": st.lists(PATHS, max_size=2).map(tuple)}),
        "cost": st.fixed_dictionaries({"gpu": LINES, "hours": st.floats(min_value=1e-9, max_value=1e9)}),
        "budget": st.fixed_dictionaries(
            {}, optional={"usd": st.floats(min_value=0, max_value=1e12), "tokens": st.integers(0, 10**15)}
        ),
        "requires": st.lists(st.sampled_from(KINDS), max_size=2).map(tuple),
        "report_fields": st.lists(LINES, max_size=2).map(tuple),
    },
)


@settings(max_examples=80, deadline=None)
@given(TICKETS)
def test_reading_what_was_rendered_gives_the_same_ticket(values: dict[str, Any]) -> None:
    ticket = Ticket.model_validate(values)
    text = render(ticket)
    assert read(text, "x") == ticket
    assert read(text.replace("\n", "\r\n"), "x") == ticket
    assert render(read(text, "x")) == text


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_line_that_looks_like_the_file_itself_is_kept(line: str, make_ticket: MakeTicket) -> None:
    filled = line if line.split() else "x"
    ticket = make_ticket(
        title=filled,
        objective=filled,
        non_goals=(filled, "last"),
        context=f"{line}\n\n{line}\nend",
        risk={"cost": filled},
    )
    assert read(render(ticket), "x") == ticket
    alone = make_ticket(context=line)
    assert read(render(alone), "x") == alone


def test_the_file_says_what_a_person_needs(make_ticket: MakeTicket) -> None:
    text = render(
        make_ticket(
            scope={"write": ("w.py",), "new": ("n.py",), "deny": ("d.py",)},
            smoke={"run": "go"},
            tests={"select": ("t.py",), "floor": 2},
        )
    )
    assert text.startswith("---\nid: T-0001\n")
    for line in (
        "- may change `w.py`",
        "- creates `n.py`",
        "- must not touch `d.py`",
        "- smoke: `go` ends within 30.0 s",
    ):
        assert line in text
    assert "pass (at least 2): t.py" in text
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(BODY)


def test_a_file_written_by_hand_is_read() -> None:
    ticket = read(GOOD, "x")
    assert ticket.non_goals == ("anything else", "more")
    assert ticket.risk.perf == "a: b"
    assert ticket.context == ""


def test_windows_line_ends_make_no_difference() -> None:
    assert read(GOOD.replace("\n", "\r\n"), "x") == read(GOOD, "x")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "said"),
    [
        ("---\nid", "id", 1, "", "begins with a line `---`"),
        ("]}]\n---\n", "]}]\n", 35, "", "ends the front matter"),
        (
            "id: T-0001\ntitle: Add a\nscope: {new: [src/a.py]}\nacceptance: [{run: [python, -c, import a]}]\n",
            "",
            1,
            "",
            "front matter with keys",
        ),
        ("id: T-0001\n", "", 1, "id", "required"),
        ("title: Add a\n", "title: Add a\nodd: 1\n", 4, "odd", "no such key"),
        ("title: Add a\n", "title: Add a\ntitle: Add b\n", 4, "", "duplicate key"),
        ("title: Add a\n", "title: Add a\nobjective: x\n", 4, "objective", "in the body"),
        ("title: Add a\n", "title: Add a\nnon_goals: [x]\n", 4, "non_goals", "in the body"),
        ("title: Add a\n", "title: Add a\nrisk: {cost: x}\n", 4, "risk", "in the body"),
        ("title: Add a\n", "title: Add a\ncontext: x\n", 4, "context", "in the body"),
        ("title: Add a\n", "title: Add a\nkey: a\n", 4, "key", "no such key"),
        ("title: Add a\n", "title: Add a\nlimits: {odd: 1}\n", 4, "limits.odd", "no such key"),
        ("title: Add a\n", "title: Add a\nlimits:\n  nesting: '3'\n", 5, "limits.nesting", "integer"),
        ("id: T-0001", "id: 1", 2, "id", "string"),
        ("src/a.py]}", "../a.py]}", 4, "scope.new.0", "inside the repository"),
        ("title: Add a", "title: @x", 3, "", "valid YAML"),
        ("## Objective\n\nAdd a.\n\n", "", 7, "## Objective", "required"),
        ("Add a.\n\n## Non", "\n\n## Non", 9, "## Objective", "something in this section"),
        ("(none)\n", "\n", 33, "## Context", "something in this section"),
        ("## Context", "## Contextual", 33, "## Contextual", "no such section"),
        ("## Scope", "## Objective\n\nAnother.\n\n## Scope", 19, "## Objective", "this section once"),
        ("- Cost: none", "- Odd: none", 27, "risk.odd", "no such key"),
        ("Add a.\n\n## Non", "Add \x07 a.\n\n## Non", 9, "objective", "control characters"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(old: str, new: str, line: int, key: str, said: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(FileError) as caught:
        read(GOOD.replace(old, new), "t.md")
    found = [problem for problem in caught.value.problems if problem.key == key]
    assert [(problem.file, problem.line) for problem in found] == [("t.md", line)]
    assert said in found[0].expected


@pytest.mark.parametrize("text", ["", "---", "---\n", "---\n---", "---\n---\n", "---\nid: T-0001\n---\n", "\n---\n"])
def test_a_file_with_nothing_in_it_is_refused(text: str) -> None:
    with pytest.raises(FileError):
        read(text, "x")
