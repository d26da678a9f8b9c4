"""What the recipes plan: valid tickets within the rules of the harness, steered by words in names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agents.recipes.protocol import read_instruction
from agents.recipes.steering import steer
from agents.recipes.yaml_text import flow, replaced
from tickets.errors import InputError
from tickets.globs import is_literal, matches, overlap
from tickets.lint import lint
from tickets.policy import Policy

if TYPE_CHECKING:
    from tests.agents.conftest import Site

REQUESTS = [
    "add model wide_mlp like mlp",
    "add model deep-wide-mlp",
    "add model narrow_transformer like transformer",
    "try learning_rate 0.01 on mlp",
    "add metric top3 top 3",
    "add metric error_rate complement of accuracy",
    "add dataset orbits as rings with 4 classes",
    "add dataset half_moons as moons",
]
SEARCH_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
MLP = {"type": "mlp", "hidden": [64, 64], "activation": "relu", "dropout": 0.0}
TRANSFORMER = {"type": "transformer", "width": 64, "layers": 2, "heads": 4, "feedforward": 128}


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_ticket_stands_up_to_lint_at_the_base(original: Site, request_: str) -> None:
    plan, facts = original.plan(request_), original.facts()
    for draft in plan.tickets:
        assert lint(draft, paths=facts.paths, search_path=SEARCH_PATH) == []
        assert not [glob for glob in draft.scope.allowed if matches(glob, Policy().scope.deny)]
        assert not [path for path in draft.scope.new if path in facts.paths]
    assert plan.notes == ()  # nothing had to be put in an order


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_ticket_says_what_it_does_not_do_and_how_it_is_proved(original: Site, request_: str) -> None:
    plan = original.plan(request_)
    for draft in plan.tickets:
        assert draft.tests.select
        assert draft.tests.floor >= 1
        assert draft.acceptance
        assert draft.non_goals
        assert "" not in {draft.risk.cost, draft.risk.perf, draft.risk.security}
        assert all(is_literal(glob) for glob in draft.scope.allowed)
        found = read_instruction(draft.context)
        assert found is not None
        assert set(found[2]) >= {"hub", "tests"}


@pytest.mark.parametrize("request_", [each for each in REQUESTS if each.startswith("add")])
def test_what_follows_the_first_ticket_runs_side_by_side(original: Site, request_: str) -> None:
    plan = original.plan(request_)
    first, *rest = plan.waves
    assert len(first) == 1
    assert len(rest) == 1
    scopes = [draft.scope.allowed for draft in plan.tickets]
    assert not [one for index, one in enumerate(scopes) for other in scopes[:index] if overlap(one, other)]


def test_a_model_is_three_tickets_and_trains_small(original: Site) -> None:
    plugin, configuration, page = original.plan("add model wide_mlp").tickets
    assert plugin.scope.new == ("platform/experiment_hub/plugins/wide_mlp.py",)
    assert configuration.scope.new == (
        "platform/experiment_hub/configs/wide_mlp.yaml",
        "tests/experiment_hub/test_model_wide_mlp.py",
    )
    assert page.scope.new == ("docs/models/wide_mlp.md", "tests/experiment_hub/test_registry_wide_mlp.py")
    assert (configuration.depends_on, page.depends_on) == (("plugin",), ("plugin",))
    assert configuration.smoke is not None
    assert configuration.smoke.produces == (".hub/runs/*/metrics.json", ".hub/hub.sqlite")
    assert "'hidden': [128, 128]" in configuration.acceptance[0].shown


def test_a_trial_writes_one_file_and_states_hypothesis_and_rule(original: Site) -> None:
    (draft,) = original.plan("try hidden [32, 32] on mlp").tickets
    path = "platform/experiment_hub/configs/mlp.yaml"
    assert (draft.scope.write, draft.scope.new) == ((path,), ())
    assert draft.acceptance[0].argv == (
        *("python", "-m", "experiment_hub", "decide", path, path),
        *("--baseline-set", "model.hidden=[64, 64]", "--json", "--home", ".hub"),
    )
    for expected in ("Hypothesis: model.hidden [32, 32]", "metric val.accuracy, seeds [0, 1, 2]", "at least 0.005"):
        assert expected in draft.context
    assert draft.tests.select == ("tests/experiment_hub/test_model_mlp.py",)


@pytest.mark.parametrize(
    ("name", "before", "expected"),
    [
        ("wide_mlp", MLP, {"hidden": [128, 128]}),
        ("narrow_mlp", MLP, {"hidden": [32, 32]}),
        ("deep_mlp", MLP, {"hidden": [64, 64, 64]}),
        ("shallow_mlp", MLP, {"hidden": [64]}),
        ("deep_wide_mlp", MLP, {"hidden": [128, 128, 128]}),
        ("widespread_mlp", MLP, {}),
        ("wide_narrow_deep_mlp", MLP, {"hidden": [64, 64, 64]}),
        ("wide_t", TRANSFORMER, {"width": 128, "feedforward": 256}),
        ("narrow_t", TRANSFORMER, {"width": 32, "feedforward": 64}),
        ("deep_t", TRANSFORMER, {"layers": 3}),
        ("shallow_t", TRANSFORMER, {"layers": 1}),
        ("shallow", {"hidden": [8]}, {}),
        ("shallow", {"layers": 1}, {}),
        ("narrow", {"hidden": [1]}, {}),
        ("wide_deep", {"rate": 0.5, "width": True, "hidden": []}, {}),
    ],
)
def test_words_in_a_name_steer_what_fits(name: str, before: dict[str, Any], expected: dict[str, Any]) -> None:
    changed, said = steer(name, before, "the parent")
    assert changed == expected
    assert said


STYLED = """\
# kept
model:   {type: mlp, hidden: [64, 64],  rate: 1e-3}   # kept too
list:
  - 1
  - 2    # two

other:
    deep: "text"
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("model", "hidden"), [1], "[64, 64]", "[1]"),
        (("model", "type"), "wide_mlp", "mlp,", "wide_mlp,"),
        (("model", "rate"), 0.5, "1e-3", "0.5"),
        (("list",), [3, 4], "- 1\n  - 2", "[3, 4]"),
        (("other", "deep"), "on", '"text"', '"on"'),
    ],
)
def test_a_change_in_place_leaves_all_else_as_it_is(path: tuple[str, ...], value: Any, old: str, new: str) -> None:
    assert replaced(STYLED, {path: value}) == STYLED.replace(old, new, 1)


def test_a_change_that_means_more_than_it_should_is_refused() -> None:
    text = "one: &shared [1, 2]\nother: *shared\n"
    with pytest.raises(InputError, match="cannot be changed in place"):
        replaced(text, {("one",): [3]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1, 2.5], "[1, 2.5]"), ("adamw", "adamw"), ("no", '"no"'), (True, "true"), ({"a": {"b": 1}}, "{a: {b: 1}}")],
)
def test_values_are_written_on_one_line(value: Any, expected: str) -> None:
    assert flow(value) == expected
