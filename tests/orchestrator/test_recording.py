"""An attempt is recorded, and an agent of kind `replay` lands the same change elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import POLICY, script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.long]
REPLAY = """[agents.again]
kind = "replay"
recordings = "recordings"
[roles]
executor = "again"
"""
PLAN = json.dumps({"request": "r", "tickets": [ticket("a", new="src/a.py", accept="import a; assert a.X == 1")]})


def recorded(demo: Demo) -> list[str]:
    """Land a ticket in two attempts, record both, and go back to where it began."""
    tries = [writes("src/a.py", "X = 2\n"), writes("src/a.py", "X = 1\n")]
    demo.commit(**{"script.yaml": script([], {"add a": tries}), "plan.yaml": PLAN})
    before = demo.git("rev-parse", "HEAD")
    assert demo.feature("--plan", "plan.yaml", exits=0)["tickets"][0]["attempts"] == 2
    files = []
    for number in ("1", "2"):
        done = demo.orchestrate(
            "agents", "record", "T-0001", "--attempt", number, "--to", "recordings", "--json", exits=0
        )
        files += json.loads(done.stdout)["files"]
    demo.git("reset", "-q", "--hard", before)
    (demo.root / ".orchestrate").rename(demo.home / "state-of-before")
    for ref in demo.git("for-each-ref", "--format=%(refname)", "refs/orchestrate", "refs/heads/tickets").split():
        demo.git("update-ref", "-d", ref)
    return files


def test_both_attempts_are_played_back_and_the_same_change_lands(demo: Demo) -> None:
    files = recorded(demo)
    assert len(files) == 2
    demo.write("orchestrate.toml", POLICY + REPLAY)
    demo.commit()
    outcome = demo.feature("--plan", "plan.yaml", exits=0)
    assert outcome["tickets"][0]["attempts"] == 2
    assert demo.git("show", "main:src/a.py") == "X = 1"


def test_another_ticket_has_no_recording_and_says_how_to_make_one(demo: Demo) -> None:
    recorded(demo)
    demo.write("orchestrate.toml", POLICY + REPLAY)
    demo.commit(**{"plan.yaml": PLAN.replace("Add a.", "Add another.")})
    (row,) = demo.feature("--plan", "plan.yaml", exits=1)["tickets"]
    assert row["state"] == "failed"
    assert "there is no recording of this brief" in row["reason"]


def test_what_cannot_be_recorded_is_one_clear_error(demo: Demo) -> None:
    early = demo.orchestrate("agents", "record", "T-0001", "--to", "recordings", exits=2)
    assert "nothing was asked for here yet" in early.stderr
    demo.commit(**{"script.yaml": script([], {"*": [writes("src/a.py", "X = 1\n")]}), "plan.yaml": PLAN})
    demo.feature("--plan", "plan.yaml", exits=0)
    missing = demo.orchestrate("agents", "record", "T-0001", "--attempt", "7", "--to", "recordings", exits=2)
    assert "T-0001 has no attempt 7 that was carried through" in missing.stderr
