"""`hub new` writes nothing when it says no."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Hub = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "name", ["", "9lives", "Wide", "wide-net", "class", "../up", "a" * 41, "naïve", "wide net", "-h2"]
)
def test_what_is_no_name_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    code, _, err = hub("new", "model", "--package", tmp_path / "made", "--", name)
    assert code == 2
    assert "cannot name a model: use a word of small letters" in err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "mlp"), ("dataset", "blobs"), ("metric", "accuracy"), ("launcher", "local")]
)
def test_a_name_that_is_registered_is_refused_and_its_owner_named(
    hub: Hub, tmp_path: Path, kind: str, name: str
) -> None:
    code, _, err = hub("new", kind, name, "--package", tmp_path / "made")
    assert code == 2
    assert f"there is a {kind} {name!r} already: experiment_hub." in err
    assert not (tmp_path / "made").exists()


def test_the_name_of_an_installed_module_is_refused(hub: Hub, tmp_path: Path) -> None:
    code, _, err = hub("new", "metric", "json", "--package", tmp_path / "made")
    assert code == 2
    assert "'json' is the name of an installed Python module" in err


def test_files_that_are_there_are_left_as_they_are(hub: Hub, tmp_path: Path) -> None:
    mine = tmp_path / "margin" / "pyproject.toml"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    code, _, err = hub("new", "metric", "margin", "--package", tmp_path)
    assert code == 2
    assert "exists already; nothing was written" in err
    assert [path.name for path in mine.parent.iterdir()] == ["pyproject.toml"]
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_made_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, err = hub("new", "metric", "margin", "--package", tmp_path / "file")
    assert code == 2
    assert "cannot be written" in err


def test_in_a_checkout_a_word_of_the_core_is_refused(hub: Hub) -> None:
    code, _, err = hub("new", "model", "train")
    assert code == 2
    assert "the core must name no model" in err


def test_json_names_the_files_and_what_to_type_next(hub: Hub, tmp_path: Path) -> None:
    code, out, _ = hub("new", "metric", "margin", "--package", tmp_path, "--json")
    made = json.loads(out)
    assert code == 0
    assert all(Path(file).is_file() for file in made["files"])
    assert made["next"] == [f"pip install -e {tmp_path}/margin", f"pytest {tmp_path}/margin"]
