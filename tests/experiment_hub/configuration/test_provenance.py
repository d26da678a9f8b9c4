import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.configuration.document import load, stages
from experiment_hub.configuration.provenance import DEFAULT, changes, histories

Hub = Callable[..., tuple[int, str, str]]


@pytest.fixture
def child(tmp_path: Path) -> Path:
    path = tmp_path / "child.yaml"
    path.write_text("base: mlp\nname: child\ntraining:\n  epochs: 3\n", encoding="utf-8")
    return path


def test_every_value_has_its_origin_and_what_it_replaced(child: Path) -> None:
    found = {each.key: each for each in histories(stages(str(child), smoke=True, assignments=["epochs=9"]))}
    epochs = found["training.epochs"]
    assert (epochs.value, epochs.origin) == (9, "--set epochs=9")
    assert [each.value for each in epochs.replaces] == [1, 3, 20]
    assert epochs.replaces[1].origin == f"{child}:4"
    assert epochs.replaces[2].origin.endswith("configs/mlp.yaml:5")
    assert found["model.hidden"].replaces == ()
    assert found["data.samples"].value == 256


def test_values_that_no_file_states_are_shown_as_the_hubs_defaults(child: Path) -> None:
    found = {each.key: each for each in histories(stages(str(child)))}
    defaults = {key for key, each in found.items() if each.origin == DEFAULT}
    assert defaults
    assert all(key.startswith(("training.", "data.splits.")) for key in defaults)


def test_two_configurations_differ_where_their_values_do(child: Path) -> None:
    found = {each.key: each for each in changes(load("mlp"), load(str(child)))}
    assert set(found) == {"name", "training.epochs"}
    assert (found["training.epochs"].a, found["training.epochs"].b) == (20, 3)
    assert found["training.epochs"].b_origin == f"{child}:4"
    assert changes(load("mlp"), load("mlp")) == []


def test_a_key_that_one_side_lacks_has_no_origin_there() -> None:
    found = {each.key: each for each in changes(load("mlp"), load("transformer"))}
    assert (found["model.hidden"].b, found["model.hidden"].b_origin) == (None, "-")


def test_the_command_line_shows_both(hub: Hub, child: Path) -> None:
    code, out, _ = hub("config", "show", child, "--set", "epochs=9", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["config"]["training"]["epochs"] == 9
    assert [Path(each).name for each in shown["files"]] == ["mlp.yaml", "child.yaml"]
    code, out, _ = hub("config", "show", child)
    assert code == 0
    assert f"{child}:4" in out
    assert "20 (" in out
    code, out, _ = hub("config", "diff", "mlp", child)
    assert (code, "training.epochs" in out) == (0, True)
    assert hub("config", "diff", "mlp", "mlp")[1] == "no difference\n"
    assert json.loads(hub("config", "diff", "mlp", child, "--json")[1])["differences"][0]["key"] == "name"


def test_a_configuration_that_is_wrong_is_not_shown_as_if_it_were_right(hub: Hub) -> None:
    code, out, err = hub("config", "show", "mlp", "--set", "epochs=0")
    assert (code, out) == (2, "")
    assert "training.epochs" in err
