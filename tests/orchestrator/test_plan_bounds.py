"""How wide a plan may be: a lead names what its tickets are about, a person may open everything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import script, ticket

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("key", ["write", "new"])
def test_a_lead_that_lets_a_ticket_write_everywhere_is_refused(demo: Demo, key: str) -> None:
    plan = [ticket("a", new="src/a.py", accept="import a", scope={key: ["**"]})]
    demo.commit(**{"script.yaml": script(plan, {})})
    done = demo.orchestrate("feature", "anything", "--dry-run", exits=2)
    assert "not '**', which is everything" in done.stderr


def test_a_person_may_let_a_ticket_write_everywhere(demo: Demo) -> None:
    plan = [ticket("a", new="src/a.py", accept="import a", scope={"write": ["**"]})]
    demo.write("plan.json", json.dumps({"request": "mine", "tickets": plan}))
    assert demo.feature("--plan", "plan.json", "--dry-run", exits=0)["outcome"] == "planned"
