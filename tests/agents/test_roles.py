from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agents import roles
from agents.guides import CLIENTS, House, guide, written_by_us
from agents.roles.composing import BLOCKS, DEEPEST, Library, gates_named
from gates.builtin.report import SECTIONS
from gates.catalogue import BUILT_IN
from memory.pages import GRADES
from orchestrator.commands.roles import about, house
from tickets.errors import FileError, InputError
from tickets.model import Draft
from tickets.policy import Policy, read_policy

ALL = {
    "lead", "planner", "challenger", "executor", "ml-implementer", "infra-implementer", "fixer", "auditor", "critic", "validator",
    "researcher", "results-analyst", "integrator", "cost-guardian",
}  # fmt: skip
DOCS = Path(__file__).parents[2] / "docs" / "roles.md"
HAND = '\n[[hands_over]]\nto = "base"\nwhat = "it"\nwhen = "done"\n'
BASE = (
    'purpose = "p"\nblocks = ["one"]\ncapabilities = ["scope", "tests"]\ntools = ["read", "edit"]\nsees = ["ticket"]\n'
)


def shelf(folder: Path, **files: str) -> Library:
    """A folder of roles beside a sound one called base; `_` in a name stands for a hyphen."""
    (folder / BLOCKS).mkdir()
    (folder / BLOCKS / "one.md").write_text("# One\n\nMind the scope (gate: scope).\n", encoding="utf-8")
    (folder / BLOCKS / "two.md").write_text("# Two\n", encoding="utf-8")
    for name, text in {"base": BASE, **files}.items():
        (folder / f"{name.replace('_', '-')}.toml").write_text(text + HAND, encoding="utf-8")
    return Library(folder=folder)


def trouble(library: Library, name: str) -> str:
    with pytest.raises(FileError) as caught:
        library.named(name)
    return str(caught.value)


# the built-in ones


def test_the_built_in_roles_are_these_fourteen() -> None:
    assert set(roles.roles()) == ALL


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_built_in_role_starts_under_the_built_in_gates(name: str) -> None:
    role = roles.started(name, BUILT_IN)
    assert role.text == roles.text_of(name)
    assert role.blocks
    assert role.hands_over
    assert {one.to for one in role.hands_over} <= ALL - {name}


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_a_text_says_goes_into_the_report_is_a_field_of_the_report(name: str) -> None:
    role = roles.named(name)
    asked = set(re.findall(r"\bUnder `([A-Z][^`]*)`|\bas `([A-Z][^`]*)`|\bunder `([A-Z][^`]*)`", role.text))
    assert {word for found in asked for word in found if word} == {field.name for field in role.report}


def test_every_block_is_part_of_a_role_and_every_role_is_handed_something() -> None:
    used = {block.name for name in ALL for block in roles.named(name).blocks}
    folder = Path(roles.__file__).parent / BLOCKS
    assert used == {file.stem for file in folder.iterdir()}
    assert {one.to for _, one in roles.hand_overs()} | {"planner"} == ALL  # the planner's work comes from a person


def test_the_paid_protocol_is_complete_and_each_rule_that_can_be_checked_names_its_gate() -> None:
    role = roles.named("ml-implementer")
    assert {"paid-compute", "cost", "reproducibility", "metrics", "logging", "smoke", "report"} <= gates_named(
        role.text
    )
    assert gates_named(role.text) <= set(role.gates)
    parts = re.split(r"^### \d\. ", role.text, flags=re.MULTILINE)
    assert [part.splitlines()[0] for part in parts[1:]] == [
        "The expression first",
        "Exact counts",
        "Eight answers before an experiment",
        "Before a launch",
        "One variant first",
        "Record, then look",
        "What a result is worth",
        "Dead ends",
    ]
    assert [len(re.findall(r"^\d+\. ", parts[number], flags=re.MULTILINE)) for number in (3, 4)] == [8, 10]


def test_the_grades_are_those_of_the_memory() -> None:
    rows = dict(re.findall(r"^\| (E\d) \| (.*) \|$", roles.text_of("results-analyst"), flags=re.MULTILINE))
    assert rows == GRADES


def test_who_reads_only_has_no_ticket_and_who_challenges_sees_the_plan_alone() -> None:
    reading = {"auditor", "challenger", "cost-guardian", "critic", "planner", "validator"}
    assert {name for name in ALL if not roles.named(name).edits} == reading
    assert [part.name for part in roles.named("challenger").sees] == ["plan"]
    assert "report" not in {part.name for part in roles.named("auditor").sees}
    assert roles.complaint("executor", BUILT_IN) == ""
    assert "not 'auditor', which only reads" in roles.complaint("auditor", BUILT_IN)
    assert "there is no role 'king'" in roles.complaint("king", BUILT_IN)
    assert "expected names of gates (size), not 'scope'" in roles.complaint("executor", ["size"])


