"""Tickets carried out by a model behind an OpenAI-compatible endpoint: the whole way, and all that can go wrong with a model."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from agents.scripted_model.server import serving
from client_scripts import FORBIDDEN, REPORT, Job, call, conversations, loop, plan
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
run = ["python", "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:schemathesis", "-p", "no:anyio", "-p", "no:xdist", "-p", "no:timeout"]
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
DONE = {"text": REPORT.format(path="src/a.py")}
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


@pytest.mark.long
def test_an_overloaded_model_is_waited_for_and_takes_no_attempt_of_the_ticket(demo: Demo) -> None:
    busy = {"fault": "status", "status": 429, "retry_after": 1, "times": 12, **call("read_file", path="src/lib.py")}
    with served(demo, one(demo, before=[busy])):
        outcome = demo.feature("one module", exits=0)
    assert outcome["tickets"][0]["state"] == "landed"
    log = [event["kind"] for event in demo.log() if event["ticket"] == "T-0001"]
    assert "attempt.failed" not in log


@pytest.mark.long
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


@pytest.mark.long
def test_a_refused_attempt_goes_on_in_the_same_conversation_and_is_told_the_findings_only(demo: Demo) -> None:
    wrong, right = (call("write_file", path="src/a.py", content=f"X = {number}\n") for number in (2, 1))
    with served(demo, one(demo, wrong, DONE, right, DONE)) as server:
        outcome = demo.feature("one module", exits=0)
    assert (outcome["tickets"][0]["state"], outcome["tickets"][0]["attempts"]) == ("landed", 2)
    rows = [row for row in server.requests() if row.get("conversation") == 0]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[2]["told"].startswith("# Your last attempt did not land")
    assert "acceptance" in rows[2]["told"]
    assert "# T-0001" not in rows[2]["told"]
    used = [event for event in demo.log() if event["kind"] == "spend.settled" and event["data"]["purpose"] == "work"]
    assert [event["data"]["used"]["tokens"] for event in used] == [2100, 2100]
    assert not list(demo.root.with_name("demo-wt").glob(".sessions/*"))


@pytest.mark.long
def test_a_conflict_with_a_persons_commit_is_told_with_both_intents_and_its_lines_alone(demo: Demo) -> None:
    lib = "".join(f"def f{number}() -> int:\n    return {number}\n\n\n" for number in range(40))
    rest = "def one() -> int:\n    return 1\n"
    tickets = [
        {
            **ONE[0],
            "scope": {"write": ["src/lib.py"]},
            "acceptance": [{"run": ["python", "-c", "import lib"], "timeout_s": 9}],
        }
    ]
    done = {"text": REPORT.format(path="src/lib.py")}

    def edit(old: str, new: str) -> dict[str, Any]:
        return call("edit_file", path="src/lib.py", old=old, new=new)

    script = {
        "conversations": [
            {"when": "What landed meanwhile", "steps": [edit("return 700", "return 777"), done]},
            {
                "when": "# T-0001: ",
                "steps": [edit("return 7\n", "return 77\n"), {"fault": "slow", "seconds": 4, **done}],
            },
        ],
        "steps": [plan(tickets)],
    }
    demo.commit(**{"src/lib.py": lib + rest})
    with served(demo, script) as server:
        process = demo.start("feature", "a better seven", "--json")
        while not any(row.get("conversation") == 1 and row.get("step") == 1 for row in server.requests()):
            assert process.poll() is None
            time.sleep(0.05)
        demo.commit("Seven is seven hundred", **{"src/lib.py": lib.replace("return 7\n", "return 700\n") + rest})
        out, err = process.communicate(timeout=120)
    assert json.loads(out)["tickets"][0]["state"] == "landed", err
    assert "return 777" in demo.git("show", "main:src/lib.py")
    brief = (demo.root / ".orchestrate/logs/T-0001/2/brief.md").read_text(encoding="utf-8")
    assert "Seven is seven hundred" in brief
    assert "What your ticket wants: Add a." in brief
    assert "return 700" in brief
    assert "return 77\n" in brief
    assert "return 30" not in brief


@pytest.mark.long  # it sits a pause out that no driver sits out itself
def test_a_quota_beyond_a_step_is_waited_for_where_a_person_sees_it_and_can_stop_it(demo: Demo) -> None:
    busy = {"fault": "status", "status": 429, "retry_after": 21, "times": 1}
    script = one(demo)
    first, *others = script["conversations"][0]["steps"]
    script["conversations"][0]["steps"] = [{**busy, **first}, *others]
    with served(demo, script):
        process = demo.start("feature", "one module", "--json")
        deadline = time.monotonic() + 60
        while "(goes on at 2" not in (shown := demo.orchestrate("status", "T-0001").stdout):
            assert process.poll() is None, shown
            assert time.monotonic() < deadline, shown
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        process.communicate(timeout=60)
        assert (process.returncode, time.monotonic() - begun < 10) == (130, True)
        process = demo.start("resume", "--json")
        time.sleep(3)
        process.kill()
        process.communicate()
        done = demo.orchestrate("resume", "--json", exits=0)
    (ticket_done,) = json.loads(done.stdout)["tickets"]
    assert (ticket_done["state"], ticket_done["attempts"]) == ("landed", 2)
    waits = [event for event in demo.log() if event["kind"] == "ticket.waits"]
    assert len({event["data"]["until"] for event in waits}) == 1


@pytest.mark.long
def test_a_harness_killed_while_a_session_goes_on_ends_well_and_nothing_is_booked_twice(demo: Demo) -> None:
    wrong, right = (call("write_file", path="src/a.py", content=f"X = {number}\n") for number in (2, 1))
    nap = f"9.{time.monotonic_ns()}"
    script = one(demo, wrong, DONE, right, call("run", command=f"sleep {nap}"), DONE)
    with served(demo, script) as server:
        process = demo.start("feature", "one module")
        while not asleep(nap):
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert asleep(nap)  # its keeper holds it, and the next harness takes it over
        done = demo.orchestrate("resume", "--json", exits=0)
    (landed,) = json.loads(done.stdout)["tickets"]
    assert (landed["state"], landed["attempts"]) == ("landed", 2)
    assert [row["step"] for row in server.requests() if row.get("conversation") == 0] == [0, 1, 2, 3, 4]
    booked = [event["data"] for event in demo.log() if event["kind"] == "spend.settled"]
    work = [data for data in booked if data["purpose"] == "work"]
    assert [data["measured"] for data in work] == [True, True]
    assert [data["used"]["tokens"] for data in work] == [2100, 3150]
    assert landed["spend_usd"] == pytest.approx(sum(data["used"]["usd"] for data in work))


def asleep(nap: str) -> bool:
    return any(nap in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


TELLS = """#!/bin/sh
printf 'X = 1\\n' > src/a.py
[ "$ORCHESTRATE_ATTEMPT" = 1 ] || VAULT=nothing
echo "my key is $VAULT" >&2
sed "s/none by the author/used $VAULT/" > "$ORCHESTRATE_REPORT" <<'END'
{report}
END
"""


@pytest.mark.long
def test_a_secret_that_an_agent_tells_is_refused_and_in_no_log_event_report_or_page(demo: Demo) -> None:
    secret = "hunter2-hunter3-Hunter4"
    demo.write("tells.sh", TELLS.format(report=REPORT.format(path="src/a.py")))
    (demo.root / "tells.sh").chmod(0o755)
    with served(demo, {"steps": [plan(ONE)]}, executor="tells"):
        policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
        more = '[agents.tells]\nkind = "command"\ncommand = ["./tells.sh"]\nenv = ["VAULT"]\nmax_usd = 1.0\n'
        demo.commit(**{"orchestrate.toml": policy + more})
        object.__setattr__(demo, "variables", {**demo.variables, "VAULT": secret})
        outcome = demo.feature("one module", exits=0)
    assert (outcome["tickets"][0]["state"], outcome["tickets"][0]["attempts"]) == ("landed", 2)
    kept = [demo.root / ".orchestrate", demo.root / "memory", demo.root / ".git"]
    files = [file for folder in kept for file in folder.rglob("*") if file.is_file()]
    assert [str(file) for file in files if secret.encode() in file.read_bytes()] == []
    assert secret not in demo.git("notes", "--ref=orchestrate", "show", "main")
    assert "my key is hunt" in (demo.root / ".orchestrate/logs/T-0001/1/agent.log").read_text(encoding="utf-8")


@pytest.mark.long
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
    (file,) = (demo.root / ".orchestrate/tickets").glob("T-0001*.md")
    file.write_text(file.read_text(encoding="utf-8").replace("tokens: 3000", "tokens: 90000"), encoding="utf-8")
    with served(demo, {"steps": [DONE]}):
        demo.orchestrate("tickets", "retry", "T-0001", exits=0)
    assert demo.git("show", "main:src/a.py") == "X = 1"


@pytest.mark.long
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


@pytest.mark.parametrize(
    "nonsense", ["[" * 50_000, '{"a":' * 20_000, "a: " * 9_000, "- " * 9_000, "{" * 3_000 + "}" * 3_000]
)
@pytest.mark.long
def test_a_plan_that_is_no_plan_ends_the_feature_and_nothing_hangs(demo: Demo, nonsense: str) -> None:
    with served(demo, {"conversations": [], "steps": [{"text": nonsense}]}):
        process = demo.start("feature", "one module", "--json")
        _, err = process.communicate(timeout=90)
    assert process.returncode == 2, err[-2000:]


@pytest.mark.long
def test_a_plan_that_a_person_edits_is_carried_out(demo: Demo) -> None:
    script = one(demo)
    with served(demo, {**script, "steps": [plan(ONE)]}):
        planned = demo.feature("one module", "--dry-run", exits=0)
    assert planned["outcome"] == "planned"
