"""An independent auditor, end to end: what it must prove, when it is asked, and what it never sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import POLICY, script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e
READER = '[agents.reader]\nkind = "scripted"\nscript = "audits.yaml"\n[roles]\nauditor = "reader"\n'
ALWAYS = POLICY + READER + '[audit]\nwhen = "always"\n'
BLOCKER = {
    "path": "src/a.py",
    "line": 1,
    "quote": "X = 2",
    "severity": "blocker",
    "claim": "X is 2 where 1 was asked for",
    "why": "the objective names 1",
}
CONFIRMED = {"findings": [{"index": 0, "verdict": "confirmed", "because": "line 1"}], "missed": []}
NOTHING: list[dict[str, list[str]]] = [{"findings": []}, {"findings": [], "missed": []}]


def prepare(demo: Demo, audits: list[Any], *texts: str, policy: str = ALWAYS) -> None:
    """One ticket that adds src/a.py, whose attempts write the texts one after the other."""
    plan = [ticket("a", new="src/a.py", accept="import a")]
    steps = {"add a": [writes("src/a.py", text) for text in texts]}
    audit = json.dumps({"audit": audits})
    demo.commit(**{"orchestrate.toml": policy, "script.yaml": script(plan, steps), "audits.yaml": audit})


def reports(demo: Demo) -> list[dict[str, Any]]:
    """What the gate `audit` said in each pass, in order."""
    found = [event["data"] for event in demo.log() if event["kind"] == "gates.judged"]
    texts = [(demo.root / ".orchestrate" / "reports" / f"{one['report']}.json").read_text() for one in found]
    gates = [(report["pass"], gate) for report in map(json.loads, texts) for gate in report["gates"]]
    return [{**gate, "pass": stage} for stage, gate in gates if gate["name"] == "audit"]


def asked(demo: Demo) -> list[dict[str, Any]]:
    return [event for event in demo.log() if event["kind"] == "audit.answered"]


def test_a_blocker_that_quotes_a_real_line_refuses_and_is_mended(demo: Demo) -> None:
    prepare(demo, [[{"findings": [BLOCKER]}, CONFIRMED], NOTHING], "X = 2\n", "X = 1\n")
    outcome = demo.feature("one module", exits=0)
    assert outcome["tickets"][0]["attempts"] == 2
    first, second, merged = reports(demo)
    assert (first["verdict"], first["findings"][0]["rule"]) == ("fail", "audit.blocker")
    assert (first["findings"][0]["path"], first["findings"][0]["line"]) == ("src/a.py", 1)
    assert [second["verdict"], merged["verdict"]] == ["pass", "pass"]
    assert (demo.root / "src/a.py").read_text(encoding="utf-8") == "X = 1\n"
    assert len(asked(demo)) == 2


@pytest.mark.long
def test_a_quote_that_was_made_up_is_dropped_and_counted(demo: Demo) -> None:
    made_up = {**BLOCKER, "quote": "X = 17"}
    prepare(demo, [[{"findings": [made_up]}, CONFIRMED]], "X = 1\n")
    assert demo.feature("one module", exits=0)["tickets"][0]["attempts"] == 1
    assert "1 finding of the auditor quotes a line that does not exist and was dropped" in reports(demo)[0]["reason"]


@pytest.mark.long
def test_an_answer_that_cannot_be_read_is_no_verdict(demo: Demo) -> None:
    prepare(demo, [["I like it."]], "X = 1\n")
    outcome = demo.feature("one module", exits=4)
    assert "could not be judged" in outcome["tickets"][0]["reason"]
    assert "its first phase has not the form" in outcome["tickets"][0]["reason"]
    assert demo.git("ls-tree", "--name-only", "main", "src/") == "src/lib.py"


@pytest.mark.long
def test_nobody_pays_for_the_audit_of_what_another_gate_refuses(demo: Demo) -> None:
    prepare(demo, [NOTHING], "X = = 1\n", "X = 1\n")
    assert demo.feature("one module", exits=0)["tickets"][0]["attempts"] == 2
    first = reports(demo)[0]
    assert (first["verdict"], first["reason"]) == (
        "inconclusive",
        "no auditor has answered; it is asked once every other gate passes",
    )
    assert len(asked(demo)) == 1


@pytest.mark.long
def test_an_audit_holds_on_the_merged_tree_where_the_tickets_own_change_is_the_same(demo: Demo) -> None:
    plan = [ticket(key, new=f"src/{key}.py", accept=f"import {key}") for key in "ab"]
    steps = {f"add {key}": [writes(f"src/{key}.py", "X = 1\n")] for key in "ab"}
    audit = json.dumps({"audit": [NOTHING]})
    demo.commit(**{"orchestrate.toml": ALWAYS, "script.yaml": script(plan, steps), "audits.yaml": audit})
    demo.feature("two modules", exits=0)
    assert len(asked(demo)) == 2
    assert [one["verdict"] for one in reports(demo)] == ["pass"] * 4


@pytest.mark.long
def test_with_auto_small_changes_need_no_auditor(demo: Demo) -> None:
    prepare(demo, [], "X = 1\n", policy=POLICY + READER)
    demo.feature("one module", exits=0)
    assert reports(demo)[0]["reason"] == "not applicable: 1 file changed, fewer than the 3 that are audited"


@pytest.mark.long
def test_an_auditing_program_gets_ticket_rules_diff_and_tree_and_can_write_nothing(demo: Demo) -> None:
    answers = {str(phase): json.dumps(said) for phase, said in enumerate(NOTHING, 1)}
    code = (
        "import json, os, pathlib, sys\n"
        "phase, brief = os.environ['ORCHESTRATE_PHASE'], sys.stdin.read()\n"
        "assert json.load(open(os.environ['ORCHESTRATE_TICKET']))['title'] == 'add a'\n"
        "assert pathlib.Path('src/a.py').read_text() == 'X = 1\\n'\n"
        "assert '+X = 1' in brief and 'src/a.py' in brief and '### scope' in brief\n"
        "assert 'Did what the ticket asks' not in brief\n"
        "assert not pathlib.Path('left').exists()\n"
        "pathlib.Path('left').write_text('x'); pathlib.Path('src/a.py').write_text('X = 3\\n')\n"
        f"pathlib.Path(os.environ['ORCHESTRATE_REPORT']).write_text({answers!r}[phase])\n"
        "print('read it all')\n"
    )
    demo.write("reader.py", code)
    reader = '[agents.reader]\nkind = "command"\ncommand = ["python3", "reader.py"]\n[roles]\nauditor = "reader"\n'
    prepare(demo, [], "X = 1\n", policy=f'{POLICY}{reader}[audit]\nwhen = "always"\n')
    demo.feature("one module", exits=0)
    assert (demo.root / "src/a.py").read_text(encoding="utf-8") == "X = 1\n"
    assert not list(demo.root.rglob("left"))
    logs = demo.root / ".orchestrate" / "logs" / "T-0001" / "1" / "audit"
    assert "read it all" in (logs / "phase-2" / "reader.log").read_text()
    assert json.loads((logs / "phase-1" / "answer.json").read_text()) == NOTHING[0]
    assert not list((demo.root / ".orchestrate").glob("desk-*"))


@pytest.mark.long
def test_an_auditor_that_fails_is_told_as_trouble(demo: Demo) -> None:
    reader = '[agents.reader]\nkind = "command"\ncommand = ["sh", "-c", "exit 3"]\n[roles]\nauditor = "reader"\n'
    prepare(demo, [], "X = 1\n", policy=f'{POLICY}{reader}[audit]\nwhen = "always"\n')
    outcome = demo.feature("one module", exits=4)
    assert "reader gave no answer: the agent ended with exit code 3" in outcome["tickets"][0]["reason"]