def test_the_fields_of_a_role_become_fields_of_its_ticket_once() -> None:
    draft = Draft.model_validate(
        {
            "key": "a", "title": "t", "objective": "o", "non_goals": ("n",), "scope": {}, "role": "fixer",
            "acceptance": ({"run": "x"},), "report_fields": ("Figures", "Root Cause"),
        }
    )  # fmt: skip
    assert roles.with_report_fields(draft).report_fields == ("Root Cause", "Dead Ends", "Figures")
    assert roles.with_report_fields(roles.with_report_fields(draft)) == roles.with_report_fields(draft)
    plain = draft.model_copy(update={"role": "executor"})
    assert roles.with_report_fields(plain) == plain


def test_the_page_about_roles_has_every_role_and_every_hand_over() -> None:
    page = DOCS.read_text(encoding="utf-8")
    for name in ALL:
        assert f"| `{name}` |" in page
    for giver, one in roles.hand_overs():
        assert f"| `{giver}` | `{one.to}` | {one.what} | {one.when} |" in page


# composition


def test_a_child_has_what_its_parent_has_and_says_where_it_is_from(tmp_path: Path) -> None:
    child = (
        'purpose = "c"\nextends = "base"\nblocks = ["two", "one"]\ncapabilities = ["size", "scope"]\nsees = ["rules"]\n'
    )
    role = shelf(tmp_path, child=child).named("child")
    assert role.lineage == ("child", "base")
    assert [(part.name, part.source) for part in role.capabilities] == [
        ("scope", "base"),
        ("tests", "base"),
        ("size", "child"),
    ]
    assert [block.name for block in role.blocks] == ["one", "two"]
    assert [tool.name for tool in role.tools] == ["read", "edit"]
    assert [sight.name for sight in role.sees] == ["ticket", "rules"]


def test_a_child_is_spared_what_its_parent_demands_with_a_reason(tmp_path: Path) -> None:
    spared = '[[relaxes]]\nkind = "capability"\nname = "tests"\nreason = "nothing runs"\n'
    child = f'purpose = "c"\nextends = "base"\nblocks = ["two"]\n{spared}'
    grandchild = 'purpose = "g"\nextends = "child"\nblocks = ["two"]\n'
    library = shelf(tmp_path, child=child, grandchild=grandchild)
    assert library.named("child").gates == ("scope",)
    assert library.named("grandchild").gates == ("scope",)
    assert [(source, one.reason) for source, one in library.named("grandchild").relaxes] == [("child", "nothing runs")]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('purpose = "c"\nextends = "nobody"\nblocks = ["one"]\n', 2, "expected one of bad, base, not 'nobody'"),
        ('purpose = "c"\nextends = "bad"\nblocks = ["one"]\n', 2, "does not come back to it: bad → bad"),
        ('purpose = "c"\nblocks = ["three"]\n', 2, "expected the file blocks/three.md to be there"),
        ('purpose = "c"\nblocks = ["one"]\n', 1, "expected `scope`, which the block one names"),
        ('purpose = "c"\nblocks = []\n', 2, "at least 1"),
        ('purpose = "c"\nblocks = ["../one"]\n', 2, "matches"),
        ('purpose = "c"\nblocks = ["two"]\ntools = ["shoot"]\n', 3, "'read', 'search', 'edit', 'run' or 'report'"),
        ('purpose = "c"\nblocks = ["two"]\nsees = ["everything"]\n', 3, "'request', 'plan'"),
        ('purpose = "c"\nblocks = ["two"]\ncolour = "red"\n', 3, "no such key"),
        ('blocks = ["two"]\n', 1, "this key is required"),
        ("purpose = \n", 1, "valid TOML"),
        (
            'purpose = "c"\nextends = "base"\nblocks = ["two"]\n[[relaxes]]\nkind = "capability"\nname = "cost"\nreason = "r"\n',
            6,
            "expected a capability that a parent demands (scope, tests), not 'cost'",
        ),
        (
            'purpose = "c"\nblocks = ["two"]\ntools = ["edit"]\n[[relaxes]]\nkind = "tool"\nname = "edit"\nreason = "r"\n',
            6,
            "expected a tool that a parent demands (nothing), not 'edit'",
        ),
        (
            'purpose = "c"\nextends = "base"\nblocks = ["two"]\n[[relaxes]]\nkind = "capability"\nname = "tests"\n',
            4,
            "this key is required",
        ),
        (
            'purpose = "c"\nextends = "base"\nblocks = ["two"]\n[[relaxes]]\nkind = "capability"\nname = "scope"\nreason = "r"\n',
            1,
            "expected `scope`, which the block one names",
        ),
        (
            'purpose = "c"\nblocks = ["two"]\n[[hands_over]]\nto = "king"\nwhat = "w"\nwhen = "n"\n',
            4,
            "expected one of bad, base, not 'king'",
        ),
    ],
)
def test_a_role_file_that_cannot_be_is_refused_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    told = trouble(shelf(tmp_path, bad=text), "bad")
    assert any(one.startswith(f"roles/bad.toml:{line}:") and said in one for one in told.splitlines()), told


