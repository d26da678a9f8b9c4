"""Pages as the server makes them: complete, escaped, without anything inline."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import experiment_hub
from experiment_hub.api import tokens
from experiment_hub.api.access import COOKIE, Access
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import ModelVersion, RegisteredModel
from experiment_hub.ui import rendering

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

    Site = Callable[..., TestClient]

ATTACK = """"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}\u202e\x1b[2J"""
OWN = {"Origin": "http://localhost"}
EMPTY = ["/", "/models", "/queue", "/spend", "/datasets", "/metrics", "/compare", "/columns"]
OF_A_RUN = ["", "/system", "/log", "/artifacts", "/configuration", "/difference", "/lineage"]


class Inline(HTMLParser):
    """What a strict content security policy would refuse, and elements that only an attack would make."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [name for name in names if name.startswith("on") or name == "style"]
        self.found += [tag] if tag in {"style", "img"} or (tag == "script" and "src" not in names) else []
        self.found += [value for value in names.values() if value and value.lower().startswith("javascript:")]


def inline(text: str) -> list[str]:
    parser = Inline()
    parser.feed(text)
    return parser.found


@pytest.fixture
def attacked(home: Path) -> str:
    """A run whose every word is an attack, with an artifact, a model and a tag."""
    run = experiment_hub.start(
        ATTACK, config={ATTACK: ATTACK, "lr": 0.1}, tags=[ATTACK], notes=ATTACK, project=ATTACK, home=home
    )
    run.log({ATTACK: 1.0, "system/" + ATTACK: 2.0})
    print(ATTACK)  # noqa: T201 -- becomes the run's log
    run.finish("failed", ATTACK)
    digest = catalog(home).log(("run", run.id), "a/" + ATTACK.replace("/", ""), b"x").digest
    assert digest
    return run.id


def test_a_model_without_a_version_in_production_is_listed(site: "Site", home: Path) -> None:
    digest = catalog(home).log(("user", "ada"), "weights", b"x").digest
    with writing(open_engine(home)) as session:
        session.add(RegisteredModel(name="fresh", description="", created_at="2026-11-21T00:00:00.000+00:00"))
        session.flush()
        session.add(
            ModelVersion(
                model="fresh",
                version=1,
                digest=digest,
                stage="none",
                facts={},
                created_at="2026-11-21T00:00:00.000+00:00",
            )
        )
    answer = site().get("/models")
    assert (answer.status_code, "fresh" in answer.text) == (200, True)


@pytest.mark.slow
def test_every_page_of_an_empty_home_says_what_to_do(site: "Site") -> None:
    client = site()
    for address in EMPTY:
        answer = client.get(address)
        assert (answer.status_code, inline(answer.text)) == (200, []), address
    assert "hub run" in client.get("/").text


def test_no_word_of_a_run_becomes_part_of_a_page(site: "Site", attacked: str) -> None:
    client = site()
    other = experiment_hub.start("other", home=MetadataStore(client.app.state.hub.home).home, capture=False)  # type: ignore[attr-defined] # it is a FastAPI
    other.finish()
    client.app.state.hub.watcher.look()  # type: ignore[attr-defined] # the same
    pages = [f"/runs/{attacked}{part}" for part in OF_A_RUN]
    pages += [
        "/",
        "/?group=project",
        f"/compare?run={attacked}&run={other.id}",
        f"/runs/{attacked}/difference?other={other.id}",
    ]
    for address in pages:
        answer = client.get(address)
        assert (answer.status_code, inline(answer.text)) == (200, []), address
        assert "<script>alert" not in answer.text
        assert "49" not in re.findall(r"\{\{7\*7\}\}|>49<", answer.text)
        assert "\u241b[2J" in answer.text or address.endswith("/log"), "a control character is shown, not sent to hide"
    echoed = client.get("/", params={"q": ATTACK, "where": f"{ATTACK} = 1", "tag": ATTACK, "sort": "name"})
    assert inline(echoed.text) == []


def test_a_problem_is_a_page_for_people_and_a_document_for_programs(site: "Site", home: Path) -> None:
    client = site()
    page = client.get("/runs/r-<script>", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert inline(page.text) == []
    assert str(home) not in page.text
    part = client.get("/?where=nonsense", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["content-type"]) == (422, "application/problem+json")
    assert client.get("/api/v1/runs/r-x").headers["content-type"] == "application/problem+json"


@pytest.mark.slow
def test_without_a_session_there_is_only_the_door(site: "Site", home: Path) -> None:
    access = Access("key")
    client = site(access)
    client.follow_redirects = False
    for address in [*EMPTY, "/runs/x", "/nowhere"]:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), address
    assert client.post("/runs/x/tags", data={"tag": "x"}, headers=OWN).status_code == 401
    assert client.get("/open", params={"key": "guess"}).status_code == 403
    entered = client.get("/open", params={"key": access.key})
    cookie = entered.headers["set-cookie"].lower()
    assert (entered.status_code, "httponly" in cookie, "samesite" in cookie) == (303, True, True)
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", headers=OWN).status_code == 303
    assert client.get("/").status_code == 303
    made = tokens.create(MetadataStore(home).engine, "ada", "viewer", days=None)
    assert client.post("/sign-in", data={"token": "wrong"}, headers=OWN).status_code == 403
    assert client.post("/sign-in", data={"token": made.secret}, headers=OWN).status_code == 303


@pytest.mark.slow
def test_a_viewer_sees_no_buttons_and_may_not_press_them(site: "Site", home: Path, attacked: str) -> None:
    access, engine = Access("token"), MetadataStore(home).engine
    made = tokens.create(engine, "ada", "viewer", days=None)
    client = site(access)
    client.cookies.set(COOKIE, access.open_with_token(engine, made.secret) or "")
    page = client.get(f"/runs/{attacked}")
    assert (page.status_code, "Tag or note" in page.text) == (200, False)
    assert client.post(f"/runs/{attacked}/tags", data={"tag": "x"}, headers=OWN).status_code == 403


@pytest.mark.slow
def test_htmx_gets_only_the_part_that_it_replaces(site: "Site", attacked: str) -> None:
    client = site()
    part = client.get("/", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="table">')
    assert attacked in part
    restored = client.get("/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}).text
    assert restored.startswith("<!doctype html>")


def test_what_is_vendored_says_where_it_is_from() -> None:
    first = (rendering.STATIC / "htmx.min.js").read_text(encoding="utf-8").split("\n", 1)[0]
    assert "htmx 2" in first
    assert "Zero-Clause BSD" in first


def test_figures_are_written_for_people() -> None:
    assert [rendering.number(value) for value in (None, 0.123456789, 12000, "NaN", True)] == [
        chr(0x2013),
        "0.12346",
        "12,000",
        "NaN",
        "True",
    ]
    assert [rendering.duration(value) for value in (0.5, 65.0, 3725.0)] == ["0.5 s", "1 min 05 s", "1 h 02 min"]
    assert [rendering.size(value) for value in (512, 2048, 3 << 30)] == ["512 B", "2.0 KiB", "3.0 GiB"]
    assert rendering.lines("a: 1\n\tb\x1b") == "a: 1\n\tb\u241b"
    assert rendering.visible("a\x00b\x7f\n") == "a␀b␡␊"
