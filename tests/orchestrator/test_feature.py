"""The main job, end to end: real git, real processes, the real command line."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e
OUTCOME = {"feature", "request", "outcome", "tickets", "target", "spend_usd", "seconds"}
TICKET = {"id", "title", "state", "reason", "attempts", "base", "head", "landed", "verdict", "worktree", "spend_usd"}


def states(outcome: dict[str, Any]) -> dict[str, str]:
    return {row["title"]: row["state"] for row in outcome["tickets"]}


def test_two_independent_tickets_land_and_the_clean_checkout_follows(demo: Demo) -> None:
    before = demo.git("rev-parse", "main")
    outcome = demo.feature("two modules", exits=0)
    assert set(outcome) >= OUTCOME
    assert all(set(row) == TICKET for row in outcome["tickets"])
    assert outcome["outcome"] == "landed"
    assert outcome["target"] == {"branch": "main", "before": before, "after": demo.git("rev-parse", "main")}
    assert (demo.root / "src/a.py").read_text(encoding="utf-8") == "X = 1\n"
    assert demo.git("status", "--porcelain", "--untracked-files=no") == ""
    assert not list(demo.root.with_name("demo-wt").glob("t-*"))


@pytest.mark.long
def test_a_landing_names_its_ticket_and_its_report(demo: Demo) -> None:
    outcome = demo.feature("two modules", exits=0)
    for row in outcome["tickets"]:
        message = demo.git("log", "-1", "--format=%an <%ae>%n%B", row["landed"])
        assert message.startswith("Ada <ada@example.org>")
        assert f"Ticket: {row['id']}" in message
        assert f"Feature: {outcome['feature']}" in message
        assert "Co-authored-by" not in message
        report = message.partition("Gate-Report: ")[2].split()[0]
        file = demo.root / ".orchestrate" / "reports" / f"{report}.json"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == report
        notes = json.loads(demo.git("notes", "--ref=refs/notes/orchestrate", "show", row["landed"]))
        assert [note["pass"] for note in notes] == ["worktree", "integrated"]
        assert notes[1]["tree"] == demo.git("rev-parse", f"{row['landed']}^{{tree}}")


@pytest.mark.long
def test_every_first_parent_of_the_target_is_a_judged_tree(demo: Demo) -> None:
    demo.feature("two modules", exits=0)
    judged = {
        json.loads(file.read_text(encoding="utf-8"))["tree"]
        for file in (demo.root / ".orchestrate/reports").glob("*.json")
        if json.loads(file.read_text(encoding="utf-8"))["verdict"] == "pass"
    }
    landed = demo.first_parents()[:-1]
    assert len(landed) == 2
    assert {demo.git("rev-parse", f"{commit}^{{tree}}") for commit in landed} <= judged


def test_an_agent_that_writes_outside_its_scope_is_refused_with_the_path_while_others_land(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a"), ticket("bad", new="src/bad.py", accept="import bad")]
    hostile = [
        {"write": {"path": "src/lib.py", "text": "def one() -> int:\n    return 1  # mine now\n"}},
        *writes("src/bad.py", "Y = 1\n"),
    ]
    demo.commit(**{"script.yaml": script(tickets, {"add a": [writes("src/a.py", "X = 1\n")], "add bad": [hostile]})})
    outcome = demo.feature("x", exits=1)
    assert states(outcome) == {"add a": "landed", "add bad": "rejected"}
    assert outcome["outcome"] == "partial"
    refused = next(row for row in outcome["tickets"] if row["state"] == "rejected")
    assert "src/lib.py" in refused["reason"]
    report = json.loads(demo.orchestrate("report", refused["id"], "--format", "json", exits=0).stdout)
    scope = next(gate for gate in report["gates"] if gate["name"] == "scope")
    assert [finding["path"] for finding in scope["findings"]] == ["src/lib.py"]
    # nothing is lost: what it wrote is in the archive
    assert "mine now" in demo.git("show", f"refs/orchestrate/attempts/{refused['id']}/1:src/lib.py")


def test_a_refused_attempt_goes_back_with_the_evidence_and_lands(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a; assert a.X == 1")]
    steps = {
        "add a": [
            writes("src/a.py", "X = 2\n"),
            [
                {"shell": "cat \"$ORCHESTRATE_BRIEF\" | grep -c 'What was wrong' >&2; sed -i s/2/1/ src/a.py"},
                {
                    "report": "## Summary\nx\n## Files Changed\n- src/a.py\n## Verification\nnone\n## Risks / Edge Cases\nnone\n## Out-of-Scope Issues Found\nnone\n"
                },
            ],
        ]
    }
    demo.commit(**{"script.yaml": script(tickets, steps)})
    outcome = demo.feature("x", exits=0)
    assert outcome["tickets"][0]["attempts"] == 2
    assert (demo.root / ".orchestrate/logs/T-0001/2/agent.log").read_text(encoding="utf-8").strip() == "1"


def test_a_dependent_ticket_waits_and_sees_what_landed(demo: Demo) -> None:
    tickets = [
        ticket("a", new="src/a.py", accept="import a"),
        ticket("b", new="src/b.py", accept="import b; assert b.Y == 1", depends_on=["a"]),
    ]
    steps = {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "from a import X as Y\n")]}
    demo.commit(**{"script.yaml": script(tickets, steps)})
    outcome = demo.feature("x", exits=0)
    assert outcome["tickets"][1]["base"] == outcome["tickets"][0]["landed"]


@pytest.mark.long
def test_what_depends_on_a_rejected_ticket_is_blocked(demo: Demo) -> None:
    tickets = [
        ticket("a", new="src/a.py", accept="import nothing"),
        ticket("b", new="src/b.py", accept="import b", depends_on=["a"]),
    ]
    steps = {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "Y = 1\n")]}
    demo.commit(**{"script.yaml": script(tickets, steps)})
    outcome = demo.feature("x", exits=1)
    assert states(outcome) == {"add a": "rejected", "add b": "blocked"}
    assert outcome["outcome"] == "refused"
    assert outcome["tickets"][1]["reason"] == "waits for T-0001, which was rejected"


@pytest.mark.long
def test_green_apart_and_broken_together_is_found_on_the_merge(demo: Demo) -> None:
    tickets = [
        ticket("a", new="src/a.py", accept="import a"),
        ticket("b", new="src/b.py", accept="import glob; assert len(glob.glob('src/[ab].py')) == 1"),
    ]
    demo.commit(
        **{
            "script.yaml": script(
                tickets,
                {"add a": [writes("src/a.py", "X = 1\n")], "add b": [[{"sleep": 1.5}, *writes("src/b.py", "X = 2\n")]]},
            )
        }
    )
    outcome = demo.feature("x", exits=1)
    assert states(outcome) == {"add a": "landed", "add b": "rejected"}
    passes = [
        report["data"]["verdict"]
        for report in demo.log()
        if report["kind"] == "gates.judged" and report["ticket"] == "T-0002" and report["data"]["pass"] == "integrated"
    ]
    assert passes[:1] == ["fail"]


@pytest.mark.long
def test_overlapping_scopes_become_an_order_and_the_plan_says_so(demo: Demo) -> None:
    tickets = [ticket("a", new="src/**", accept="import a"), ticket("b", new="src/b.py", accept="import b")]
    demo.commit(
        **{
            "script.yaml": script(
                tickets, {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "X = 2\n")]}
            )
        }
    )
    plan = demo.feature("x", "--dry-run", exits=0)
    assert plan["outcome"] == "planned"
    assert plan["waves"] == [["a"], ["b"]]
    assert plan["notes"] == ["b waits for a: both may write src/** and src/b.py"]
    assert demo.feature("x", exits=0)["outcome"] == "landed"


@pytest.mark.long
def test_an_identical_tree_is_tested_once(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    demo.commit(**{"script.yaml": script(tickets, {"add a": [writes("src/a.py", "X = 1\n")]})})
    demo.feature("x", exits=0)
    runs = [
        path
        for path in (demo.root / ".orchestrate/logs/T-0001/1").rglob("*.log")
        if " passed" in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert len(runs) == 1


@pytest.mark.long
def test_the_memory_page_tells_refused_attempts_too(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a; assert a.X == 1")]
    demo.commit(
        **{"script.yaml": script(tickets, {"add a": [writes("src/a.py", "X = 2\n"), writes("src/a.py", "X = 1\n")]})}
    )
    demo.feature("x", exits=0)
    page = (demo.root / "memory/demo.md").read_text(encoding="utf-8")
    assert "F-0001: x [E3]" in page
    assert "T-0001 add a: landed as" in page
    assert "T-0001 attempt 1 was refused: acceptance:" in page
    assert demo.orchestrate("memory", "show", exits=0).stdout.strip() == page.strip()


@pytest.mark.long
def test_the_event_log_is_whole_and_a_changed_event_is_found(demo: Demo) -> None:
    demo.feature("two modules", exits=0)
    verified = json.loads(demo.orchestrate("log", "--verify", "--json", exits=0).stdout)
    assert verified["intact"]
    assert verified["events"] > 10
    import sqlite3

    with sqlite3.connect(demo.root / ".orchestrate/signalbox.sqlite") as connection:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("UPDATE events SET data = '{}' WHERE seq = 3")
        connection.execute("DROP TRIGGER events_are_final")
        connection.execute("UPDATE events SET data = '{}' WHERE seq = 3")
    connection.close()
    assert json.loads(demo.orchestrate("log", "--verify", "--json", exits=1).stdout)["broken_at"] == 3


@pytest.mark.long
def test_a_dirty_checkout_keeps_every_byte_and_the_person_is_told(demo: Demo) -> None:
    demo.write("src/lib.py", "def one() -> int:\n    return 1  # my unsaved thought\n")
    demo.write("notes.txt", "mine\n")
    done = demo.orchestrate("feature", "two modules", exits=0)
    assert "my unsaved thought" in (demo.root / "src/lib.py").read_text(encoding="utf-8")
    assert (demo.root / "notes.txt").read_text(encoding="utf-8") == "mine\n"
    assert "src/lib.py" in done.stderr
    assert "left as they are" in done.stderr
    assert demo.git("diff", "--name-only", "HEAD") == "src/lib.py"


@pytest.mark.long
def test_uncommitted_work_in_the_way_of_a_landing_makes_it_wait(demo: Demo) -> None:
    demo.write("src/a.py", "mine, untracked\n")
    outcome = demo.feature("two modules", exits=3)
    assert states(outcome) == {"add a": "blocked", "add b": "landed"}
    assert outcome["outcome"] == "waiting"
    assert "src/a.py" in outcome["tickets"][0]["reason"]
    assert (demo.root / "src/a.py").read_text(encoding="utf-8") == "mine, untracked\n"
    (demo.root / "src/a.py").unlink()
    assert json.loads(demo.orchestrate("resume", "F-0001", "--json", exits=0).stdout)["outcome"] == "landed"


@pytest.mark.long
def test_a_rejected_ticket_can_be_edited_and_sent_again(demo: Demo) -> None:
    tickets = [
        ticket("a", new="src/a.py", accept="import a; assert a.X == 5"),
        ticket("b", new="src/b.py", accept="import b", depends_on=["a"]),
    ]
    demo.commit(
        **{
            "script.yaml": script(
                tickets, {"add a": [writes("src/a.py", "X = 1\n")], "add b": [writes("src/b.py", "X = 1\n")]}
            )
        }
    )
    demo.feature("x", exits=1)
    file = next((demo.root / ".orchestrate/tickets").glob("T-0001*.md"))
    file.write_text(file.read_text(encoding="utf-8").replace("a.X == 5", "a.X == 1"), encoding="utf-8")
    outcome = json.loads(demo.orchestrate("tickets", "retry", "T-0001", "--json", exits=0).stdout)
    assert outcome["outcome"] == "landed"
    assert json.loads(demo.orchestrate("tickets", "show", "T-0001", "--json", exits=0).stdout)["revision"] == 2


@pytest.mark.long
def test_a_plan_file_and_a_ticket_from_another_worktree(demo: Demo) -> None:
    plan = {"request": "from a file", "tickets": [ticket("a", new="src/a.py", accept="import a")]}
    demo.write("plan.yaml", json.dumps(plan))
    demo.git("worktree", "add", "-q", "--detach", str(demo.root.with_name("elsewhere")), "main")
    outcome = demo.feature("--plan", "plan.yaml", "--repo", str(demo.root.with_name("elsewhere")), exits=0)
    assert outcome["request"] == "from a file"
    assert (demo.root / "src/a.py").is_file()


@pytest.mark.long
def test_a_ticket_file_by_hand_is_a_plan_of_one(demo: Demo) -> None:
    made = json.loads(demo.orchestrate("tickets", "new", "Module c", "--json", exits=0).stdout)["file"]
    text = (demo.root / made).read_text(encoding="utf-8").replace("path/of/a/new/file", "src/c.py")
    text = text.replace("- -m\n  - pytest\n  - path/of/a/test", "- -c\n  - import c")
    steps = script([], {"Module c": [writes("src/c.py", "X = 1\n")]})
    demo.commit(**{"mine.md": text, "script.yaml": steps})
    assert demo.feature("--plan", "mine.md", exits=0)["tickets"][0]["title"] == "Module c"


@pytest.mark.long
def test_a_person_opens_a_tickets_branch(demo: Demo) -> None:
    demo.feature("two modules", exits=0)
    opened = json.loads(demo.orchestrate("worktrees", "open", "T-0001", "--json", exits=0).stdout)
    assert (demo.root / opened["path"] / "src/a.py").read_text(encoding="utf-8") == "X = 1\n"
    assert opened["branch"] == "tickets/t-0001-add-a"