def test_a_circle_of_parents_is_shown(tmp_path: Path) -> None:
    other = {
        name: f'purpose = "p"\nextends = "{parent}"\nblocks = ["two"]\n' for name, parent in (("a", "b"), ("b", "a"))
    }
    assert "roles/b.toml:2: extends: expected a parent that does not come back to it: a → b → a" in trouble(
        shelf(tmp_path, **other), "a"
    )


def test_a_line_of_parents_has_a_bound(tmp_path: Path) -> None:
    chain = {f"r{n}": f'purpose = "p"\nextends = "r{n - 1}"\nblocks = ["two"]\n' for n in range(1, DEEPEST + 1)}
    library = shelf(tmp_path, r0='purpose = "p"\nblocks = ["two"]\n', **chain)
    assert len(library.named(f"r{DEEPEST - 1}").lineage) == DEEPEST
    assert f"expected at most {DEEPEST} roles in a line: r4 → r3 → r2 → r1 → r0" in trouble(library, f"r{DEEPEST}")


def test_a_role_whose_gate_does_not_exist_does_not_start(tmp_path: Path) -> None:
    library = shelf(tmp_path, child='purpose = "c"\nextends = "base"\nblocks = ["two"]\ncapabilities = ["magic"]\n')
    with pytest.raises(FileError) as caught:
        library.started("child", ["scope", "size"])
    assert str(caught.value).splitlines() == [
        "roles/base.toml:3: capabilities: expected names of gates (scope, size), not 'tests'",
        "roles/child.toml:4: capabilities: expected names of gates (scope, size), not 'magic'",
    ]
    assert library.started("child", ["scope", "tests", "magic"]).name == "child"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    library = shelf(tmp_path, bad="")
    (tmp_path / "bad.toml").write_bytes(b"purpose = '\xff'")
    assert "roles/bad.toml:1: expected text in UTF-8" in trouble(library, "bad")
    with pytest.raises(InputError, match=re.escape("there is no role '../bad'; there are bad, base")):
        library.named("../bad")


# guides


def home(text: str = "version = 1\n") -> House:
    return house(read_policy(text))


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_guide_holds_the_blocks_of_its_role_and_the_rules_of_the_repository(name: str, client: str) -> None:
    policy = 'version = 1\n[project]\nname = "shop"\n[limits]\nfile_lines = 123\n[scope]\ndeny = ["vault/**"]\nshared_interfaces = ["api.py"]\n'
    text = guide(roles.named(name), client, home(policy))
    assert written_by_us(text)
    assert f"agents render {name} --for {client}`" in text.splitlines()[0]
    for said in (roles.text_of(name), f"# Guide for the {name} of shop"):
        assert said in text
    for said in ("123 lines a file", "`vault/**`", "`api.py`"):
        assert (said in text) == (name != "challenger")  # who sees nothing but the plan
    assert all(f"- `{gate}`: " in text for gate in roles.named(name).gates)
    assert len(text) < 14_000
    assert max(map(len, roles.text_of(name).splitlines())) <= 140


def test_a_guide_asks_for_the_report_that_the_gate_asks_for() -> None:
    text = guide(roles.named("fixer"), "codex", home())
    assert [line for line in text.splitlines() if line in {f"## {name}" for name in (*SECTIONS, "Root Cause")}] == [
        f"## {name}" for name in (*SECTIONS, "Root Cause")
    ]
    assert "## Your report" not in guide(roles.named("lead"), "claude", home())


def test_a_guide_is_the_same_each_time_and_names_tests_checks_and_money() -> None:
    text = 'version = 1\n[tests]\nrun = ["pytest", "-q"]\n[[checks]]\nname = "lint"\nrun = ["ruff", "check"]\n'
    made = [guide(roles.named("ml-implementer"), "generic", home(text)) for _ in range(2)]
    assert made[0] == made[1]
    for said in ("`pytest -q`, within 900 s", "lint (`ruff check`)", "below $5 it runs", "$20 a day"):
        assert said in made[0]
    bare = replace(home(), policy=Policy.model_validate({"tests": {"run": ()}}))
    assert "no command is named" in guide(roles.named("executor"), "codex", bare)


def test_every_gate_says_in_one_sentence_what_it_is_about() -> None:
    for gate in BUILT_IN.values():
        assert 20 < len(about(gate)) < 200
        assert about(gate).endswith(".")
        assert "`" not in about(gate)
