"""The server as a process: its door, its description, its database going away and coming back, its end."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import experiment_hub
from experiment_hub.api import tokens
from experiment_hub.metadata.store import MetadataStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import postgres

    Serving = Callable[..., AbstractContextManager[dict[str, Any]]]

pytestmark = pytest.mark.slow
NOT_ASKED = ("/api/v1/events", "/api/v1/tokens/{token_id}")  # a stream has no end; it would revoke its own token
NOT_CHECKED = "positive_data_acceptance"  # a cursor, digest or condition that is well-formed but means nothing is 422


def get(address: str, token: str | None = None, **headers: str) -> tuple[int, bytes]:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, headers={**bearer, **headers})  # noqa: S310 -- our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- the same
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_printed_link_opens_the_page_and_nothing_else_does(serving: "Serving", home: Path) -> None:
    with serving(home) as printed:
        assert get(f"{printed['url']}api/v1/runs")[0] == 401
        assert get(f"{printed['url']}open?key=guess")[0] == 403
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(printed["open"], timeout=30) as answer:
            assert b"<h1" in answer.read()
        with opener.open(f"{printed['url']}api/v1/runs", timeout=30) as answer:
            assert json.loads(answer.read())["total"] == 0
        printed["process"].terminate()
        assert printed["process"].wait(timeout=20) in {0, -15}


@pytest.mark.long
def test_a_port_that_is_taken_and_an_open_door_are_refused(serving: "Serving", home: Path) -> None:
    command = [sys.executable, "-m", "experiment_hub", "serve", "--home", str(home)]
    with serving(home) as printed:
        port = printed["url"].rstrip("/").rpartition(":")[2]
        taken = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
        assert (taken.returncode, "cannot listen" in taken.stderr) == (2, True)
    opened = subprocess.run([*command, "--host", "0.0.0.0"], capture_output=True, text=True, check=False)  # noqa: S104 -- what is refused
    assert (opened.returncode, "hub tokens new" in opened.stderr) == (2, True)


@pytest.mark.long
def test_a_database_that_is_gone_is_said_and_used_again_when_it_is_back(
    serving: "Serving", postgres_home: Path, postgres_server: "postgres.Server"
) -> None:
    token = tokens.create(MetadataStore(postgres_home).engine, "ada", "viewer", days=None).secret
    with serving(postgres_home) as printed:
        address = f"{printed['url']}api/v1/runs"
        assert get(address, token)[0] == 200
        postgres_server.stop()
        try:
            status, body = get(address, token)
        finally:
            postgres_server.start()
        assert (status, "cannot be reached" in json.loads(body)["detail"]) == (503, True)
        assert b"127.0.0.1" not in body
        assert get(address, token)[0] == 200


@pytest.mark.long
def test_events_arrive_while_a_run_goes_on_and_a_stream_is_taken_up_again(serving: "Serving", home: Path) -> None:
    token = tokens.create(MetadataStore(home).engine, "ada", "viewer", days=None).secret
    with serving(home) as printed:
        address, bearer = f"{printed['url']}api/v1/events", {"Authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(address, headers=bearer), timeout=30) as stream:  # noqa: S310 -- our own server
            begin = _next(stream, "id: ")
            run = experiment_hub.start("followed", home=home, system_seconds=None, capture=False)
            assert json.loads(_next(stream, "data: ")) == {"run": run.id, "state": "running"}
        run.finish()
        again = {**bearer, "Last-Event-ID": begin}
        with urllib.request.urlopen(urllib.request.Request(address, headers=again), timeout=30) as stream:  # noqa: S310 -- the same
            states = [json.loads(_next(stream, "data: ")).get("state") for _ in range(2)]
        assert states == ["running", "finished"]


def _next(stream: Any, field: str) -> str:
    for line in stream:
        if line.decode().startswith(field):
            return str(line.decode().removeprefix(field).strip())
    raise AssertionError(f"the stream ended without {field!r}")


@pytest.mark.integrations
@pytest.mark.long
def test_every_answer_is_the_one_that_the_description_promises(serving: "Serving", home: Path) -> None:
    """Schemathesis sends what the description allows and what it does not."""
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("Schemathesis is not installed")
    run = experiment_hub.start("described", config={"lr": 0.1}, home=home, system_seconds=None, capture=False)
    run.log({"loss": 1.0})
    run.finish()
    token = tokens.create(MetadataStore(home).engine, "ada", "admin", days=None).secret
    with serving(home) as printed:
        address = f"{printed['url']}api/openapi.json"
        left_out = [option for path in NOT_ASKED for option in ("--exclude-path", path)]
        left_out += ["--exclude-checks", NOT_CHECKED]
        amount = ["--max-examples", "3", "--phases", "coverage,fuzzing", "--seed", "1", "--no-color"]
        command = [program, "run", address, "-H", f"Authorization: Bearer {token}", *left_out, *amount]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Authentication failed" not in done.stdout
