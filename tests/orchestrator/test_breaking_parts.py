"""What must hold inside a run: no stage raises, no count is passed side by side, nothing grows without a bound."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from agents.protocol import ToolCall
from demo_project import POLICY, script, ticket, writes
from gates.live.decision import Decision
from memory.events import read
from memory.records import AttemptRow
from orchestrator import stages
from orchestrator.bench import session_folder
from orchestrator.keeping import rescue
from orchestrator.lead.followups import DECIDED, Reported, consult
from orchestrator.permission import Desk
from orchestrator.workspace import Workspace
from tickets.plan import read_plan
from tickets.states import State

if TYPE_CHECKING:
    from pathlib import Path

    from demo_project import Demo

ASKED = "## Summary\n\nx\n\n## Questions\n\n- Is `one` to be renamed?\n\n## Out-of-Scope Issues Found\n\nnone\n"


def begun(demo: Demo, *, planning: str = "", follow_up: list[object] | None = None, count: int = 2) -> Workspace:
    """A feature with some tickets that nobody has worked on."""
    policy = POLICY.replace('lead = "actor"\n', f'lead = "actor"\n{planning}')
    demo.commit(**{"orchestrate.toml": policy, "script.yaml": json.dumps({"follow_up": follow_up or []})})
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    tickets = [ticket(name, new=f"src/{name}.py", accept=f"import {name}") for name in "abcdefgh"[:count]]
    plan = read_plan(json.dumps({"request": "modules", "tickets": tickets}), "plan", max_tickets=count)
    feature = workspace.records.add_feature("modules", options={}, target="main", before=workspace.head())
    workspace.records.set_plan(feature, plan)
    return workspace


def ended(workspace: Workspace, **outcome: object) -> None:
    """An attempt of T-0001 that ended so."""
    number = workspace.records.start_attempt("T-0001", base="b", start="b", worktree="")
    row = AttemptRow(ticket="T-0001", number=number, base="b", start="b", state="running", outcome=None, changes=None)
    workspace.records.set_attempt(row, "interrupted", outcome={"agent": "actor", "reason": "why", **outcome})
    workspace.records.move("T-0001", State.READY, "why")


@pytest.mark.parametrize("outcome", [{"cause": "of a later version"}, {"cause": "quota", "ended_at": 1e300}])
def test_a_record_that_cannot_be_read_ends_its_ticket_and_not_the_run(demo: Demo, outcome: dict[str, object]) -> None:
    workspace = begun(demo)
    ended(workspace, **outcome)
    stages.Room.current = stages.Room(workspace)
    assert stages.attempt("T-0001") == "ended"
    assert workspace.records.ticket("T-0001").state is State.FAILED


def test_tickets_side_by_side_do_not_ask_the_lead_oftener_than_allowed(demo: Demo) -> None:
    answers: list[object] = [{"decision": "nothing", "why": "no"}] * 8
    workspace = begun(demo, planning="max_follow_ups = 2\n", follow_up=answers, count=8)
    together = threading.Barrier(8)

    def asks(name: str) -> None:
        row = workspace.records.ticket(name)
        together.wait()
        consult(workspace, row, Reported(text=ASKED, attempt=1, passed=False))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asks, [row.id for row in workspace.records.tickets()]))
    assert sum(event.kind == DECIDED for event in read(workspace.database)) == 2


def test_tickets_side_by_side_do_not_add_more_than_the_plan_has_room_for(demo: Demo) -> None:
    more = [ticket(name, new=f"src/{name}.py", accept=f"import {name}") for name in ("x", "y")]
    answers: list[object] = [{"decision": "add", "why": "they are missing", "tickets": more}] * 4
    planning = "max_follow_ups = 9\nmax_tickets = 6\n"
    workspace = begun(demo, planning=planning, follow_up=answers, count=4)
    together = threading.Barrier(4)

    def asks(name: str) -> None:
        row = workspace.records.ticket(name)
        together.wait()
        consult(workspace, row, Reported(text=ASKED, attempt=1, passed=False))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(asks, [row.id for row in workspace.records.tickets()]))
    assert len(workspace.records.tickets()) == 6


def test_sessions_of_tickets_that_are_over_are_removed_and_others_stay(demo: Demo) -> None:
    workspace = begun(demo, count=2)
    for row in workspace.records.tickets():
        folder = session_folder(workspace, row.id, "co-der")
        folder.mkdir(parents=True)
        (folder / "history.json").write_text("{}", encoding="utf-8")
        folder.chmod(0)
    workspace.records.move("T-0001", State.ABANDONED, "by a person")
    rescue(workspace)
    left = [path.name for path in workspace.worktrees.glob(".sessions/*")]
    assert left == ["T-0002-co-der"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("blocked", "exits"), [pytest.param("memory", 0, marks=pytest.mark.long), (".orchestrate/features", 2)]
)
def test_a_place_that_cannot_be_written_ends_the_run_and_nothing_hangs(demo: Demo, blocked: str, exits: int) -> None:
    one = ticket("a", new="src/a.py", accept="import a")
    demo.commit(**{"script.yaml": script([one], {"add a": [writes("src/a.py", "X = 1\n")]})})
    demo.write(blocked, "a file where a folder is to be")
    process = demo.start("feature", "one module", "--json")
    _, err = process.communicate(timeout=90)
    assert process.returncode == exits, err
    assert "directory" in err or "exists" in err


def test_a_ticket_that_a_person_lets_go_of_while_it_waits_does_not_hold_the_run(demo: Demo) -> None:
    workspace = begun(demo)
    ended(workspace, cause="quota", ended_at=time.time(), again_at=time.time() + 3600)
    stages.Room.current = stages.Room(workspace)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(stages.attempt, "T-0001")
        while "goes on at" not in workspace.records.ticket("T-0001").reason:
            assert not waits.done()
            time.sleep(0.02)
        workspace.records.move("T-0001", State.ABANDONED, "by a person")
        assert waits.result(timeout=20) == "ended"
    assert workspace.records.ticket("T-0001").state is State.ABANDONED


@pytest.mark.e2e
@pytest.mark.long
def test_what_a_person_permitted_is_told_to_the_next_attempt(demo: Demo) -> None:
    one = ticket("a", new="src/a.py", accept="import a; assert a.X == 1", requires=["dependency"])
    steps = [writes("src/a.py", "X = 2\n"), writes("src/a.py", "X = 1\n")]
    demo.commit(**{"script.yaml": script([one], {"add a": steps})})
    demo.feature("one module", exits=3)
    done = json.loads(demo.orchestrate("approve", "G-0001", "--reason", "fine", "--json", exits=0).stdout)
    assert (done["tickets"][0]["state"], done["tickets"][0]["attempts"]) == ("landed", 2)
    briefs = [(demo.root / f".orchestrate/logs/T-0001/{number}/brief.md").read_text("utf-8") for number in (1, 2)]
    told = "A person permitted this ticket by now, whatever is said above:\n- dependency: any dependency change"
    assert [told in brief for brief in briefs] == [False, True]


# the live gate's memory


def test_a_gate_whose_log_is_full_says_no_from_then_on(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as log:
        desk = Desk(judge=lambda _: Decision(allowed=True, reason="fine"), log=log, _room=2000)
        answers = [
            desk.ask({"tool_name": "Read", "tool_input": {"file_path": "/a"}, "tool_use_id": f"c{number}"})
            for number in range(40)
        ]
    allowed = [answer.allowed for answer in answers]
    assert allowed[0] is True
    assert allowed[-1] is False
    assert "full" in answers[-1].reason
    assert len((tmp_path / "log").read_bytes()) < 4000
    assert len(desk.ungated((ToolCall(id="c0", tool="Read", refused=False),))) == 0
    assert len(desk.ungated((ToolCall(id="c39", tool="Read", refused=False),))) == 1


def test_names_of_calls_of_any_length_are_known_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as log:
        desk = Desk(judge=lambda _: Decision(allowed=True, reason="fine"), log=log)
        name = "\ud800" + "x" * (1 << 20)
        desk.ask({"tool_name": "Read", "tool_input": {"file_path": "/a"}, "tool_use_id": name})
    assert desk.ungated((ToolCall(id=name, tool="Read"),)) == []
    assert len(desk.ungated((ToolCall(id=name + "x", tool="Read"),))) == 1
