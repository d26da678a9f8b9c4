"""Whole tickets through `orchestrate feature`, with the real clients and a scripted model: plan, refusals, work, gates, landing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import client_scripts
from client_scripts import FORBIDDEN, conversations
from demo_project import ticket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agents.scripted_model.server import ModelServer
    from demo_project import Demo

pytestmark = [pytest.mark.clients, pytest.mark.e2e]
TICKETS = [
    ticket(name, new=f"src/{name}.py", accept=f"import {name}", role=role)
    for name, role in (("a", "executor"), ("b", "infra-implementer"), ("c", "fixer"))
]
POLICY = """version = 1
[project]
name = "demo"
[planning]
lead = "{lead}"
[dispatch]
timeout_s = 120
[sandbox]
network = ["127.0.0.1:{port}"]
[tests]
run = ["python", "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout"]
[roles]
executor = "{executor}"
infra-implementer = "{infra}"
fixer = "{fixer}"
[agents.claude]
kind = "claude"
command = ["{claude}"]
base_url = "{url}"
model = "claude-sonnet-4-5"
price = {{ input = 3.0, output = 15.0 }}
[agents.codex]
kind = "codex"
command = ["{codex}"]
base_url = "{url}/v1"
model = "gpt-5.5"
price = {{ input = 3.0, output = 15.0 }}
"""
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-scripted", "OPENAI_API_KEY": "sk-scripted"}


def set_up(demo: Demo, server: ModelServer, **names: str) -> Demo:
    port = server.url.rpartition(":")[2]
    demo.commit(**{"orchestrate.toml": POLICY.format(port=port, url=server.url, **names)})
    object.__setattr__(demo, "variables", {**demo.variables, **KEYS})
    return demo


def everything(demo: Demo, ticket: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the transcript shows as asked for, and what the live gate decided."""
    logs = demo.root / ".orchestrate" / "logs" / ticket / "1"
    events = [json.loads(line) for line in (logs / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    decisions = [json.loads(line) for line in (logs / "permission.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["kind"] == "call"], decisions


def check(demo: Demo, outcome: dict[str, Any]) -> None:
    assert [one["state"] for one in outcome["tickets"]] == ["landed"] * 3
    assert all(one["attempts"] == 1 for one in outcome["tickets"])
    files = demo.git("ls-tree", "-r", "--name-only", "main").split()
    assert {"src/a.py", "src/b.py", "src/c.py"} <= set(files)
    assert FORBIDDEN not in files
    for one in outcome["tickets"]:
        calls, decisions = everything(demo, one["id"])
        refused = [each for each in decisions if each["decision"] == "deny"]
        assert len(calls) >= 5
        assert any(FORBIDDEN in json.dumps(each["call"]) for each in refused), one["id"]
        assert any("git" in each["call"]["command"] for each in refused), one["id"]


def test_claude_code_and_codex_land_a_feature_of_three_tickets(
    demo: Demo, model: Callable[..., ModelServer], claude: Path, codex: Path
) -> None:
    server = model(
        conversations(demo.root, TICKETS, (client_scripts.claude, client_scripts.codex, client_scripts.claude))
    )
    names = {"lead": "claude", "executor": "claude", "infra": "codex", "fixer": "claude"}
    set_up(demo, server, claude=str(claude), codex=str(codex), **names)
    outcome = demo.feature("three modules", exits=0)
    check(demo, outcome)
    assert outcome["spend_usd"] > 0
    rows = server.requests()
    assert {row["wire"] for row in rows} >= {"anthropic", "responses"}
