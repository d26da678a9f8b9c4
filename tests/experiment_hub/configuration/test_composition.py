from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.configuration.composition import MAXIMUM_BASES
from experiment_hub.configuration.document import load, stages
from experiment_hub.configuration.reading import BUILT_IN
from experiment_hub.configuration.schema import ExperimentConfig
from experiment_hub.errors import BadInputError, ConfigurationError

Write = Callable[[str, str], str]
"""Writes a text under a name; gives the path."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return make


def test_a_file_changes_only_what_it_says(write: Write) -> None:
    child = write("child.yaml", "base: mlp\nname: child\ntraining: {epochs: 3}\n")
    expected = load("mlp").data
    expected["name"] = "child"
    expected["training"]["epochs"] = 3
    assert load(child).data == expected


def test_bases_form_a_chain_relative_to_each_file(write: Write) -> None:
    write("shared/ground.yaml", "base: mlp\nname: ground\ntraining: {epochs: 3, batch_size: 8}\n")
    write("shared/middle.yaml", "base: ./ground.yaml\ntraining: {epochs: 4}\n")
    top = write("mine/top.yaml", "base: ../shared/middle.yaml\ntraining: {learning_rate: 1e-4}\n")
    training = load(top).data["training"]
    assert (training["epochs"], training["batch_size"], training["learning_rate"]) == (4, 8, 1e-4)
    assert training["optimizer"] == "adamw"
    assert [Path(each.source).name for each in stages(top)] == ["mlp.yaml", "ground.yaml", "middle.yaml", "top.yaml"]


def test_lists_and_smoke_are_replaced_and_not_merged(write: Write) -> None:
    child = write("child.yaml", "base: mlp\nseeds: [7]\nsmoke: {training.epochs: 2}\n")
    document = load(child, smoke=True)
    assert document.data["seeds"] == [7]
    assert document.data["training"]["epochs"] == 2
    assert document.data["data"]["samples"] == 2000  # the base's smoke section had made it 256


def test_another_kind_of_model_starts_anew_and_the_same_kind_is_merged(write: Write) -> None:
    other = write("other.yaml", "base: mlp\nmodel: {type: wide, width: 3}\n")
    same = write("same.yaml", "base: mlp\nmodel: {type: mlp, dropout: 0.5}\n")
    assert load(other).data["model"] == {"type": "wide", "width": 3}
    assert load(same).data["model"] == {"type": "mlp", "hidden": [64, 64], "activation": "relu", "dropout": 0.5}


def test_null_takes_an_optional_section_away(write: Write) -> None:
    document = load(write("child.yaml", "base: mlp\ndecision: null\n"))
    assert document.parse(ExperimentConfig, document.data).decision is None


def test_a_mistake_is_named_in_the_file_that_makes_it(write: Write) -> None:
    write("ground.yaml", "base: mlp\ntraining:\n  epochs: many\n")
    child = write("child.yaml", "base: ./ground.yaml\nname: child\ntraining:\n  batch_size: 0\n")
    document = load(child)
    with pytest.raises(ConfigurationError, match=r"ground\.yaml:3: training\.epochs: .* \(and 1 more\)"):
        document.parse(ExperimentConfig, document.data)
    assert document.where(("training", "batch_size")).endswith("child.yaml:4")
    assert document.where(("training", "optimizer")) == f"{BUILT_IN / 'mlp.yaml'}:5"


def test_what_is_missing_is_missing_in_the_file_that_was_asked_for(write: Write) -> None:
    write("ground.yaml", "version: 1\n")
    document = load(write("child.yaml", "base: ./ground.yaml\nname: child\n"))
    with pytest.raises(ConfigurationError, match=r"child\.yaml:1: .*missing key"):
        document.parse(ExperimentConfig, document.data)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_cycle_is_refused_with_the_place_that_closes_it(write: Write, length: int) -> None:
    for index in range(length):
        start = write(f"{index}.yaml", f"name: a\nbase: ./{(index + 1) % length}.yaml\n")
    with pytest.raises(ConfigurationError, match=r"\.yaml:2: base: .* leads back to itself"):
        load(start)


def test_a_cycle_through_a_link_is_a_cycle(write: Write, tmp_path: Path) -> None:
    start = write("a.yaml", "base: ./b.yaml\n")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    with pytest.raises(ConfigurationError, match="leads back to itself"):
        load(start)


def test_a_tower_of_bases_is_bounded(write: Write) -> None:
    write("0.yaml", "base: mlp\n")
    for index in range(1, MAXIMUM_BASES + 2):
        top = write(f"{index}.yaml", f"base: ./{index - 1}.yaml\n")
    with pytest.raises(ConfigurationError, match="files on top of each other"):
        load(top)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("./absent.yaml", "no such configuration file"),
        ("absent", "unknown configuration 'absent'; known: .*mlp"),
        ("/etc/passwd", "expected a path relative to this file"),
        ("''", "expected a path relative to this file"),
        ("3", "expected a path relative to this file"),
        ("[mlp]", "expected a path relative to this file"),
        ("./folder.yaml", "no such configuration file"),
        ("./text.yaml", "text.yaml:1: expected a mapping"),
    ],
)
def test_a_base_that_cannot_be_used_is_named_with_its_line(
    write: Write, tmp_path: Path, base: str, expected: str
) -> None:
    (tmp_path / "folder.yaml").mkdir()
    write("text.yaml", "hello")
    child = write("child.yaml", f"name: child\nbase: {base}\n")
    with pytest.raises(BadInputError, match=expected) as caught:
        load(child)
    assert "child.yaml:2: base:" in str(caught.value) or "text.yaml" in str(caught.value)


def test_a_base_cannot_be_set_from_the_command_line(write: Write) -> None:
    child = write("child.yaml", "base: mlp\nname: child\n")
    with pytest.raises(ConfigurationError, match="base: unknown key"):
        load(child, assignments=["base=transformer"])
