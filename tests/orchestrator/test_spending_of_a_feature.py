"""Whole features with an agent that costs money: our own loop against the scripted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agents.scripted_model.server import serving
from demo_project import POLICY, Demo, script, ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.long]

CODER = """
[agents.coder]
kind = "openai"
model = "scripted"
base_url = "{url}/v1"
price = {{ input = 5.0, output = 30.0 }}
[roles]
executor = "coder"
"""
REPORT = {
    "summary": "Added the module.",
    "files_changed": "src/a.py",
    "verification": "none",
    "risks_edge_cases": "none",
    "out_of_scope_issues_found": "none",
}


def model(tokens: int) -> dict[str, Any]:
    """A model that writes the file and reports; each answer has read so many tokens."""
    write = {"name": "write_file", "input": {"path": "src/a.py", "content": "X = 1\n"}}
    steps = [{"tools": [write]}, {"tools": [{"name": "report", "input": REPORT}]}, {"text": "Done."}]
    return {"usage": {"input": tokens, "output": 0}, "steps": steps}


@pytest.fixture
def paid(demo: Demo, request: pytest.FixtureRequest) -> Iterator[Demo]:
    """A repository whose executor is served by a model that reads as much as the test says."""
    tokens, settings = request.param
    demo.write("script.yaml", script([ticket("a", new="src/a.py", accept="import a; assert a.X == 1")], {}))
    with serving(model(tokens)) as server:
        demo.write("orchestrate.toml", POLICY + CODER.format(url=server.url) + settings)
        demo.commit("agents")
        yield demo


@pytest.mark.parametrize("paid", [(20_000, "")], indirect=True)
def test_a_feature_names_what_its_agent_cost(paid: Demo) -> None:
    outcome = paid.feature("add it", exits=0)
    spent = outcome["spend_usd"]
    assert spent in {0.2, 0.3}
    assert outcome["tickets"][0]["spend_usd"] == spent
    assert f"${spent:.2f} spent of $20.00" in paid.orchestrate("status", exits=0).stdout
    settled = [event["data"] for event in paid.log() if event["kind"] == "spend.settled"]
    assert [one["used"]["usd"] for one in settled] == [spent]
    assert settled[0]["reserved"]["usd"] == 2.0


@pytest.mark.parametrize("paid", [(500_000, "")], indirect=True)
def test_an_agent_is_stopped_at_its_limit_and_its_work_is_kept(paid: Demo) -> None:
    outcome = paid.feature("add it", exits=1)
    (failed,) = outcome["tickets"]
    assert "[spend] attempt_usd allows $2.00" in failed["reason"]
    assert outcome["spend_usd"] >= 2.0
    kept = paid.git("for-each-ref", "--format=%(refname)", "refs/orchestrate/attempts").split()
    assert kept


@pytest.mark.parametrize("paid", [(20_000, "[spend]\nday_usd = 0.0\n")], indirect=True)
def test_without_money_a_ticket_waits_for_a_person(paid: Demo) -> None:
    outcome = paid.feature("add it", exits=3)
    assert (outcome["outcome"], outcome["spend_usd"]) == ("waiting", 0.0)
    assert outcome["tickets"][0]["state"] == "blocked"
    assert outcome["tickets"][0]["reason"].startswith("no money for coder: [spend] day_usd allows $0.00 for the day")
    (paid.root / "orchestrate.toml").write_text(
        (paid.root / "orchestrate.toml").read_text(encoding="utf-8").replace("day_usd = 0.0", "day_usd = 9.0"),
        encoding="utf-8",
    )
    paid.commit("more money")
    paid.orchestrate("tickets", "retry", "T-0001", exits=0)
    paid.orchestrate("resume", exits=0)
    assert "1 landed; $0." in paid.orchestrate("status", exits=0).stdout
