"""Runs over the API: the table, curves, logs, what people say, on SQLite and PostgreSQL."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiment_hub.api.paging import LARGEST_PAGE
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter, RunTag
from experiment_hub.tracking.output import OutputLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

    from experiment_hub.tracking.client import TrackedRun

    Serve = Callable[..., TestClient]
    Logged = Callable[..., TrackedRun]

HOSTILE = [
    "<script>alert(1)</script>",
    "a" * 10_000,
    "\u202egnp.exe",
    "\x1b[2J\r\n",
    "%2e%2e/../..",
    "''; DROP TABLE runs; --",
]


def rows(home: Path, count: int, **columns: Any) -> MetadataStore:
    """Runs r-0000, r-0001, ... a second apart, with a metric, a parameter and a tag each."""
    store = MetadataStore(home)
    with writing(store.engine) as session:
        for number in range(count):
            name = f"r-{number:04}"
            at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000+00:00"
            fixed = {"host": "h", "pid": 1, "process_started": 0.0, "resumes": [], "smoke": False, "overrides": {}}
            own = {"name": f"n{number % 3}", "state": "finished", "created_at": at, "seed": number % 2, **columns}
            session.add(Run(id=name, config={}, folder=f"runs/{name}", **fixed, **own))
            session.flush()
            last = None if number % 5 == 0 else number / 10
            summary = {"odd": "NaN" if last is None else None, "last_step": 1, "points": 1}
            session.add(RunMetric(run_id=name, name="val.loss", last=last, minimum=last, maximum=last, **summary))
            session.add(RunParameter(run_id=name, name="lr", number=number / 100, text=str(number / 100)))
            session.add(RunTag(run_id=name, tag="even" if number % 2 == 0 else "odd"))
    return store


def all_pages(client: "TestClient", address: str, **parameters: Any) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        answer = client.get(address, params={**parameters, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found += [item["id"] for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.slow
def test_pages_give_every_run_once_in_every_order(serve: "Serve", any_home: Path) -> None:
    rows(any_home, 23)
    client = serve()
    for sort in ("created_at", "-created_at", "val.loss", "-val.loss", "param:lr", "-name", "seed", "-seconds"):
        found = all_pages(client, "/api/v1/runs", sort=sort, limit=4)
        assert sorted(found) == [f"r-{number:04}" for number in range(23)], sort
        if sort.endswith("val.loss"):
            assert {int(run[2:]) % 5 for run in found[-5:]} == {0}, "what has no value comes last"


def test_runs_that_are_added_meanwhile_move_nothing(serve: "Serve", home: Path) -> None:
    rows(home, 10)
    client = serve()
    first = client.get("/api/v1/runs", params={"limit": 4}).json()
    with writing(MetadataStore(home).engine) as session:
        for number in range(3):
            fixed = {"host": "h", "pid": 1, "process_started": 0.0, "resumes": [], "smoke": False, "overrides": {}}
            at = "2026-01-02T00:00:00.000+00:00"
            session.add(
                Run(id=f"x-{number}", name="x", state="finished", config={}, folder="x", created_at=at, **fixed)
            )
    rest = all_pages(client, "/api/v1/runs", limit=4, cursor=first["next_cursor"])
    assert [item["id"] for item in first["items"]] + rest == [f"r-{number:04}" for number in reversed(range(10))]


FILTERS: list[tuple[dict[str, Any], set[int]]] = [
    ({"where": "val.loss > 1.5"}, {16, 17, 18, 19}),
    ({"where": ["val.loss > 1.5", "lr<=0.17"]}, {16, 17}),
    ({"where": "seed = 1", "tag": "odd", "q": "R-001"}, {11, 13, 15, 17, 19}),
    ({"where": "name ~ N2", "sort": "created_at"}, {2, 5, 8, 11, 14, 17}),
    ({"where": "lr != 0", "state": "failed"}, set()),
    ({"q": "100%"}, set()),
]
NONSENSE: list[dict[str, Any]] = [
    {"cursor": "nonsense"},
    {"cursor": "AAAA"},
    {"cursor": "W10"},
    {"limit": 0},
    {"limit": LARGEST_PAGE + 1},
    {"where": "no condition"},
    {"where": "val.loss > much"},
    {"where": "val.loss > nan"},
    {"q": "a\0b"},
]


def test_the_table_is_filtered(serve: "Serve", any_home: Path) -> None:
    rows(any_home, 20)
    client = serve()
    for parameters, expected in FILTERS:
        answer = client.get("/api/v1/runs", params=parameters).json()
        found = {int(item["id"][2:]) for item in answer["items"]}
        assert (found, answer["total"]) == (expected, len(expected)), parameters


def test_a_request_that_makes_no_sense_is_explained(serve: "Serve", home: Path) -> None:
    rows(home, 3)
    client = serve()
    foreign = client.get("/api/v1/runs", params={"limit": 1}).json()["next_cursor"]
    for parameters in (*NONSENSE, {"sort": "val.loss", "cursor": foreign}):
        answer = client.get("/api/v1/runs", params=parameters)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), parameters
        assert len(answer.json()["detail"]) > 10


@pytest.mark.slow
def test_groups_have_counts_and_figures(serve: "Serve", any_home: Path) -> None:
    rows(any_home, 12)
    client = serve()
    groups = client.get("/api/v1/run-groups", params={"by": "seed", "metric": "val.loss"}).json()["items"]
    assert {group["value"]: group["runs"] for group in groups} == {0: 6, 1: 6}
    assert groups[0]["metrics"]["val.loss"]["greatest"] in {0.8, 1.1}
    by_rate = client.get("/api/v1/run-groups", params={"by": "lr"}).json()["items"]
    assert [group["value"] for group in by_rate if group["runs"] == 1][:2] == [0.0, 0.01]
    assert client.get("/api/v1/run-groups", params={"by": "val.loss"}).status_code == 422


@pytest.mark.slow
def test_the_table_shows_chosen_columns(serve: "Serve", home: Path) -> None:
    rows(home, 6)
    row = serve().get("/api/v1/runs", params={"column": ["val.loss", "lr", "nothing"], "sort": "created_at"}).json()
    assert row["columns"] == ["metric:val.loss", "param:lr", "param:nothing"]
    assert row["items"][0]["values"] == {"metric:val.loss": "NaN", "param:lr": 0.0}


def test_a_curve_keeps_what_is_no_finite_number(serve: "Serve", logged: "Logged") -> None:
    run = logged("odd", loss=[3.0, math.nan, math.inf, 1.0])
    curve = serve().get(f"/api/v1/runs/{run.id}/curves", params={"name": "loss"}).json()["curves"][0]
    assert (curve["x"], curve["y"], curve["total"]) == ([0, 1, 2, 3], [3.0, None, None, 1.0], 4)
    assert curve["odd"] == [{"x": 1, "value": "NaN"}, {"x": 2, "value": "Infinity"}]


@pytest.mark.slow
def test_a_curve_is_thinned_and_zoomed(serve: "Serve", logged: "Logged") -> None:
    run = logged("long", loss=[float(step == 777) for step in range(5000)])
    client = serve()
    curve = client.get(f"/api/v1/runs/{run.id}/curves", params={"name": "loss", "points": 100}).json()["curves"][0]
    assert len(curve["x"]) <= 110
    assert max(curve["y"]) == 1.0, "a single point is not lost"
    parameters: dict[str, Any] = {"name": ["loss", "nothing"], "first": 770, "last": 780}
    part, nothing = client.get(f"/api/v1/runs/{run.id}/curves", params=parameters).json()["curves"]
    assert (part["x"], nothing["total"]) == (list(range(770, 781)), 0)


@pytest.mark.slow
def test_hostile_names_come_back_as_they_are(serve: "Serve", logged: "Logged") -> None:
    for name in HOSTILE:
        logged(name, {name: name}, **{name: [1.0]})
    client = serve()
    assert {item["name"] for item in client.get("/api/v1/runs").json()["items"]} == set(HOSTILE)
    for name in HOSTILE:
        assert client.get("/api/v1/runs", params={"q": name[:1000]}).json()["total"] == 1
    for item in client.get("/api/v1/runs").json()["items"]:
        (metric,) = client.get(f"/api/v1/runs/{item['id']}/metrics").json()["items"]
        curve = client.get(f"/api/v1/runs/{item['id']}/curves", params={"name": metric["name"]}).json()["curves"][0]
        assert curve["y"] == [1.0], item["name"][:50]


@pytest.mark.slow
def test_people_tag_and_note(serve: "Serve", any_home: Path, logged: "Logged") -> None:
    tracked = logged("spoken of")
    rows(any_home, 1)
    client = serve()
    for run in (tracked.id, "r-0000"):
        address = f"/api/v1/runs/{run}"
        client.post(f"{address}/tags", json={"tag": "good"})
        assert "good" in client.post(f"{address}/tags", json={"tag": "good"}).json()["tags"]
        client.post(f"{address}/notes", json={"note": "first"})
        assert client.post(f"{address}/notes", json={"note": "second"}).json()["notes"] == "first\n\nsecond"
        assert "good" not in client.delete(f"{address}/tags", params={"tag": "good"}).json()["tags"]
        assert client.post(f"{address}/tags", json={"tag": "x\0"}).status_code == 422
        assert (
            client.post(
                f"{address}/tags", content=b'{"tag": "\\ud800"}', headers={"content-type": "application/json"}
            ).status_code
            == 422
        )


@pytest.mark.slow
def test_runs_stand_side_by_side(serve: "Serve", logged: "Logged") -> None:
    one, other = logged("a", {"lr": 0.1, "width": 8}, loss=[1.0]), logged("b", {"lr": 0.2, "width": 8}, loss=[2.0])
    found = serve().get("/api/v1/comparison", params={"run": [one.id, other.id]}).json()
    assert found["parameters"] == {"lr": [0.1, 0.2], "width": [8, 8]}
    assert found["metrics"] == {"loss": [1.0, 2.0]}
    assert {"lr", "name"} <= set(found["differing"])
    assert "width" not in found["differing"]
    assert serve().get("/api/v1/comparison", params={"run": [one.id, "r-none"]}).status_code == 404


@pytest.mark.slow
def test_a_log_is_read_in_parts_and_followed(serve: "Serve", logged: "Logged") -> None:
    run = logged("talks")
    output = OutputLog(run.folder)
    output.write("früh\n".encode()[:3])  # half of a character is left for the next part
    client = serve()
    part = client.get(f"/api/v1/runs/{run.id}/log").json()
    assert (part["text"], part["offset"]) == ("fr", 2)
    output.write("früh\n".encode()[3:])
    output.close()
    rest = client.get(f"/api/v1/runs/{run.id}/log", params={"piece": part["piece"], "offset": part["offset"]}).json()
    assert (rest["text"], rest["more"]) == ("üh\n", False)
    whole = client.get(f"/api/v1/runs/{run.id}/log.txt")
    assert (whole.text, whole.headers["content-type"]) == ("früh\n", "text/plain; charset=utf-8")


@pytest.mark.slow
def test_lineage_goes_both_ways(serve: "Serve", home: Path, logged: "Logged") -> None:
    parent = logged("parent")
    rows(home, 1, parent_id=parent.id)
    client = serve()
    assert [each["id"] for each in client.get(f"/api/v1/runs/{parent.id}/lineage").json()["children"]] == ["r-0000"]
    assert client.get("/api/v1/runs/r-0000/lineage").json()["parent"]["id"] == parent.id
