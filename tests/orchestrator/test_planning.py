"""The lead: its plan is checked, challenged, corrected at most twice and frozen; what is left open is asked, assumed or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import POLICY, script, ticket, writes

if TYPE_CHECKING:
    from pathlib import Path

    from demo_project import Demo

pytestmark = pytest.mark.e2e
CRITIC = '[agents.critic]\nkind = "scripted"\nscript = "critic.yaml"\n[roles]\nchallenger = "critic"\n'
MAJOR = {"severity": "major", "ticket": "a", "claim": "it proves nothing"}
MINOR = {"severity": "minor", "claim": "a better name"}


def plan(*tickets: dict[str, Any], **more: object) -> dict[str, Any]:
    """A plan with one requirement, which its tickets meet."""
    met = [{"meets": ["R1"], **one} for one in tickets]
    return {"request": "r", "requirements": [{"id": "R1", "text": "a is there"}], "tickets": met, **more}


GOOD = plan(ticket("a", new="src/a.py", accept="import a"), research="looked at src", data_flow="nothing flows")
UNTRACED = plan(ticket("a", new="src/a.py", accept="import a", meets=[]))


def prepare(demo: Demo, *plans: object, challenge: list[object] | None = None, policy: str = "") -> None:
    acts = json.loads(script([], {"add a": [writes("src/a.py", "X = 1\n")]}))
    text = POLICY.replace('lead = "actor"\n', f'lead = "actor"\n{policy}')
    files = {"script.yaml": json.dumps({**acts, "plan": list(plans)}), "orchestrate.toml": text}
    if challenge is not None:
        files |= {"orchestrate.toml": text + CRITIC, "critic.yaml": json.dumps({"challenge": challenge})}
    demo.commit(**files)


def play(demo: Demo, policy: str, script_file: str, code: str) -> None:
    """Put a program in the place of a script."""
    demo.write("agent.py", f"#!/usr/bin/env python3\n{code}")
    (demo.root / "agent.py").chmod(0o755)
    command = 'kind = "command"\ncommand = ["./agent.py"]'
    demo.commit(**{"orchestrate.toml": policy.replace(f'kind = "scripted"\nscript = "{script_file}"', command)})


def folder(demo: Demo, name: str = "F-0001") -> Path:
    return demo.root / ".orchestrate" / "features" / name


def steps(demo: Demo) -> list[str]:
    """What the log of the feature says, without number and time."""
    text = (folder(demo) / "progress.md").read_text(encoding="utf-8")
    return [line.split(" ", 3)[3] for line in text.splitlines() if line.startswith("- [")]


def show(demo: Demo, *arguments: str) -> dict[str, Any]:
    return demo.feature("one module", "--dry-run", *arguments, exits=0)


# corrections


@pytest.mark.long
def test_a_plan_that_cannot_be_carried_out_goes_back_with_its_problems(demo: Demo) -> None:
    prepare(demo, UNTRACED, GOOD)
    done = demo.orchestrate("feature", "one module", "--dry-run", exits=0)
    told = done.stderr.splitlines()
    assert told[0].startswith(
        "planned: the plan has 2 problems: the plan of actor:1: requirements.0: expected a ticket"
    )
    assert told[1] == "corrected: 1 ticket in 1 wave"


def test_a_plan_is_corrected_at_most_twice(demo: Demo) -> None:
    plans = [plan(ticket("a", new=f"/{number}", accept="import a")) for number in range(3)]
    prepare(demo, *plans, GOOD)
    done = demo.orchestrate("feature", "one module", "--dry-run", exits=2)
    assert "'/2'" in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_the_same_wrong_plan_again_ends_it(demo: Demo) -> None:
    prepare(demo, UNTRACED, UNTRACED, GOOD)
    done = demo.orchestrate("feature", "one module", "--dry-run", exits=2)
    assert "the lead gave the same plan again" in done.stderr


@pytest.mark.parametrize("answer", ["I would rather not.", "", "- a list", "{broken"])
def test_what_is_no_plan_at_all_is_not_sent_back(demo: Demo, answer: str) -> None:
    prepare(demo, answer, GOOD)
    done = demo.orchestrate("feature", "one module", "--dry-run", exits=2)
    assert "the plan of actor:1: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
def test_a_plan_within_prose_is_found_and_one_that_is_broken_goes_back(demo: Demo) -> None:
    prepare(demo, "request: r\ntickets: [\n", f"My plan:\n```json\n{json.dumps(GOOD)}\n```\n")
    assert show(demo)["plan"]["research"] == "looked at src"


# the challenge


def test_objections_send_the_plan_back_until_they_are_minor(demo: Demo) -> None:
    better = {**GOOD, "data_flow": "everything flows"}
    prepare(demo, GOOD, better, challenge=[[MAJOR], [MINOR]])
    shown = show(demo)["plan"]
    assert shown["data_flow"] == "everything flows"
    assert shown["unresolved"] == ["minor, the plan: a better name"]


@pytest.mark.long
def test_what_stays_open_after_two_corrections_is_written_into_the_frozen_plan(demo: Demo) -> None:
    prepare(demo, *({**GOOD, "data_flow": str(number)} for number in range(4)), challenge=[[MAJOR]])
    shown = show(demo)["plan"]
    assert (shown["data_flow"], shown["unresolved"]) == ("2", ["major, a: it proves nothing"])


@pytest.mark.long
def test_a_worse_correction_leaves_the_last_plan_that_can_be_carried_out(demo: Demo) -> None:
    prepare(demo, GOOD, UNTRACED, challenge=[[MAJOR]])
    shown = show(demo)["plan"]
    assert shown["research"] == "looked at src"
    assert shown["unresolved"] == ["major, a: it proves nothing"]


@pytest.mark.long
def test_a_challenger_that_answers_nonsense_stops_nothing_and_is_named(demo: Demo) -> None:
    prepare(demo, GOOD, challenge=["I like it."])
    (said,) = show(demo)["plan"]["unresolved"]
    assert said.startswith("nobody challenged this plan: the findings of critic:1: expected a list of findings")


def test_the_challenger_sees_the_plan_and_nothing_else(demo: Demo) -> None:
    code = (
        "import os, pathlib, sys\n"
        "brief = sys.stdin.read()\n"
        "assert 'a is there' in brief and 'src/a.py' in brief\n"
        "for unseen in ('looked at src', 'lib.py', 'one module', 'what was learned'):\n"
        "    assert unseen not in brief, unseen\n"
        "assert not [path for path in pathlib.Path().rglob('*') if path.is_file()]\n"
        "pathlib.Path(os.environ['ORCHESTRATE_REPORT']).write_text('- {severity: minor, claim: saw it}')\n"
    )
    prepare(demo, GOOD, challenge=[])
    demo.write("memory/demo.md", "# demo\n\n## 2026-01-01 F-0000: one module [E3]\n\nwhat was learned\n")
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    play(demo, policy, "critic.yaml", code)
    assert show(demo)["plan"]["unresolved"] == ["minor, the plan: saw it"]


# what the lead is told


@pytest.mark.long
def test_the_lead_gets_request_map_and_lessons_that_fit_and_its_own_plan_when_it_comes_back(demo: Demo) -> None:
    code = (
        "import os, pathlib, sys\n"
        "brief = sys.stdin.read()\n"
        "assert 'one module' in brief and 'src/lib.py (31 B): one()' in brief, brief\n"
        "assert 'what was learned' in brief and 'quite another thing' not in brief\n"
        "back = 'Your plan came back' in brief\n"
        "assert not back or 'nobody asked for what meets no requirement' in brief\n"
        f"plans = {[json.dumps(UNTRACED), json.dumps(GOOD)]!r}\n"
        "pathlib.Path(os.environ['ORCHESTRATE_REPORT']).write_text(plans[back])\n"
    )
    prepare(demo, GOOD)
    lessons = "## 2026-01-01 F-0000: one module [E3]\n\nwhat was learned\n\n## 2026-01-02 F-00: x [E3]\n\nquite another thing\n"
    demo.write("memory/demo.md", f"# demo\n\n{lessons}")
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    play(demo, policy, "script.yaml", code)
    assert show(demo)["plan"]["research"] == "looked at src"


# artefacts


def test_notes_plan_and_log_are_written_before_a_ticket_starts(demo: Demo) -> None:
    prepare(demo, UNTRACED, GOOD, challenge=[[], [MINOR]])
    demo.feature("one module", exits=0)
    log = steps(demo)
    assert log[0] == "asked: one module"
    assert log[1].startswith("planned: the plan has 2 problems")
    assert log[2:4] == [
        "corrected: 1 ticket in 1 wave",
        "challenged: 1 objection, the heaviest minor, the plan: a better name",
    ]
    assert log[4].startswith("frozen as ")
    assert log[4].endswith(": a is T-0001")
    assert "T-0001 attempt 1 started" in log[5:]
    assert log[-2:] == ["T-0001 landed", "ended: landed"]
    text = (folder(demo) / "plan.md").read_text(encoding="utf-8")
    assert log[4].split()[2].rstrip(":") in text
    assert "T-0001 a, shown by `python -c import a`" in text
    assert "looked at src" in (folder(demo) / "research.md").read_text(encoding="utf-8")
    (frozen,) = (event["data"] for event in demo.log() if event["kind"] == "feature.planned")
    assert frozen["sha256"] in text


@pytest.mark.long
def test_a_dry_run_lays_the_plan_out_and_what_is_edited_there_can_be_started(demo: Demo) -> None:
    prepare(demo, GOOD)
    file = folder(demo, "draft-0001") / "plan.yaml"
    assert show(demo)["file"] == str(file)
    assert show(demo)["file"] == str(file)
    file.write_text(file.read_text(encoding="utf-8").replace("title: add a", "title: add a, edited"), encoding="utf-8")
    assert show(demo)["file"] == str(folder(demo, "draft-0002") / "plan.yaml")
    shown = demo.feature("--plan", str(file), "--dry-run", exits=0)
    assert (shown["file"], shown["tickets"][0]["title"]) == (str(file), "add a, edited")


@pytest.mark.long
def test_a_dry_run_shows_waves_costs_and_risks(demo: Demo) -> None:
    a = ticket("a", new="src/a.py", accept="import a", estimate={"usd": 0.25, "minutes": 4})
    b = ticket("b", new="src/b.py", accept="import b", depends_on=["a"], estimate={"minutes": 6})
    c = ticket("c", new="src/c.py", accept="import c", cost={"gpu": "T4", "hours": 2}, estimate={"minutes": 1})
    d = ticket("d", new="src/d.py", accept="import d", cost={"gpu": "B300", "hours": 2}, estimate={"minutes": 1})
    prepare(demo, plan(a, b, c, d, risks=[{"what": "it is slow", "severity": "high", "mitigation": "measure"}]))
    rates = 'source = "x"\ndate = 2999-01-01\ncurrency = "USD"\n[gpus]\nT4 = 0.5\n'
    from datetime import UTC, datetime

    demo.commit(**{"rates.toml": rates.replace("2999-01-01", datetime.now(UTC).date().isoformat())})
    text = demo.orchestrate("feature", "x", "--dry-run", exits=0).stdout
    for line in (
        "  wave 2\n    b: add b (after a)\n",
        "    a: add a, $0.25\n",
        "    c: add c, $1.00\n",
        "  longest way: a -> b (10 minutes)\n",
        "  cost: $1.25; d has no price (no rate for B300)\n",
        "  requirement R1: a is there (a, b, c, d)\n",
        "  risk, high: it is slow; against it: measure\n",
        "draft-0001/plan.yaml",
    ):
        assert line in text, text


# what is left open

ASKS = {
    **GOOD,
    "questions": [{"text": "Which port?", "default": "8000"}, {"text": "Which host?", "default": "localhost"}],
}


@pytest.mark.long
def test_by_default_what_is_left_open_is_assumed_and_recorded(demo: Demo) -> None:
    prepare(demo, ASKS)
    assert show(demo)["assumptions"] == ["Which port? 8000", "Which host? localhost"]


@pytest.mark.long
def test_a_question_without_a_default_goes_back_where_defaults_are_assumed(demo: Demo) -> None:
    prepare(demo, {**GOOD, "questions": [{"text": "Which port?"}]}, GOOD)
    done = demo.orchestrate("feature", "x", "--dry-run", exits=0)
    assert "expected a default for 'Which port?'" in done.stderr


def test_a_request_that_leaves_something_open_can_be_refused(demo: Demo) -> None:
    prepare(demo, ASKS, policy='on_ambiguity = "refuse"\n')
    done = demo.orchestrate("feature", "x", exits=2)
    assert "  - Which port? (otherwise: 8000)" in done.stderr
    assert json.loads(demo.orchestrate("tickets", "list", "--json", exits=0).stdout) == []


@pytest.mark.long
def test_a_person_is_asked_and_the_answers_reach_the_tickets(demo: Demo) -> None:
    prepare(demo, ASKS, policy='on_ambiguity = "ask"\n')
    outcome = demo.feature("x", exits=3)
    assert (outcome["outcome"], outcome["tickets"]) == ("waiting", [])
    assert [question["text"] for question in outcome["questions"]] == ["Which port?", "Which host?"]
    file = folder(demo) / "plan.yaml"
    assert outcome["plan"] == str(file)
    text = demo.orchestrate("resume", "F-0001", exits=3).stdout
    assert "F-0001 waits for your answers" in text
    assert f"orchestrate feature --plan {file}" in text
    asked = file.read_text(encoding="utf-8")
    file.write_text(asked.replace("answer: ''", "answer: 9000", 1), encoding="utf-8")
    waits = demo.orchestrate("feature", "--plan", str(file), exits=3).stderr
    assert "Which host?" in waits
    assert "Which port?" not in waits
    file.write_text(asked.replace("answer: ''", "answer: 9000"), encoding="utf-8")
    assert demo.feature("--plan", str(file), exits=0)["outcome"] == "landed"
    shown = demo.orchestrate("tickets", "show", "T-0001", exits=0).stdout
    assert "- Which port? 9000\n- Which host? 9000" in shown


# rules of the repository


@pytest.mark.parametrize(
    ("policy", "change", "saying"),
    [
        ("", {"role": "nobody-knows"}, "there is no role"),
        (
            '[scope]\nshared_interfaces = ["src/lib.py"]\n',
            {"scope": {"write": ["src/lib.py"]}},
            "the shared interface src/lib.py",
        ),
        ("", {"scope": {"new": ["db/migrations/versions/0001_x.py"]}}, "it migrates the database"),
        ("", {"interfaces": True}, "it changes what other tickets rely on"),
    ],
)
def test_roles_and_shared_parts_are_held_to(demo: Demo, policy: str, change: dict[str, Any], saying: str) -> None:
    demo.write("orchestrate.toml", POLICY + policy)
    demo.write("plan.json", json.dumps(plan(ticket("a", new="src/a.py", accept="import a", **change))))
    assert saying in demo.orchestrate("feature", "--plan", "plan.json", "--dry-run", exits=2).stderr


@pytest.mark.long
def test_the_leads_own_tickets_on_shared_parts_come_first(demo: Demo) -> None:
    shared = ticket("b", new="x", accept="import lib", scope={"write": ["src/lib.py"]}, role="lead")
    demo.commit(**{"orchestrate.toml": POLICY + '[scope]\nshared_interfaces = ["src/*.py"]\n'})
    demo.write("plan.json", json.dumps(plan(ticket("a", new="src/a.py", accept="import a"), shared)))
    shown = demo.feature("--plan", "plan.json", "--dry-run", exits=0)
    assert shown["waves"] == [["b"], ["a"]]
    assert shown["notes"] == ["b comes first: it changes the shared interface src/lib.py"]
