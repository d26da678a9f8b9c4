"""The tickets carried out in a copy of the platform, judged there by their own commands and tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gates.claims import sections
from gates.source.measures import count_lines, functions
from tickets.globs import matches
from tickets.policy import Limits

if TYPE_CHECKING:
    import subprocess

    from tests.agents.conftest import Site
    from tickets.model import Draft
    from tickets.plan import Plan

ADDED = [
    "add model wide_mlp like mlp",
    "add model deep-wide-mlp",
    "add model very_deep like deep_wide_mlp",
    "add model narrow_transformer like transformer",
    "add metric top3 top 3",
    "add metric error_rate complement of accuracy",
    "add metric not_wrong complement of error_rate",
    "add dataset orbits as rings with 4 classes",
    "add dataset half_moons as moons",
]
WEAK = """\
version: 1
name: weak
# a learning rate that learns nothing, so that a better one is easily told
model: {type: mlp, hidden: [16], activation: relu, dropout: 0.0}
data: {name: blobs, samples: 400, classes: 3, noise: 0.3, splits: {train: 0.6, val: 0.2, test: 0.2}}
training: {epochs: 4, batch_size: 32, learning_rate: 1e-6, optimizer: adamw, weight_decay: 0.0,
  checkpoint_every_steps: 200, device: cpu}
