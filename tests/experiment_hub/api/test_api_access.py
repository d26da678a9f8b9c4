"""Who gets in: nobody without a token or a session, no page of another site, and no more than the role allows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from experiment_hub.api import tokens
from experiment_hub.api.access import COOKIE, SESSIONS, Access, is_loopback
from experiment_hub.commands.serve import Place, reachable
from experiment_hub.errors import NotAllowedError, UnknownNameError
from experiment_hub.metadata.store import MetadataStore

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    Serve = Callable[..., TestClient]

OWN = {"Origin": "http://localhost"}


def test_no_endpoint_answers_without_a_token(serve: "Serve") -> None:
    client = serve(role=None)
    for path, operations in client.app.openapi()["paths"].items():  # type: ignore[attr-defined] # it is a FastAPI
        for method in operations:
            answer = client.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/openapi.json").status_code == 401
    assert client.get("/api/v1/nothing").status_code == 401


def test_a_wrong_token_is_as_good_as_none(serve: "Serve") -> None:
    client = serve(role=None)
    for header in (b"Bearer wrong", b"Bearer ", b"Basic YTpi", b"hub_x", "Bearer \u00e9".encode()):
        assert client.get("/api/v1/runs", headers={b"Authorization": header}).status_code == 401


def test_a_revoked_or_expired_token_is_worth_nothing(serve: "Serve", home: Path) -> None:
    client, engine = serve(), MetadataStore(home).engine
    assert client.get("/api/v1/runs").status_code == 200
    tokens.revoke(engine, tokens.every(engine)[0].id)
    assert client.get("/api/v1/runs").status_code == 401
    short = tokens.create(engine, "short", "viewer", days=1)
    assert tokens.authenticate(engine, short.secret) is not None
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000+00:00'")
    assert tokens.authenticate(engine, short.secret) is None


def test_the_database_does_not_know_the_secret(serve: "Serve", home: Path) -> None:
    secret = serve().headers["Authorization"].removeprefix("Bearer ").encode()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files
    assert all(secret not in path.read_bytes() for path in files)


def test_each_role_may_do_what_the_ones_before_it_may(serve: "Serve", home: Path) -> None:
    client, engine = serve(role=None), MetadataStore(home).engine
    for role, allowed in zip(tokens.ROLES, ([], ["tags"], ["tags", "jobs"], ["tags", "jobs", "tokens"]), strict=True):
        client.headers["Authorization"] = f"Bearer {tokens.create(engine, 'x', role, days=1).secret}"
        answers = {
            "tags": client.post("/api/v1/runs/none/tags", json={"tag": "x"}),
            "jobs": client.post("/api/v1/jobs/none/cancel"),
            "tokens": client.post("/api/v1/tokens", json={"name": "x"}),
        }
        assert [name for name, answer in answers.items() if answer.status_code != 403] == allowed
        assert client.get("/api/v1/tokens").status_code == (200 if role == "admin" else 403)


def test_an_unknown_role_is_refused(home: Path) -> None:
    with pytest.raises(UnknownNameError, match="viewer"):
        tokens.create(MetadataStore(home).engine, "x", "root", days=None)


def test_another_name_for_this_server_is_refused(serve: "Serve") -> None:
    client = serve()
    assert client.get("/api/v1/runs", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/api/v1/runs", headers={"Host": "LOCALHOST:8765"}).status_code == 200
    assert client.get("/api/v1/runs", headers={"Host": "192.0.2.7:8765"}).status_code == 200, (
        "an address cannot be rebound"
    )
    assert serve(access=Access("key")).get("/api/v1/runs", headers={"Host": "192.0.2.7"}).status_code == 421


@pytest.mark.parametrize("mode", ["none", pytest.param("token", marks=pytest.mark.slow)])
def test_a_page_of_another_site_changes_nothing(serve: "Serve", mode: Literal["none", "token"]) -> None:
    client = serve(access=Access(mode))
    origins = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"}]
    sites = [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none")]
    for headers in (*origins, *sites):
        assert client.post("/api/v1/tokens", json={"name": "x"}, headers=headers).status_code == 403
    assert all(token["name"] != "x" for token in client.get("/api/v1/tokens").json()["items"])
    assert client.post("/api/v1/tokens", json={"name": "x"}, headers=OWN).status_code == 201


def test_a_session_changes_something_only_from_the_hubs_own_page(serve: "Serve") -> None:
    access = Access("key")
    client = serve(role=None, access=access)
    client.cookies.set(COOKIE, access.open_with_key(access.key) or "")
    assert client.get("/api/v1/tokens").status_code == 200
    assert client.post("/api/v1/tokens", json={"name": "x"}).status_code == 403
    assert client.post("/api/v1/tokens", json={"name": "x"}, headers=OWN).status_code == 201
    access.close(client.cookies[COOKIE])
    assert client.get("/api/v1/tokens").status_code == 401


def test_only_the_printed_key_opens_a_session() -> None:
    access = Access("key")
    assert access.open_with_key("guess") is None
    assert access.open_with_key("") is None
    assert Access("token").open_with_key(Access("token").key) is None


@pytest.mark.slow
def test_a_session_ends_with_its_token(serve: "Serve", home: Path) -> None:
    access, engine = Access("token"), MetadataStore(home).engine
    made = tokens.create(engine, "ada", "viewer", days=None)
    client = serve(role=None, access=access)
    client.cookies.set(COOKIE, access.open_with_token(engine, made.secret) or "")
    assert client.get("/api/v1/runs").status_code == 200
    tokens.revoke(engine, made.record.id)
    assert client.get("/api/v1/runs").status_code == 401


def test_sessions_are_bounded(home: Path) -> None:
    access, engine = Access("key"), MetadataStore(home).engine
    first = access.open_with_key(access.key)
    assert first
    for _ in range(SESSIONS):
        access.open_with_key(access.key)
    assert access.caller_of_session(engine, first) is None


def test_no_other_site_may_read_and_no_page_is_framed(serve: "Serve") -> None:
    headers = serve().get("/api/v1/runs", headers={"Origin": "http://evil.example"}).headers
    assert not [name for name in headers if name.startswith("access-control-")]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_request_is_not_endless(serve: "Serve") -> None:
    client = serve()
    assert client.post("/api/v1/tokens", content=b" " * (2 << 20)).status_code == 413
    assert client.post("/api/v1/tokens", content=(b" " * 65536 for _ in range(40))).status_code == 413


@pytest.mark.slow
def test_nobody_agrees_to_spend_where_nobody_is_asked_who_he_is(serve: "Serve") -> None:
    client = serve(role=None, access=Access("none"))
    answer = client.post("/api/v1/cost/estimates/00000000/answer", json={"answer": "approved", "reason": "x"})
    assert (answer.status_code, "--no-auth" in answer.json()["detail"]) == (403, True)


def test_other_machines_need_tokens(home: Path) -> None:
    with pytest.raises(NotAllowedError, match="hub tokens new"):
        reachable(Place("0.0.0.0", 0, open_to_all=False), home)  # noqa: S104 -- what is refused
    with pytest.raises(NotAllowedError, match="loopback only"):
        reachable(Place("192.0.2.7", 0, open_to_all=True), home)
    tokens.create(MetadataStore(home).engine, "ada", "admin", days=None)
    assert reachable(Place("0.0.0.0", 0, open_to_all=False), home).mode == "token"  # noqa: S104 -- with a token
    assert reachable(Place("127.0.0.1", 0, open_to_all=True), home).mode == "none"
    assert reachable(Place("::1", 0, open_to_all=False), home).mode == "key"


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("box", False)]
)
def test_loopback_is_told_from_the_network(host: str, expected: bool) -> None:  # noqa: FBT001 -- a case of the table
    assert is_loopback(host) is expected


def test_what_goes_wrong_inside_is_not_told(serve: "Serve", home: Path) -> None:
    client = serve()
    answer = client.get("/api/v1/runs/r-nothing")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    assert str(home) not in answer.text
    (home / "hub.sqlite").write_bytes(b"no database any more" * 100)
    broken = client.get("/api/v1/runs")
    assert broken.status_code in {500, 503}
    assert "sqlite" not in broken.text.lower()
    assert "Traceback" not in broken.text


def test_tokens_are_made_listed_and_revoked_on_the_command_line(hub: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = hub("tokens", "new", "ada", "--role", "operator", "--days", "2", "--json")
    made = json.loads(out)
    assert (code, made["role"], "shown this once" in err) == (0, "operator", True)
    listed = json.loads(hub("tokens", "list", "--json")[1])["tokens"]
    assert [(token["id"], token["revoked_at"]) for token in listed] == [(made["id"], None)]
    assert made["secret"] not in hub("tokens", "list")[1]
    assert json.loads(hub("tokens", "revoke", made["id"], "--json")[1])["revoked_at"]
    assert hub("tokens", "revoke", "t-none")[0] == 2
    assert hub("tokens", "new", "ada", "--role", "root")[0] == 2
