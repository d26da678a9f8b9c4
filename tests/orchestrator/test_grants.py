"""Permissions of persons: asked for, given once, bound to what was shown, used up by the landing."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest

from demo_project import POLICY, Demo, script, ticket, writes

pytestmark = pytest.mark.e2e

PYPROJECT = '[project]\nname = "demo"\nversion = "1"\ndependencies = ["rich"]\n'
MORE = PYPROJECT.replace('["rich"]', '["rich", "httpx"]')
ASKS = "## Summary\nAdds httpx.\n## Files Changed\n- pyproject.toml\n## Verification\nnone\n## Risks / Edge Cases\nnone\n## Out-of-Scope Issues Found\nnone\n"
Steps = list[dict[str, Any]]
REQUEST = "## Grant Requests\n- dependency: the client of the API needs httpx\n"


@pytest.fixture
def demo(demo: Demo) -> Demo:
    demo.commit(**{"pyproject.toml": PYPROJECT})
    return demo


def adds_a_dependency(demo: Demo, *reports: str, **more: object) -> None:
    one = ticket("a", new="src/a.py", accept="pass", **more)
    one["scope"] = {"write": ["pyproject.toml"]}
    steps: Steps = [{"write": {"path": "pyproject.toml", "text": MORE}}]
    attempts = [[*steps, {"report": report}] for report in reports]
    demo.commit(**{"script.yaml": script([one], {"add a": attempts})})


def grants(demo: Demo, *options: str) -> list[dict[str, Any]]:
    return list(json.loads(demo.orchestrate("grants", "--json", *options, exits=0).stdout))


def test_an_agent_asks_a_person_approves_and_the_ticket_lands(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    outcome = demo.feature("x", exits=3)
    assert (outcome["outcome"], outcome["tickets"][0]["state"]) == ("waiting", "blocked")
    asked = grants(demo)
    assert [(one["id"], one["kind"], one["subject"]) for one in asked] == [
        ("G-0001", "dependency", "pyproject.toml: httpx")
    ]
    assert "orchestrate approve G-0001" in demo.orchestrate("grants", exits=0).stdout
    done = json.loads(demo.orchestrate("approve", "G-0001", "--reason", "we need it", "--json", exits=0).stdout)
    assert done["tickets"][0]["state"] == "landed"
    assert done["tickets"][0]["attempts"] == 1  # the work that waited landed; nobody was paid twice
    assert "httpx" in demo.git("show", "main:pyproject.toml")
    used = grants(demo, "--all")[0]
    assert (used["state"], used["landed"]) == ("used", done["tickets"][0]["landed"])
    assert "Ada" in used["person"]
    note = json.loads(demo.git("notes", "--ref=orchestrate", "show", "main"))
    assert [grant["reason"] for report in note for grant in report["grants"]] == ["we need it", "we need it"]
    kinds = [event["kind"] for event in demo.log() if event["kind"].startswith("grant.")]
    assert kinds == ["grant.asked", "grant.approved", "grant.used"]


@pytest.mark.long
def test_what_nobody_asked_for_goes_back_to_the_agent_with_the_way_to_ask(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS, ASKS + REQUEST)
    demo.feature("x", exits=3)
    attempts = json.loads(demo.orchestrate("tickets", "show", "T-0001", "--json", exits=0).stdout)["attempts"]
    assert "`- kind: why` (kinds that would help here: dependency)" in attempts[0]["outcome"]["evidence"]
    assert len(attempts) == 2


@pytest.mark.long
def test_what_is_denied_goes_back_to_the_agent_with_the_reason(demo: Demo) -> None:
    one = ticket("a", new="src/a.py", accept="pass")
    one["scope"] = {"write": ["pyproject.toml"], "new": ["src/a.py"]}
    greedy: Steps = [{"write": {"path": "pyproject.toml", "text": MORE}}, {"report": ASKS + REQUEST}]
    modest: Steps = [
        {"write": {"path": "pyproject.toml", "text": PYPROJECT}},
        writes("src/a.py", "A = 1\n")[0],
        {"report": ASKS.replace("pyproject.toml", "src/a.py")},
    ]
    demo.commit(**{"script.yaml": script([one], {"add a": [greedy, modest]})})
    demo.feature("x", exits=3)
    done = json.loads(demo.orchestrate("deny", "G-0001", "--reason", "use urllib", "--json", exits=0).stdout)
    assert (done["tickets"][0]["state"], done["tickets"][0]["attempts"]) == ("landed", 2)
    first = json.loads(demo.orchestrate("tickets", "show", "T-0001", "--json", exits=0).stdout)["attempts"][0]
    assert "was denied by Ada <ada@example.org>: use urllib" in first["outcome"]["evidence"]


@pytest.mark.long
def test_a_ticket_that_says_beforehand_what_it_needs_is_asked_before_anybody_works(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS, requires=["dependency"])
    outcome = demo.feature("x", exits=3)
    assert outcome["tickets"][0]["attempts"] == 0
    demo.orchestrate("approve", "G-0001", "--reason", "fine", exits=0)
    assert "httpx" in demo.git("show", "main:pyproject.toml")


@pytest.mark.long
def test_a_beforehand_request_that_is_denied_ends_the_ticket(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS, requires=["dependency"])
    demo.feature("x", exits=3)
    done = json.loads(demo.orchestrate("deny", "G-0001", "--reason", "never", "--json", exits=1).stdout)
    assert (done["tickets"][0]["state"], done["tickets"][0]["attempts"]) == ("rejected", 0)
    assert "denied by Ada" in done["tickets"][0]["reason"]


@pytest.mark.long
def test_a_widened_limit_is_permitted_in_the_gate_and_in_the_brief(demo: Demo) -> None:
    demo.commit(**{"orchestrate.toml": f"{POLICY}[limits]\nfile_lines = 5\n"})
    long = "".join(f"X{number} = {number}\n" for number in range(8))
    one = ticket("a", new="src/a.py", accept="pass", limits={"file_lines": 10})
    demo.commit(**{"script.yaml": script([one], {"add a": [writes("src/a.py", long)]})})
    demo.feature("x", exits=3)
    assert grants(demo)[0]["subject"] == "limits.file_lines = 10"
    demo.orchestrate("approve", "G-0001", "--reason", "a table", exits=0)
    assert demo.git("show", "main:src/a.py") == long.strip()


RATES = 'source = "the price list"\ndate = {date}\ncurrency = "USD"\n[gpus]\nH100 = 4.0\n'


def pays(demo: Demo, *, hours: float, date: str = "", risk: str = "none") -> None:
    one = ticket("a", new="src/a.py", accept="import a", cost={"gpu": "H100", "hours": hours}, risk={"cost": risk})
    steps = {"add a": [writes("src/a.py", "A = 1\n")]}
    day = date or datetime.now(UTC).date().isoformat()
    demo.commit(**{"rates.toml": RATES.format(date=day), "script.yaml": script([one], steps)})


@pytest.mark.long
def test_small_spending_needs_nobody(demo: Demo) -> None:
    pays(demo, hours=1)
    demo.feature("x", exits=0)


@pytest.mark.long
def test_spending_is_asked_for_before_anybody_works_and_bound_to_its_estimate(demo: Demo) -> None:
    pays(demo, hours=2)
    outcome = demo.feature("x", exits=3)
    assert outcome["tickets"][0]["attempts"] == 0
    asked = grants(demo)[0]
    assert (asked["kind"], asked["subject"][-7:]) == ("spend", "= $8.00")
    demo.orchestrate("approve", "G-0001", "--reason", "the baseline", "--later", exits=0)
    demo.commit(**{"rates.toml": (demo.root / "rates.toml").read_text().replace("4.0", "4.5")})
    outcome = json.loads(demo.orchestrate("resume", "--json", exits=3).stdout)
    assert outcome["tickets"][0]["state"] == "blocked"  # another price is another question
    demo.orchestrate("approve", "G-0002", "--reason", "still fine", exits=0)


@pytest.mark.long
def test_what_was_accepted_beforehand_is_not_asked_again(demo: Demo) -> None:
    pays(demo, hours=2)
    demo.feature("x", "--yes", exits=0)
    assert [(one["state"], one["reason"]) for one in grants(demo, "--all")] == [("used", "accepted with --yes")]


@pytest.mark.long
def test_large_spending_is_never_accepted_beforehand(demo: Demo) -> None:
    pays(demo, hours=6, risk="the final run; one seed was verified in F-0001")
    outcome = demo.feature("x", "--yes", exits=3)
    assert "$24.00" in outcome["tickets"][0]["reason"]


@pytest.mark.long
def test_large_spending_without_a_reason_is_refused(demo: Demo) -> None:
    pays(demo, hours=6)
    outcome = demo.feature("x", exits=1)
    assert "gives no reason for $24.00" in outcome["tickets"][0]["reason"]


@pytest.mark.parametrize("date", ["2020-01-01", "2999-01-01"])
@pytest.mark.long
def test_a_price_of_another_time_is_no_price(demo: Demo, date: str) -> None:
    pays(demo, hours=1, date=date)
    outcome = demo.feature("x", exits=4)
    assert "the price of H100 is unknown" in outcome["tickets"][0]["reason"]
    assert outcome["tickets"][0]["attempts"] == 0


NO_ANSWERS: dict[tuple[str, ...], str] = {
    ("approve", "G-0001", "--reason", "  "): "say why",
    ("approve", "G-0009", "--reason", "x"): "there is no request G-0009",
    ("approve", "G-0001", "--reason", "x", "--days", "0"): "--days is a time up to 90 days",
    ("approve", "G-0001", "--reason", "x", "--days", "nan"): "--days is a time up to 90 days",
}


@pytest.mark.long
def test_an_answer_that_is_none_is_refused(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    demo.feature("x", exits=3)
    for arguments, expected in NO_ANSWERS.items():
        assert expected in demo.orchestrate(*arguments, exits=2).stderr
    assert grants(demo)[0]["state"] == "waiting"


@pytest.mark.long
def test_a_permission_is_given_once_and_used_once(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    demo.feature("x", exits=3)
    demo.orchestrate("approve", "G-0001", "--reason", "fine", exits=0)
    assert "is landed" in demo.orchestrate("approve", "G-0001", "--reason", "again", exits=2).stderr
    assert "is landed" in demo.orchestrate("deny", "G-0001", "--reason", "too late", exits=2).stderr
    demo.git("revert", "--no-edit", "-m", "1", "main")
    outcome = demo.feature("x again", exits=3)  # another ticket with the same change asks anew
    assert outcome["tickets"][0]["state"] == "blocked"
    assert [one["id"] for one in grants(demo)] == ["G-0002"]


def tampered(demo: Demo, statement: str) -> None:
    with sqlite3.connect(demo.root / ".orchestrate" / "signalbox.sqlite") as connection:
        connection.execute(statement)


@pytest.mark.long
def test_a_permission_that_nobody_gave_is_not_believed(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    demo.feature("x", exits=3)
    tampered(
        demo,
        "UPDATE grants SET state = 'approved', person = 'Ada', reason = 'x', expires_at = '2999-01-01T00:00:00+00:00'",
    )
    outcome = json.loads(demo.orchestrate("resume", "--json", exits=4).stdout)
    assert "the event log has no such approval" in outcome["tickets"][0]["reason"]
    assert "httpx" not in demo.git("show", "main:pyproject.toml")


@pytest.mark.long
def test_an_expired_permission_is_asked_for_again(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    demo.feature("x", exits=3)
    demo.orchestrate("approve", "G-0001", "--reason", "fine", "--days", "0.000001", "--later", exits=0)
    outcome = json.loads(demo.orchestrate("resume", "--json", exits=3).stdout)
    assert outcome["tickets"][0]["state"] == "blocked"
    assert [(one["id"], one["state"]) for one in grants(demo, "--all")] == [
        ("G-0001", "expired"),
        ("G-0002", "waiting"),
    ]


@pytest.mark.long
def test_an_edited_ticket_asks_again(demo: Demo) -> None:
    adds_a_dependency(demo, ASKS + REQUEST)
    demo.feature("x", exits=3)
    demo.orchestrate("approve", "G-0001", "--reason", "fine", "--later", exits=0)
    file = next((demo.root / ".orchestrate" / "tickets").glob("T-0001*"))
    file.write_text(file.read_text().replace("Add a.", "Add a and more."))
    outcome = json.loads(demo.orchestrate("tickets", "retry", "T-0001", "--json", exits=3).stdout)
    assert outcome["tickets"][0]["state"] == "blocked"
    assert [one["id"] for one in grants(demo)] == ["G-0002"]
