import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import experiment_hub as hub_client
from experiment_hub.errors import BadInputError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.tracking.search import Search, find

Hub = Callable[..., tuple[int, str, str]]


def some_runs(home: Path) -> dict[str, str]:
    """Ids by name."""
    found = {}
    for name, rate, accuracy in [("a", 0.1, 0.5), ("b", 0.2, 0.9), ("c", 0.3, math.nan), ("d", None, math.inf)]:
        config = {"rate": rate, "model": {"type": f"mlp-{name}"}, "on": name == "a"}
        options: dict[str, Any] = {"system_seconds": None, "capture": False}
        with hub_client.start(name, config=config, tags=["x", name], seed=ord(name), home=home, **options) as run:
            run.log({"val.accuracy": accuracy})
        found[name] = run.id
    return found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Search(), "abcd"),
        (Search(where=("val.accuracy>0.4",)), "ab"),
        (Search(where=("val.accuracy >= 0.9", "rate<1")), "b"),
        (Search(where=("val.accuracy = nan",)), "c"),
        (Search(where=("val.accuracy = inf",)), "d"),
        (Search(where=("rate=0.3",)), "c"),
        (Search(where=("rate=1e-1",)), "a"),
        (Search(where=("model.type=mlp-b",)), "b"),
        (Search(where=("model.type~LP-",)), "abcd"),
        (Search(where=("model.type~%",)), ""),
        (Search(where=("on=1",)), "a"),
        (Search(where=("name=a",)), "a"),
        (Search(where=("seed>=99",)), "cd"),
        (Search(tags=("x", "b")), "b"),
        (Search(tags=("nothing",)), ""),
        (Search(state="running"), ""),
        (Search(project="default", limit=2), "ab"),
        (Search(sort="-seed"), "dcba"),
        (Search(sort="-val.accuracy"), "bacd"),
        (Search(sort="rate"), "abcd"),
        (Search(sort="-rate", limit=1), "c"),
    ],
)
def test_runs_are_found_by_what_was_set_and_measured(found_runs: MetadataStore, wanted: Search, expected: str) -> None:
    assert "".join(run.name for run in find(found_runs, wanted)) == expected


@pytest.fixture
def found_runs(any_home: Path) -> MetadataStore:
    some_runs(any_home)
    store = MetadataStore(any_home)
    refresh(store)
    return store


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("rate", "expected NAME, one of"),
        ("", "expected NAME, one of"),
        ("nothing=1", "no run has a column, metric or parameter 'nothing'"),
        ("val.accuracy>high", "is compared with a number, got 'high'"),
        ("seed=x", "is compared with a number"),
        ("rate'; DROP TABLE runs; --=1", "no run has a column"),
    ],
)
def test_a_condition_that_is_none_is_refused(home: Path, condition: str, expected: str) -> None:
    some_runs(home)
    store = MetadataStore(home)
    refresh(store)
    with pytest.raises(BadInputError, match=expected):
        find(store, Search(where=(condition,)))


def test_the_command_line_lists_marks_and_compares(hub: Hub, home: Path) -> None:
    ids = some_runs(home)
    code, out, err = hub("runs", "--where", "val.accuracy>0.4", "--sort", "-rate", "--column", "rate", "--json")
    rows = json.loads(out)["runs"]
    assert (code, [row["name"] for row in rows], err) == (0, ["b", "a"], "")
    assert rows[0]["metrics"] == {"val.accuracy": 0.9}
    code, out, _ = hub("runs", "--column", "val.accuracy", "--column", "tags", "--column", "model.type")
    assert (code, "NaN" in out, "Infinity" in out, "mlp-a" in out, "a x" in out) == (0, True, True, True, True)
    assert json.loads(hub("tag", ids["a"], "new", "--remove", "x", "--json")[1])["tags"] == ["a", "new"]
    assert json.loads(hub("note", ids["a"], "one", "--json")[1])["notes"] == "one"
    assert json.loads(hub("note", ids["a"], "two", "--json")[1])["notes"] == "one\n\ntwo"
    assert [row["name"] for row in json.loads(hub("runs", "--tag", "new", "--json")[1])["runs"]] == ["a"]
    three = json.loads(hub("compare", *(ids[name] for name in "abc"), "--json")[1])
    assert three["config"]["rate"] == [0.1, 0.2, 0.3]
    assert three["metrics"]["val.accuracy"] == [0.5, 0.9, "NaN"]
    pair = json.loads(hub("compare", ids["a"], ids["c"], "--json")[1])
    assert (pair["metrics"]["val.accuracy"]["a"], pair["metrics"]["val.accuracy"]["b"]) == (0.5, "NaN")
    assert hub("compare", ids["a"], ids["c"])[0] == 0
    code, _, err = hub("tag", "r-x", "y")
    assert (code, err) == (2, f"error: no run 'r-x' in {home}\n")


def test_notes_and_tags_of_trained_runs_are_kept_too(hub: Hub, home: Path) -> None:
    with RunRecorder.start(MetadataStore(home), Plan("p", 1, smoke=False, config={"a": {"b": 2}}, overrides={})) as run:
        run.series.log({"train.loss": 0.5}, 1)
        run.record(1, 1, {"val.loss": 0.25}, {"loss": 1})
    assert json.loads(hub("note", run.run_id, "one", "--json")[1])["notes"] == "one"
    assert json.loads(hub("note", run.run_id, "two", "--json")[1])["notes"] == "one\n\ntwo"
    assert json.loads(hub("tag", run.run_id, "t", "--json")[1])["tags"] == ["t"]
    shown = json.loads(hub("show", run.run_id, "--json")[1])
    assert (shown["metrics"], shown["curves"]["val.loss"]["version"]) == ({"val.loss": 0.25}, 1)
    assert shown["curves"]["train.loss"]["last"] == 0.5
    for condition in ("val.loss<0.3", "train.loss=0.5", "a.b=2"):
        assert len(json.loads(hub("runs", "--where", condition, "--json")[1])["runs"]) == 1


def test_logs_are_shown(hub: Hub, home: Path) -> None:
    with hub_client.start("x", home=home, system_seconds=None) as run:
        sys.stdout.write("hello ü\n")
    assert hub("logs", run.id)[1] == "hello ü\n"
    assert hub("logs", run.id, "--follow")[1] == "hello ü\n"
    assert json.loads(hub("logs", run.id, "--json")[1]) == {"run": run.id, "log": "hello ü\n"}
