"""Changes over the API: once however often they are sent, and by the rules of the rooms behind it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiment_hub.api import tokens
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.metadata.store import MetadataStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

    Serve = Callable[..., TestClient]

JOB = {"argv": ["true"], "name": "nothing much"}


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def test_a_request_that_is_sent_again_is_answered_and_not_repeated(serve: "Serve") -> None:
    client = serve()
    first = client.post("/api/v1/jobs", json=JOB, headers=key("one"))
    again = client.post("/api/v1/jobs", json=JOB, headers=key("one"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(client.get("/api/v1/jobs").json()["items"]) == 1
    other = client.post("/api/v1/jobs", json={**JOB, "name": "another"}, headers=key("one"))
    assert (other.status_code, "another request" in other.json()["detail"]) == (409, True)
    assert client.post("/api/v1/jobs", json=JOB, headers=key("x" * 201)).status_code == 422


def test_a_failure_leaves_the_key_free(serve: "Serve") -> None:
    client = serve()
    assert client.post("/api/v1/jobs", json={"argv": []}, headers=key("one")).status_code == 422
    assert client.post("/api/v1/jobs", json=JOB, headers=key("one")).status_code == 201


@pytest.mark.slow
def test_another_callers_key_is_another_key(serve: "Serve") -> None:
    made = [serve().post("/api/v1/jobs", json=JOB, headers=key("one")).json()["id"] for _ in range(2)]
    assert len(set(made)) == 2


@pytest.mark.slow
def test_of_requests_at_once_one_is_carried_out(serve: "Serve", any_home: Path) -> None:
    assert any_home
    client = serve()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/jobs", json=JOB, headers=key("one")), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(client.get("/api/v1/jobs").json()["items"]) == 1


def test_a_secret_is_shown_once_and_kept_nowhere(serve: "Serve", home: Path) -> None:
    client = serve()
    first = client.post("/api/v1/tokens", json={"name": "bot", "role": "editor"}, headers=key("one")).json()
    again = client.post("/api/v1/tokens", json={"name": "bot", "role": "editor"}, headers=key("one")).json()
    assert again == {**first, "secret": None}
    assert tokens.authenticate(MetadataStore(home).engine, first["secret"])
    assert all(first["secret"].encode() not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert client.delete(f"/api/v1/tokens/{first['id']}").json()["revoked_at"]
    assert client.get("/api/v1/runs", headers={"Authorization": f"Bearer {first['secret']}"}).status_code == 401
    assert client.delete("/api/v1/tokens/t-none").status_code == 404


@pytest.mark.slow
def test_jobs_are_queued_asked_and_listed(serve: "Serve") -> None:
    client = serve()
    jobs = [client.post("/api/v1/jobs", json={**JOB, "name": f"job {number}"}).json()["id"] for number in range(5)]
    first = client.get("/api/v1/jobs", params={"limit": 2}).json()
    rest = client.get("/api/v1/jobs", params={"limit": 9, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == jobs[::-1]
    assert client.post(f"/api/v1/jobs/{jobs[0]}/pause").json()["state"] == "paused"
    assert client.post(f"/api/v1/jobs/{jobs[0]}/resume").json()["state"] == "queued"
    assert client.post(f"/api/v1/jobs/{jobs[0]}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/v1/jobs/{jobs[0]}/cancel").status_code == 409
    assert client.post(f"/api/v1/jobs/{jobs[0]}/explode").status_code == 422
    assert client.post("/api/v1/jobs/j-none/cancel").status_code == 404
    assert client.post("/api/v1/jobs", json={**JOB, "launcher": "nowhere"}).status_code == 404
    events = client.get(f"/api/v1/jobs/{jobs[0]}").json()["events"]
    assert [event["kind"] for event in events][-1] == "cancelled"


@pytest.mark.slow
def test_a_job_that_costs_money_waits_for_a_person(serve: "Serve", monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve("operator")
    paid = {
        **JOB,
        "launcher": "simulated",
        "resources": {"gpus": 1, "gpu": "H100"},
        "retries": {},
        "timeout_s": 3600 * 3,
    }
    job = client.post("/api/v1/jobs", json=paid).json()
    assert job["state"] == "waiting"
    (card,) = client.get("/api/v1/cost/waiting").json()
    assert (card["job_id"], card["worst_usd"]) == (job["id"], pytest.approx(12.0))
    address = f"/api/v1/cost/estimates/{card['estimate_hash']}/answer"
    monkeypatch.setenv("HUB_JOB", "j-1")
    assert client.post(address, json={"answer": "approved"}).status_code == 403, "a job must not pay itself"
    monkeypatch.delenv("HUB_JOB")
    assert client.post(address, json={"answer": "perhaps"}).status_code == 422
    answer = client.post(address, json={"answer": "approved", "reason": "the paper needs it"}).json()
    assert (answer["queued"], "ada" in answer["actor"]) == ([job["id"]], True)
    assert client.get("/api/v1/cost/waiting").json() == []
    assert client.get("/api/v1/cost/balance").json()["day_cap"] == 20.0


@pytest.mark.slow
def test_a_model_is_promoted_by_the_rules_and_taken_back(serve: "Serve", home: Path) -> None:
    client, store = serve("operator"), catalog(home)
    for number in (1, 2):
        digest = store.log(("user", "ada"), f"weights {number}", f"{number}".encode()).digest
        made = client.post("/api/v1/models/digits/versions", json={"digest": digest, "notes": "by hand"})
        assert (made.status_code, made.json()["version"]) == (201, number)
    promotion = "/api/v1/models/digits/versions/{}/promotion"
    refused = client.post(promotion.format(1), json={})
    assert (refused.status_code, "never evaluated" in refused.json()["detail"]) == (403, True)
    reason = {"without_evaluation": True, "reason": "a demonstration"}
    for number in (1, 2):
        assert client.post(promotion.format(number), json=reason).json()["after"] == number
    assert client.post("/api/v1/models/digits/rollback", json={}).json()["after"] == 1
    assert client.put("/api/v1/models/digits/aliases/champion", json={"version": 2}).json()["after"] == 2
    model = client.get("/api/v1/models/digits").json()
    assert [version["stage"] for version in model["versions"]] == ["production", "none"]
    assert (model["aliases"][0]["alias"], model["events"][-1]["actor"]) == ("champion", "ada")
    assert client.get("/api/v1/models/nothing").status_code == 404
    assert client.post(promotion.format(9), json=reason).status_code == 422


def test_a_body_that_is_not_what_the_description_asks_for_names_the_field(serve: "Serve") -> None:
    client = serve()
    answer = client.post("/api/v1/tokens", json={"name": "", "roll": "admin"}).json()
    assert {tuple(error["where"]) for error in answer["errors"]} == {("body", "name"), ("body", "roll")}
    for body in (b"{", b"[]", b"\xff", json.dumps({"name": 1}).encode()):
        assert client.post(
            "/api/v1/tokens", content=body, headers={"content-type": "application/json"}
        ).status_code in {400, 422}
