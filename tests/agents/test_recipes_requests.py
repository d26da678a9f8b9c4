"""Which requests are recipes, what is refused and why, what is taken for granted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agents.recipes.catalogue import RECIPES
from tickets.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agents.conftest import Site


@pytest.mark.parametrize(
    ("request_", "titles"),
    [
        ("add model wide_mlp", ["Plugin wide_mlp, like mlp", "Configuration and smoke test of wide_mlp"]),
        ("  ADD   Model wide_mlp\n LIKE mlp ", ["Plugin wide_mlp, like mlp"]),
        ("add a new model `wide_mlp` like 'MLP'", ["Plugin wide_mlp, like mlp"]),
        ('add model "Deep-Wide-MLP"', ["Plugin deep_wide_mlp, like mlp"]),
        ("add model tiny_decoder like transformer", ["Plugin tiny_decoder, like transformer"]),
        ("try learning_rate 0.01", ["Try training.learning_rate 0.01 on mlp"]),
        ("try model.hidden [32,32] on mlp", ["Try model.hidden [32, 32] on mlp"]),
        ("Try learning_rate = 1e-2 ON `transformer`", ["Try training.learning_rate 0.01 on transformer"]),
        ("try optimizer sgd on mlp.yaml", ["Try training.optimizer sgd on mlp"]),
        ("add metric top3 top 3", ["Metric top3", "Page of the metric top3"]),
        ("add metric top-5-accuracy as top-5", ["Metric top_5_accuracy"]),
        ("add metric error_rate complement of accuracy", ["Metric error_rate"]),
        ("add metric error_rate as the complement of `accuracy`", ["Metric error_rate"]),
        ("add dataset orbits as rings", ["Dataset orbits: rings", "Page of the dataset orbits"]),
        ("add dataset half_moons AS Moons with 2 classes", ["Dataset half_moons: moons"]),
    ],
)
def test_requests_that_are_recipes(original: Site, request_: str, titles: list[str]) -> None:
    assert [draft.title for draft in original.plan(request_).tickets][: len(titles)] == titles


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("add model mlp", "the model 'mlp' exists already"),
        ("add model 2fast", "letters a-z and digits"),
        ("add model ../../etc", "letters a-z and digits"),
        ("add model ''", "letters a-z and digits"),
        (f"add model {'a' * 41}", "at most 40 characters"),
        ("add model wide__mlp", "letters a-z and digits"),
        ("add model Größe", "letters a-z and digits"),
        ("add model class", "keyword of Python"),
        ("add model match", "keyword of Python"),
        ("add model json", "standard library"),
        ("add model registry", "the model 'registry' exists already"),
        ("add model accuracy", "the core must name no model"),
        (
            "add model x like resnet",
            "no plugin 'resnet' to be like; known: convnet, forest, lightning_mlp, mlp, transformer",
        ),
        ("add model x like registry", "known: convnet, forest, lightning_mlp, mlp, transformer"),
        ("add metric accuracy top 3", "exists already"),
        ("add metric mlp top 3", "a model has the name"),
        ("add metric t top 1", "top 1 is accuracy"),
        ("add metric t top 1001", "at most 1000"),
        (
            "add metric t complement of f1",
            "no metric 'f1' to be the complement of; known: accuracy, balanced_accuracy, calibration_error, loss",
        ),
        ("add metric t complement of loss", "measured in nat, not as a fraction"),
        ("add dataset blobs as rings", "exists already"),
        ("add dataset mlp as rings", "a model has the name"),
        ("add dataset x as rings with 1 classes", "expected 2 to 20"),
        ("add dataset x as moons with 3 classes", "have two classes"),
        ("try learning_rate 0.003", "learning_rate is 0.003 already"),
        ("try learning_rate 3e-3", "is 0.003 already"),
        ("try hidden [64, 64]", "is [64, 64] already"),
        ("try speed 3", "unknown key 'speed'; candidates: data, data.classes"),
        (
            "try dropout 0.1 on nothing",
            "no configuration 'nothing'; known: convnet, forest, lightning_mlp, mlp, transformer",
        ),
        ("try learning_rate fast", "is a number (0.003), and fast is a word"),
        ("try hidden 64", "is a list ([64, 64]), and 64 is a number"),
        ("try model 3", "is a section, not a value"),
        ("try learning_rate {a: 1}", "is no value"),
        ("try learning_rate [[1]]", "is no value"),
        ("try optimizer yes", "is no value"),
        ("try learning_rate .inf", "is no value"),
        ("try learning_rate [1", "valid YAML"),
        ("try optimizer sgd, epochs: 1", "is no value"),
    ],
)
def test_requests_that_are_refused_say_why(original: Site, request_: str, expected: str) -> None:
    before = original.files()
    with pytest.raises(InputError) as caught:
        original.plan(request_)
    assert expected in str(caught.value)
    assert original.files() == before


@pytest.mark.parametrize(
    "key",
    ["decision.minimum_effect", "minimum_effect", "metric", "decision.split", "seeds", "metrics", "version", "smoke"],
)
def test_a_trial_does_not_move_the_goalposts(original: Site, key: str) -> None:
    with pytest.raises(InputError, match="must not move the goalposts"):
        original.plan(f"try {key} 0")


@pytest.mark.parametrize("key", ["name", "data.noise", "data.name", "samples", "test"])
def test_a_trial_is_about_the_same_experiment_on_the_same_data(original: Site, key: str) -> None:
    with pytest.raises(InputError, match="must not move the goalposts"):
        original.plan(f"try {key} 0")


def test_a_trial_needs_a_registered_rule_and_pairs_of_runs(site: Site) -> None:
    mlp = site.folder / "platform/experiment_hub/configs/mlp.yaml"
    text = mlp.read_text()
    mlp.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("decision:")))
    with pytest.raises(InputError, match="registers no rule"):
        site.plan("try dropout 0.1")
    mlp.write_text(text.replace("seeds: [0, 1, 2]", "seeds: [0]"))
    with pytest.raises(InputError, match="fewer than 2 seeds"):
        site.plan("try dropout 0.1")


@pytest.mark.parametrize(
    "request_",
    ["make it faster", "add model", "add model wide mlp", "add dataset x as squares", "add metric x top two", ""],
)
def test_anything_else_is_answered_with_what_there_is(original: Site, request_: str) -> None:
    with pytest.raises(InputError, match="is no recipe") as caught:
        original.plan(request_)
    for recipe in RECIPES.values():
        assert recipe.usage in str(caught.value)
        assert recipe.example in str(caught.value)
    assert "orchestrate.toml" in str(caught.value)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_example_is_a_request_of_its_own_recipe(original: Site, recipe: str) -> None:
    assert list(RECIPES) == ["add-model", "try", "add-metric", "add-dataset"]
    contexts = [draft.context for draft in original.plan(RECIPES[recipe].example).tickets]
    assert all(f"\nrecipe: {recipe}/" in f"\n{context}" for context in contexts)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            "add model Wide-MLP",
            [
                "`Wide-MLP` is written `wide_mlp`",
                "no parent was named, so `wide_mlp` extends `mlp`",
                "`wide` in the name doubles the widths: hidden [64, 64] becomes [128, 128]",
            ],
        ),
        (
            "add model small_mlp like mlp",
            ["no word in `small_mlp` says otherwise, so its hyperparameters begin as those of configuration mlp"],
        ),
        (
            "add model wide_narrow_mlp like mlp",
            ["words that contradict each other in `wide_narrow_mlp` change nothing"],
        ),
        ("try dropout 0.1", ["no configuration was named, so it is tried on mlp", "`dropout` is model.dropout"]),
        ("try model.dropout 0.1 on mlp", []),
        ("add dataset orbits as rings with 4 classes", []),
    ],
)
def test_what_is_taken_for_granted_is_said(original: Site, request_: str, expected: list[str]) -> None:
    assert list(original.plan(request_).assumptions) == expected


def test_a_repository_without_the_platform_is_told_so(original: Site, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "main.py").write_text("print()\n")
    with pytest.raises(InputError, match="recipes work on a repository with experiment_hub"):
        replace(original, folder=empty).plan("add model wide_mlp")


@pytest.mark.parametrize("prefix", ["", "src/"])
def test_the_platform_may_stand_elsewhere(site: Site, tmp_path: Path, prefix: str) -> None:
    moved = tmp_path / "elsewhere"
    (moved / prefix).mkdir(parents=True)
    (site.folder / "platform/experiment_hub").rename(moved / f"{prefix}experiment_hub")
    plugin, configuration, _ = replace(site, folder=moved).plan("add model wide_mlp").tickets
    assert plugin.scope.new == (f"{prefix}experiment_hub/plugins/wide_mlp.py",)
    assert configuration.scope.new[1] == "tests/test_model_wide_mlp.py"
    assert plugin.tests.select == ()
