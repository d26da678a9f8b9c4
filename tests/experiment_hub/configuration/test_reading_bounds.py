"""Hostile files: everything ends quickly, as one sentence."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiment_hub.configuration.document import load
from experiment_hub.configuration.reading import MAXIMUM_BYTES, read, scalar
from experiment_hub.errors import ConfigurationError

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, "aliases expanded"),
        (MERGES, "aliases expanded"),
        ("a: &a [*a]\n", "aliases expanded"),
        ("a: &a {b: *a}\n", "aliases expanded"),
        ("a: " + "[" * 40 + "]" * 40, "aliases expanded"),
        ("a: " + "[" * 100_000, "32 levels"),
        ("a: " + "{b: " * 50_000, "32 levels"),
        ("a: [" + "1, " * 30_000 + "1]", "more than 20000 values"),
        ("a: x" + "y" * MAXIMUM_BYTES, "larger than 256 KiB"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: !!python/name:os.system", "not valid YAML"),
        ("1: x", "a key must be text"),
        ("on: x", "a key must be text, and YAML reads this one as something else: 'on'"),
        ("? [a, b]\n: x", "a key must be text"),
        ("null: x", "a key must be text"),
        ("a: b: c", "not valid YAML"),
        ("a: *nowhere", "not valid YAML"),
        ("--- {a: 1}\n--- {b: 2}\n", "not valid YAML"),
    ],
    ids=lambda value: value[:24],
)
def test_a_hostile_file_is_refused_at_once(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(ConfigurationError, match=expected) as caught:
        load(str(path))
    assert time.process_time() - began < 5  # of processor time
    assert len(str(caught.value)) < 500
    with pytest.raises(ConfigurationError):
        scalar(f"{{{text}", "--set a")


@pytest.mark.parametrize("value", ["${HOME}", "a-${USER}-b", "${", "${oops"])
def test_nothing_is_filled_in_from_the_environment(tmp_path: Path, value: str) -> None:
    path = tmp_path / "asking.yaml"
    path.write_text(f"base: mlp\nname: asking\ndata:\n  name: '{value}'\n", encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"asking\.yaml:4: data\.name: \$\{.* is not filled in: .*never in the"
    ):
        load(str(path))
    with pytest.raises(ConfigurationError, match=r"--set data\.name=.*is not filled in"):
        load("mlp", assignments=[f"data.name='{value}'"])


def test_environment_variables_of_the_same_name_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load("mlp").data
    for name in ("EPOCHS", "TRAINING_EPOCHS", "HUB_TRAINING_EPOCHS", "HUB_EPOCHS", "SEEDS", "HUB_CONFIG"):
        monkeypatch.setenv(name, "3")
    assert load("mlp").data == before


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such configuration file"):
        load(f"{tmp_path}/")
    os.mkfifo(tmp_path / "pipe.yaml")  # opening it would wait for ever
    with pytest.raises(ConfigurationError, match="no such configuration file"):
        load(str(tmp_path / "pipe.yaml"))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read(tmp_path / "absent.yaml")


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from(" \n\t:-[]{}&*!|>'\"%@`#,?<=ab01.e$~\x00é"), max_size=60))
def test_any_text_is_a_value_or_one_of_our_errors(text: str) -> None:
    try:
        json.dumps(scalar(text, "--set a"), default=str)
    except ConfigurationError as error:
        refusal = str(error)
    else:
        return
    assert refusal.startswith("--set a")


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accepted_or_one_of_our_errors(data: st.DataObject) -> None:
    """Wrong types everywhere; the message names the override that made it wrong."""
    from experiment_hub.configuration.schema import ExperimentConfig

    keys = [
        "training",
        "training.epochs",
        "model",
        "model.type",
        "data.splits",
        "seeds",
        "metrics",
        "decision",
        "smoke",
    ]
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet="ab1 ", max_size=5)
    tree = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    )
    key, value = data.draw(st.sampled_from(keys)), data.draw(tree)
    try:
        document = load("mlp").replaced({key: value}, "--set")
        document.parse(ExperimentConfig, document.data)
    except ConfigurationError as error:
        refusal = str(error)
    else:
        return
    assert len(refusal) < 600
