"""`orchestrate report T --transcript`: what was said and done in an attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_the_transcript_of_an_attempt_comes_in_three_forms_and_what_is_not_there_is_one_clear_error(demo: Demo) -> None:
    early = demo.orchestrate("report", "T-0001", "--transcript", exits=2)
    assert "nothing was asked for here yet" in early.stderr
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    demo.commit(**{"script.yaml": script(tickets, {"add a": [writes("src/a.py", "X = 1\n")]})})
    demo.feature("x", exits=0)
    missing = demo.orchestrate("report", "T-0001", "--transcript", exits=2)
    assert "there is no transcript of T-0001 (it has the attempts 1" in missing.stderr
    events = [
        {"at": "2026-01-01", "kind": "said", "text": "hello \x1b[2J"},
        {"kind": "ended", "cause": "done", "text": ""},
    ]
    file = demo.root / ".orchestrate" / "logs" / "T-0001" / "1" / "transcript.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events) + '{"kind": "sa', encoding="utf-8")

    def shown(*options: str) -> str:
        return demo.orchestrate("report", "T-0001", "--transcript", *options, exits=0).stdout

    assert shown().startswith("SAID\n    hello \\x1b[2J\nENDED done\nNOTE\n    line 3 of the transcript cannot be read")
    assert [event["kind"] for event in json.loads(shown("--format", "json", "--attempt", "1"))] == [
        "said",
        "ended",
        "note",
    ]
    assert json.loads(shown("--json"))[0]["text"] == "hello \x1b[2J"
    assert shown("--format", "md").startswith("**SAID**\n\n```text\nhello \\x1b[2J\n```")
    other = demo.orchestrate("report", "T-0001", "--transcript", "--attempt", "4", exits=2)
    assert "there is no transcript of attempt 4 of T-0001" in other.stderr
    unknown = demo.orchestrate("report", "T-0001", "--transcript", "--format", "sarif", exits=2)
    assert "--format of a transcript is one of text, md, json, not 'sarif'" in unknown.stderr
