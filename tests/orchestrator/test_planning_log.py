"""The files of a feature: written again they stay the same, and its log grows without saying anything twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import POLICY, ticket
from memory.events import About
from orchestrator.lead.artefacts import folder_of
from orchestrator.lead.costs import priced
from orchestrator.lead.freezing import freeze, plan_of
from orchestrator.lead.progress import keep, step
from orchestrator.workspace import Workspace
from tickets.plan import Plan, read_plan
from tickets.states import State

if TYPE_CHECKING:
    from demo_project import Demo


def opened(demo: Demo) -> tuple[Workspace, str, Plan]:
    """A feature that came with a plan of one ticket."""
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    tickets = [ticket("a", new="src/a.py", accept="import a", cost={"gpu": "T4", "hours": 1})]
    plan = read_plan(json.dumps({"request": "one module", "tickets": tickets}), "plan", max_tickets=1)
    options = {"plan": plan.model_dump(mode="json")}
    feature = workspace.records.add_feature("one module", options=options, target="main", before=workspace.head())
    return workspace, feature, plan


def test_freezing_again_changes_nothing(demo: Demo) -> None:
    workspace, feature, plan = opened(demo)
    row = workspace.records.feature(feature)
    assert plan_of(workspace, row) == plan
    ids = freeze(workspace, row, plan)
    folder = folder_of(workspace, feature)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(before) == {"plan.yaml", "plan.md", "research.md", "progress.md"}
    assert freeze(workspace, workspace.records.feature(feature), plan) == ids == ["T-0001"]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert plan_of(workspace, workspace.records.feature(feature)) == plan
    assert read_plan(before["plan.yaml"].decode(), "plan", max_tickets=1) == plan


def test_the_log_grows_and_says_nothing_twice(demo: Demo) -> None:
    workspace, feature, plan = opened(demo)
    freeze(workspace, workspace.records.feature(feature), plan)
    file = folder_of(workspace, feature) / "progress.md"
    before = file.read_text(encoding="utf-8")
    keep(workspace, feature)
    assert file.read_text(encoding="utf-8") == before
    workspace.records.note("landing.followed", About(feature=feature), {})
    workspace.records.move("T-0001", State.REJECTED, "two\n- [9] lines")
    step(workspace, feature, "challenged")
    added = file.read_text(encoding="utf-8").removeprefix(before).splitlines()
    assert [line.split(" ", 3)[3] for line in added] == ["T-0001 rejected: two - [9] lines", "challenged"]


def test_a_line_that_a_crash_cut_off_is_written_again(demo: Demo) -> None:
    workspace, feature, _ = opened(demo)
    step(workspace, feature, "planned")
    file = folder_of(workspace, feature) / "progress.md"
    whole = file.read_text(encoding="utf-8")
    for cut in ("- [2", "- ", "- [2] 2026"):
        file.write_text(whole[: whole.index("- [2]")] + cut, encoding="utf-8")
        keep(workspace, feature)
        text = file.read_text(encoding="utf-8")
        assert text.endswith(" planned\n")
        assert text.count("asked: one module") == 1


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (None, "there is no rate card rates.toml"),
        (
            'source = "x"\ndate = 2001-01-01\ncurrency = "USD"\n[gpus]\nT4 = 0.5\n',
            "expected prices of the last 90 days",
        ),
        ("nonsense", "rates.toml:1: valid TOML"),
    ],
)
def test_without_a_price_in_force_nothing_is_taken_for_free(demo: Demo, card: str | None, said: str) -> None:
    demo.commit(**{"orchestrate.toml": POLICY, "notes.txt": "x", **({"rates.toml": card} if card else {})})
    workspace, _, plan = opened(demo)
    prices = priced(workspace, plan, workspace.head())
    assert prices.worst == {}
    assert said in prices.unknown["a"]
