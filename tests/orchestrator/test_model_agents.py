"""Tickets carried out by a model behind an OpenAI-compatible endpoint: the whole way, and all that can go wrong with a model."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agents.scripted_model.server import serving
from client_scripts import FORBIDDEN, Job, call, conversations, loop, plan
from demo_project import ticket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.scripted_model.server import ModelServer
    from demo_project import Demo

pytestmark = [pytest.mark.e2e]
POLICY = """version = 1
[project]
name = "demo"
[planning]
lead = "loop"
[dispatch]
timeout_s = 60
[sandbox]
network = ["127.0.0.1:{port}"]
[tests]
run = ["python", "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout"]
[roles]
executor = "{executor}"
[spend]
attempt_tokens = 100000
[agents.loop]
kind = "openai"
base_url = "{url}/v1"
model = "scripted"
price = {{ input = 3.0, output = 15.0 }}
fallback = "second"
[agents.second]
kind = "openai"
base_url = "{url}/v1"
model = "second"
price = {{ input = 3.0, output = 15.0 }}
"""
ONE = [ticket("a", new="src/a.py", accept="import a; assert a.X == 1")]
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@contextmanager
def served(demo: Demo, script: dict[str, Any], **names: str) -> Iterator[ModelServer]:
    with serving(script) as server:
        names = {"executor": "loop", "port": server.url.rpartition(":")[2], "url": server.url, **names}
        demo.commit(**{"orchestrate.toml": POLICY.format(**names)})
        object.__setattr__(demo, "variables", {**demo.variables, "OPENAI_API_KEY": KEY})
        yield server


def one(demo: Demo, *steps: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A script in which the only ticket's agent says first these, then an honest ticket."""
    script = conversations(demo.root, ONE, (loop,))
    talk = script["conversations"][0]
    talk["steps"] = [*before, *(steps or talk["steps"])]
    return script


def events(demo: Demo, attempt: int = 1) -> list[dict[str, Any]]:
    file = demo.root / ".orchestrate" / "logs" / "T-0001" / str(attempt) / "transcript.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_feature_of_three_tickets_lands_and_what_is_forbidden_does_not(demo: Demo) -> None:
    tickets = [ticket(name, new=f"src/{name}.py", accept=f"import {name}") for name in "abc"]
    with served(demo, conversations(demo.root, tickets, (loop, loop, loop))) as server:
        outcome = demo.feature("three modules", exits=0)
    assert [(each["state"], each["attempts"]) for each in outcome["tickets"]] == [("landed", 1)] * 3
    assert FORBIDDEN not in demo.git("ls-tree", "-r", "--name-only", "main").split()
    assert outcome["spend_usd"] > 0
    told = [event for event in events(demo) if event["kind"] == "result" and event["state"] == "refused"]
    assert len(told) == 2
    assert all(row["auth"] for row in server.requests())
    logs = "".join(path.read_text(errors="replace") for path in (demo.root / ".orchestrate" / "logs").rglob("*.*"))
    assert KEY not in logs


def test_an_overloaded_model_is_waited_for_and_takes_no_attempt_of_the_ticket(demo: Demo) -> None:
    busy = {"fault": "status", "status": 429, "retry_after": 1, "times": 12, **call("read_file", path="src/lib.py")}
    with served(demo, one(demo, before=[busy])):
        outcome = demo.feature("one module", exits=0)
    assert outcome["tickets"][0]["state"] == "landed"
    log = [event["kind"] for event in demo.log() if event["ticket"] == "T-0001"]
    assert "attempt.failed" not in log


def test_without_a_sign_in_the_next_agent_takes_over(demo: Demo) -> None:
    refused = {"fault": "status", "status": 401}
    script = one(demo)
    script["conversations"][0]["steps"] = [
        {**refused, "times": 1, **script["conversations"][0]["steps"][0]},
        *script["conversations"][0]["steps"][1:],
    ]
    with served(demo, script) as server:
        outcome = demo.feature("one module", exits=0)
    assert outcome["tickets"][0]["state"] == "landed"
    asked = [row["model"] for row in server.requests() if row.get("conversation") == 0]
    assert asked[0] == "scripted"
    assert set(asked[1:]) == {"second"}


def test_where_no_agent_is_left_the_ticket_failed_and_says_why(demo: Demo) -> None:
    with served(demo, one(demo, {"fault": "status", "status": 401}), executor="second"):
        outcome = demo.feature("one module", exits=1)
    (done,) = outcome["tickets"]
    assert done["state"] == "failed"
    assert "[agents.second] names no fallback" in done["reason"]


def test_a_budget_of_tokens_stops_an_agent_and_its_work_is_kept(demo: Demo) -> None:
    tickets = [{**ONE[0], "budget": {"tokens": 3000}}]
    script = conversations(demo.root, tickets, (loop,))
    job = Job(tree=demo.root, path="src/a.py", text="X = 1\n")
    write = call("write_file", path=job.path, content=job.text)
    script["conversations"][0]["steps"] = [write, *[call("read_file", path="src/lib.py")] * 2, *loop(job)]
    with served(demo, script):
        outcome = demo.feature("one module", exits=1)
    (done,) = outcome["tickets"]
    assert done["state"] == "failed"
    assert "3000" in done["reason"].replace(",", "")
    (attempt,) = demo.git("for-each-ref", "--format=%(refname)", "refs/orchestrate/attempts").split()
    assert demo.git("show", f"{attempt}:src/a.py") == "X = 1"


def test_the_same_failure_three_times_ends_the_ticket_and_is_remembered(demo: Demo) -> None:
    with served(demo, one(demo, call("write_file", path="src/a.py", content="X = 2\n"), {"text": "Done."})) as server:
        outcome = demo.feature("one module", exits=1)
    (done,) = outcome["tickets"]
    assert (done["state"], done["attempts"]) == ("rejected", 3)
    assert "the same failure 3 times" in done["reason"]
    page = (demo.root / "memory" / "demo.md").read_text(encoding="utf-8")
    assert "## Dead ends" in page
    told = [json.dumps(row.get("told")) for row in server.requests()]
    assert any("take another approach" in text for text in told)
    found = json.loads(demo.orchestrate("memory", "search", "add", "dead", "end", "import", "--json").stdout)
    assert found["lessons"]


def test_a_lead_that_answers_no_plan_is_told_of_and_nothing_starts(demo: Demo) -> None:
    script = {"conversations": [], "steps": [{"text": "I would rather not."}]}
    with served(demo, script):
        said = demo.orchestrate("feature", "one module", exits=2)
    assert "plan" in said.stderr


def test_a_plan_that_a_person_edits_is_carried_out(demo: Demo) -> None:
    script = one(demo)
    with served(demo, {**script, "steps": [plan(ONE)]}):
        planned = demo.feature("one module", "--dry-run", exits=0)
    assert planned["outcome"] == "planned"
