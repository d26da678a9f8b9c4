from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.configuration.document import differences, load
from experiment_hub.configuration.reading import BUILT_IN, scalar
from experiment_hub.errors import BadInputError, ConfigurationError, UnknownNameError
from experiment_hub.plugins.protocol import missing
from experiment_hub.plugins.registry import plugins
from experiment_hub.training.experiment import assemble

Small = Callable[..., Path]


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_built_in_configuration_is_valid_with_and_without_smoke(path: Path) -> None:
    document = load(path.stem)
    if absent := missing(plugins()[document.data["model"]["type"]].item):
        pytest.skip(f"{', '.join(absent)} is not installed; scripts/integrations installs it")
    assert assemble(document).config.name == path.stem
    assemble(load(path.stem, smoke=True))


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"training.learning_rate": -1}, "training.learning_rate", "greater than 0"),
        ({"training.epochs": 0}, "training.epochs", "greater than 0"),
        ({"training.epochs": "many"}, "training.epochs", "a valid integer, got 'many'"),
        ({"training.epochs": True}, "training.epochs", "a valid integer"),
        ({"training.epochs": 2.5}, "training.epochs", "a valid integer"),
        ({"training.momentum": 0.9}, "training.momentum", "unknown key; expected one of batch_size"),
        ({"training.batch_size": None}, "training.batch_size", "missing key"),
        ({"training.optimizer": "magic"}, "training.optimizer", "'adamw', 'adam' or 'sgd'"),
        ({"training.device": "tpu"}, "training.device", "expected"),
        ({"training.device": "cuda:99"}, "training.device", "not present"),
        ({"data.splits.test": 0.3}, "data.splits", "must be 1, got 1.2"),
        ({"data.samples": -5}, "data.samples", "greater than 0"),
        ({"data.colour": "red"}, "data.colour", "unknown key; expected one of classes"),
        ({"data.name": "nowhere"}, "data.name", "unknown dataset 'nowhere'; known:"),
        ({"model.type": "oracle"}, "model.type", "unknown model 'oracle'; known:"),
        ({"model.hidden": [8, "x"]}, "model.hidden.1", "a valid integer"),
        ({"model.layers": 2}, "model.layers", "unknown key"),
        ({"model.dropout": None}, "model.dropout", "missing key"),
        ({"data.name": "char_copy", "data.length": 4, "data.symbols": 3}, "data", "unknown key"),
        ({"metrics": ["loss", "beauty"]}, "metrics.1", "unknown metric 'beauty'; known:"),
        ({"metrics": ["loss", "perplexity"]}, "metrics.1", "defined for next_token, not classification"),
        ({"metrics": ["accuracy"]}, "", "decision.metric 'loss' must be one of metrics"),
        ({"seeds": []}, "seeds", "at least 1 item"),
        ({"seeds": [1, 1]}, "", "must not repeat"),
        ({"seeds": [-1]}, "seeds.0", "greater than or equal to 0"),
        ({"version": 2}, "version", "expected 1"),
        ({"smoke": {"training.epoch": 1}}, "smoke", "unknown key; candidates: "),
        ({"surprise": 1}, "surprise", "unknown key; expected one of data"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_expectation(
    small: Small, changes: dict[str, Any], key: str, expected: str
) -> None:
    path = small(**changes)
    with pytest.raises(BadInputError) as caught:
        assemble(load(str(path)))
    message = str(caught.value)
    assert expected in message
    assert key in message
    if key and "cuda" not in str(changes):
        last = key.rsplit(".", maxsplit=1)[-1] if not key[-1].isdigit() else key.split(".")[-2]
        lines = path.read_text(encoding="utf-8").splitlines()
        places = [str(number) for number, line in enumerate(lines, 1) if f'"{last}"' in line]
        assert message.startswith(f"{path}:") or "missing" in message
        line = message.removeprefix(f"{path}:").split(":")[0]
        assert "missing" in message or line in places or key[-1].isdigit() or key == "data", (message, places)


def test_the_line_is_the_line_of_the_key(tmp_path: Path) -> None:
    text = (BUILT_IN / "mlp.yaml").read_text(encoding="utf-8")
    path = tmp_path / "bad.yaml"
    path.write_text(f"# one\n# two\n{text}extra: 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"bad\.yaml:{len(text.splitlines()) + 3}: extra: unknown key"):
        assemble(load(str(path)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: 1\nb: 2\na: 3\n", ":3: a: the key appears twice"),
        ("a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        load(str(path))


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such configuration file"):
        load(str(tmp_path / "absent.yaml"))
    with pytest.raises(UnknownNameError, match=r"unknown configuration 'absent'; known: .*mlp"):
        load("absent")


def test_learning_rates_may_be_written_as_people_write_them() -> None:
    assert scalar("1e-3", "") == pytest.approx(0.001)
    assert scalar("-2E5", "") == pytest.approx(-2e5)
    assert scalar("3", "") == 3
    assert scalar("e5", "") == "e5"


def test_overrides_reach_the_key_and_are_remembered(small: Small) -> None:
    document = load(str(small()), assignments=["learning_rate=1e-4", "model.hidden=[4, 4]"])
    assert document.data["training"]["learning_rate"] == pytest.approx(1e-4)
    assert document.data["model"]["hidden"] == [4, 4]
    assert document.overrides == {"training.learning_rate": 1e-4, "model.hidden": [4, 4]}


def test_an_explicit_override_beats_the_smoke_section(small: Small) -> None:
    document = load(str(small()), smoke=True, assignments=["epochs=2"])
    assert document.data["training"]["epochs"] == 2
    assert load(str(small()), smoke=True).data["training"]["epochs"] == 1
    assert load(str(small())).data["training"]["epochs"] == 3


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("width=3", "unknown key; candidates: .*model.hidden"),
        ("training.width=3", "unknown key"),
        ("minimum_effect", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("epochs=[1", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_refused(small: Small, assignment: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load(str(small()), assignments=[assignment])


def test_an_ambiguous_bare_key_lists_its_candidates(small: Small) -> None:
    path = small(**{"model.samples": 1})
    with pytest.raises(ConfigurationError, match=r"ambiguous key; candidates: data\.samples, model\.samples"):
        load(str(path), assignments=["samples=3"])


def test_a_wrong_value_in_an_override_names_the_override(small: Small) -> None:
    with pytest.raises(ConfigurationError, match=r"^--set epochs=0: training\.epochs: expected greater than 0"):
        assemble(load(str(small()), assignments=["epochs=0"]))


def test_differences_name_dotted_keys() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == {"a.c": (2, 3), "d": (None, 4)}