seeds: [0, 1, 2]
metrics: [loss]
decision: {metric: loss, split: val, minimum_effect: 0.01}
"""


def _fails_honestly(done: subprocess.CompletedProcess[str]) -> bool:
    """Refused because what is asked for is not there, not because the command is written wrongly."""
    wrong = ("Usage:", "SyntaxError", "ModuleNotFoundError: No module named 'experiment_hub'")
    return done.returncode != 0 and not any(word in done.stdout + done.stderr for word in wrong)


def judge(site: Site, draft: Draft, plan: Plan) -> str:
    """Carry out one ticket; its commands fail before and pass after, and so do its tests. Give the last output."""
    assert all(_fails_honestly(site.run(*command.argv)) for command in draft.acceptance)
    before = {path: (site.folder / path).read_bytes() for path in site.files()}
    outcome = site.work(draft, plan)
    assert outcome.ending == "done", outcome.reason
    after = {path: (site.folder / path).read_bytes() for path in site.files()}
    touched = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert all(matches(path, draft.scope.allowed) for path in touched)
    assert touched == set(draft.scope.allowed)
    listed = sections(outcome.report or "")["files changed"]
    assert set(listed.splitlines()) == {f"- `{path}`" for path in touched}
    for command in draft.acceptance:
        done = site.run(*command.argv)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not draft.tests.select or site.passing(draft.tests.select) >= draft.tests.floor
    return done.stdout


def smoke(site: Site, draft: Draft) -> None:
    assert draft.smoke is not None
    assert not [path for glob in draft.smoke.produces for path in site.folder.glob(glob)]
    done = site.run(*draft.smoke.argv)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["figures"]["finished"] == 1.0
    for glob in draft.smoke.produces:
        assert [path for path in site.folder.glob(glob) if path.stat().st_size], glob


def carry_out_all(site: Site) -> list[str]:
    """Carry out every request of the list, one after the other; give the modules that came of it."""
    before = site.files()
    for request in ADDED:
        there = site.files()
        plan = site.carry_out(request)
        assert site.files() - there == {path for draft in plan.tickets for path in draft.scope.allowed}
    return sorted(path for path in site.files() - before if path.endswith(".py"))


def test_what_is_written_is_linted_formatted_and_small(site: Site) -> None:
    modules = carry_out_all(site)
    assert len(modules) > 2 * len(ADDED)
    for words in (("check",), ("format", "--check")):
        done = site.run("ruff", *words, "--no-cache", *modules)
        assert done.returncode == 0, done.stdout
    for path in modules:
        text = (site.folder / path).read_text()
        assert count_lines(text) <= Limits().file_lines
        assert all(one.lines <= Limits().function_lines for one in functions(path, text))


def test_the_configuration_of_a_model_keeps_the_style_of_its_parent(site: Site) -> None:
    folder = site.folder / "platform/experiment_hub/configs"
    parent = (folder / "mlp.yaml").read_text()
    site.carry_out("add model deep_wide_mlp")
    expected = parent.replace("name: mlp\n", "name: deep_wide_mlp\n").replace("type: mlp", "type: deep_wide_mlp")
    assert (folder / "deep_wide_mlp.yaml").read_text() == expected.replace("[64, 64]", "[128, 128, 128]")


def test_the_page_of_a_model_has_types_and_meanings_along_the_bases(site: Site) -> None:
    site.carry_out("add model wide_mlp")
    site.carry_out("add model narrow_wide like wide_mlp")
    page = (site.folder / "docs/models/narrow_wide.md").read_text()
    meaning = "Width of each hidden layer, from input to output."
    assert f"| `hidden` | `tuple[PositiveInt, ...]` | `[128, 128]` | {meaning} |" in page
    assert "python -m experiment_hub run narrow_wide --smoke" in page
    assert "decide wide_mlp narrow_wide" in page


def test_a_second_attempt_writes_the_same(site: Site) -> None:
    plan = site.carry_out("add metric top3 top 3")
    before = {path: (site.folder / path).read_bytes() for path in site.files()}
    for draft in plan.tickets:
        assert site.work(draft, plan).ending == "done"
    assert {path: (site.folder / path).read_bytes() for path in site.files()} == before


def test_a_ticket_whose_ground_is_gone_fails_with_the_reason(site: Site) -> None:
    plan = site.plan("add model wide_mlp")
    (site.folder / "platform/experiment_hub/plugins/mlp.py").write_text("PLUGIN = None\n")
    outcome = site.work(plan.tickets[0], plan)
    assert (outcome.ending, outcome.report) == ("failed", None)
    assert "has no `PLUGIN = Class()` to extend" in outcome.reason


@pytest.mark.long
def test_a_metric_ticket_by_ticket(site: Site) -> None:
    plan = site.plan("add metric error_rate complement of accuracy")
    judge(site, plan.tickets[0], plan)


@pytest.mark.long
@pytest.mark.parametrize("request_", [ADDED[1], ADDED[3]])
def test_a_model_ticket_by_ticket(site: Site, request_: str) -> None:
    plan = site.plan(request_)
    for draft in plan.tickets:
        judge(site, draft, plan)
        if draft.smoke:
            smoke(site, draft)


@pytest.mark.long
@pytest.mark.parametrize("request_", [request for request in ADDED if "dataset" in request or "top3" in request])
def test_datasets_and_metrics_ticket_by_ticket(site: Site, request_: str) -> None:
    plan = site.plan(request_)
    for draft in plan.tickets:
        judge(site, draft, plan)
        if draft.smoke:
            smoke(site, draft)


@pytest.mark.long
def test_the_standing_tests_pass_with_everything_added(site: Site) -> None:
    modules = carry_out_all(site)
    standing = [f"tests/experiment_hub/test_{name}.py" for name in ("discovery", "layers", "metrics", "configuration")]
    assert site.passing([*standing, *(path for path in modules if "/test_metric" in path)]) > 0
    done = site.run("python", "-m", "mypy", *modules)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_a_trial_passes_when_the_rule_says_better_and_only_then(site: Site) -> None:
    path = site.folder / "platform/experiment_hub/configs/weak.yaml"
    path.write_text(WEAK)
    better = site.plan("try learning_rate 0.02 on weak")
    document = json.loads(judge(site, better.tickets[0], better).splitlines()[-1])
    assert path.read_text() == WEAK.replace("1e-6", "0.02")
    assert document["decision"] == "better"
    assert document["figures"]["mean_improvement"] >= 0.01
    worse = site.plan("try learning_rate 1e-6 on weak")
    assert site.work(worse.tickets[0], worse).ending == "done"
    assert site.run(*worse.tickets[0].acceptance[0].argv).returncode == 1
