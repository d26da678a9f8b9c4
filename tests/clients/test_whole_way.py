"""Whole tickets through `orchestrate feature`, with the real clients and a scripted model: plan, refusals, work, gates, landing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import client_scripts
from client_scripts import FORBIDDEN, conversations, readers
from demo_project import ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agents.scripted_model.server import ModelServer
    from demo_project import Demo

    Model = Callable[..., ModelServer]

pytestmark = [pytest.mark.clients, pytest.mark.e2e]
THREE = [
    ticket(name, new=f"src/{name}.py", accept=f"import {name}", role=role)
    for name, role in (("a", "executor"), ("b", "infra-implementer"), ("c", "fixer"))
]
ONE = [ticket("a", new="src/a.py", accept="import a")]
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
run = ["python", "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:schemathesis", "-p", "no:anyio", "-p", "no:xdist", "-p", "no:timeout"]
"""
AGENT = """[agents.{name}]
kind = "{kind}"
command = {command}
base_url = "{url}"
model = "{model}"
price = {{ input = 3.0, output = 15.0 }}
env = ["GEMINI_API_KEY", "OPENCODE_CONFIG_CONTENT"]
"""
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-scripted", "OPENAI_API_KEY": "sk-scripted", "GEMINI_API_KEY": "scripted"}


def agent(name: str, command: tuple[str, ...], url: str) -> str:
    kind, model, path = {
        "claude": ("claude", "claude-sonnet-4-5", ""),
        "codex": ("codex", "gpt-5.5", "/v1"),
        "gemini": ("acp", "gemini-2.5-pro", ""),
        "opencode": ("acp", "lab/lab", ""),
    }[name]
    return AGENT.format(name=name, kind=kind, command=json.dumps(command), url=url + path, model=model)


def providers(url: str) -> str:
    """Tell opencode where its model is: it has no variable for an address."""
    options = {"baseURL": f"{url}/v1", "apiKey": "none"}
    models = {"lab": {"name": "lab", "limit": {"context": 100_000, "output": 10_000}}}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "lab", "options": options, "models": models}
    return json.dumps({"model": "lab/lab", "small_model": "lab/lab", "provider": {"lab": provider}})


def set_up(demo: Demo, server: ModelServer, commands: Mapping[str, tuple[str, ...]], **roles: str) -> Demo:
    """Configure these clients; the first is the lead."""
    lead, port = next(iter(commands)), server.url.rpartition(":")[2]
    tables = "".join(agent(name, command, server.url) for name, command in commands.items())
    named = "".join(f'{role.replace("_", "-")} = "{name}"\n' for role, name in roles.items())
    audit = '[audit]\nwhen = "always"\n' if "auditor" in roles else ""
    policy = POLICY.format(lead=lead, port=port)
    demo.commit(**{"orchestrate.toml": f"{policy}{audit}[roles]\n{named}{tables}"})
    keys = {**KEYS, "OPENCODE_CONFIG_CONTENT": providers(server.url)}
    object.__setattr__(demo, "variables", {**demo.variables, **keys})
    return demo


def everything(demo: Demo, ticket: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the transcript shows as asked for, and what the live gate decided."""
    logs = demo.root / ".orchestrate" / "logs" / ticket / "1"
    events = [json.loads(line) for line in (logs / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    decisions = [json.loads(line) for line in (logs / "permission.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["kind"] == "call"], decisions


def refused(demo: Demo, ticket: str) -> list[str]:
    """Give what the live gate refused in the first attempt."""
    return [json.dumps(each["call"]) for each in everything(demo, ticket)[1] if each["decision"] == "deny"]


def landed(demo: Demo, outcome: dict[str, Any]) -> None:
    """The tickets landed, and what they were not to write did not."""
    states = [(one["state"], one["attempts"]) for one in outcome["tickets"]]
    assert states == [("landed", 1)] * len(states), outcome["tickets"]
    files = demo.git("ls-tree", "-r", "--name-only", "main").split()
    assert {f"src/{name}.py" for name in "abc"[: len(states)]} <= set(files)
    assert FORBIDDEN not in files
    for one in outcome["tickets"]:
        assert any(FORBIDDEN in call for call in refused(demo, one["id"])), one["id"]


def test_claude_code_and_codex_land_a_feature_of_three_tickets(
    demo: Demo, model: Model, claude: Path, codex: Path
) -> None:
    server = model(
        conversations(demo.root, THREE, (client_scripts.claude, client_scripts.codex, client_scripts.claude))
    )
    commands = {"claude": (str(claude),), "codex": (str(codex),)}
    set_up(demo, server, commands, executor="claude", infra_implementer="codex", fixer="claude")
    outcome = demo.feature("three modules", exits=0)
    landed(demo, outcome)
    for one in outcome["tickets"]:
        assert len(everything(demo, one["id"])[0]) >= 5
        assert any("git" in call for call in refused(demo, one["id"])), one["id"]
    assert outcome["spend_usd"] > 0
    assert {row["wire"] for row in server.requests()} >= {"anthropic", "responses"}


def test_gemini_cli_plans_and_lands_a_ticket(demo: Demo, model: Model, gemini: tuple[str, ...]) -> None:
    server = model(conversations(demo.root, ONE, (client_scripts.gemini,)))
    set_up(demo, server, {"gemini": (*gemini, "--acp", "-m", "gemini-2.5-pro")}, executor="gemini")
    outcome = demo.feature("one module", exits=0)
    landed(demo, outcome)
    assert any("git" in call for call in refused(demo, "T-0001"))


@pytest.mark.slow
def test_opencode_plans_and_lands_a_ticket_though_a_refusal_ends_its_turn(
    demo: Demo, model: Model, opencode: tuple[str, ...]
) -> None:
    server = model(conversations(demo.root, ONE, (client_scripts.opencode,)))
    set_up(demo, server, {"opencode": (*opencode, "acp")}, executor="opencode")
    outcome = demo.feature("one module", exits=0)
    landed(demo, outcome)
    told = [
        row["told"] for row in server.requests() if "Your turn ended because a call was refused" in str(row["told"])
    ]
    assert len(told) > 0
    assert f"{FORBIDDEN} is outside the ticket's scope" in told[0]


@pytest.mark.parametrize("auditor", ["claude", "codex"])
def test_a_client_that_leads_challenges_and_audits_is_understood(
    demo: Demo, model: Model, auditor: str, claude: Path, codex: Path
) -> None:
    script = conversations(demo.root, ONE, (client_scripts.claude,))
    script["conversations"][:0] = readers({"claude": "Glob", "codex": "exec_command"}[auditor])
    plan = script["steps"][0]
    looking = {"text": "I look.", "tools": [{"name": "Glob", "input": {"pattern": "src/*.py"}}]}
    server = model({**script, "steps": [looking, plan]})
    commands = {"claude": (str(claude),), "codex": (str(codex),)}
    set_up(demo, server, commands, executor="claude", challenger=auditor, auditor=auditor)
    outcome = demo.feature("one module", exits=0)
    landed(demo, outcome)
    progress = (demo.root / ".orchestrate" / "features" / "F-0001" / "progress.md").read_text(encoding="utf-8")
    assert "challenged: 1 objection, the heaviest minor, the plan: a better name" in progress
    (answer,) = [event["data"] for event in demo.log() if event["kind"] == "audit.answered"]
    assert (answer["agent"], answer["trouble"]) == (auditor, "")
    assert "X = 1" in answer["findings"]
    assert "confirmed" in answer["review"]
    heard = [str(row["results"]) for row in server.requests() if row.get("results")]
    assert "src/lib.py" in heard[0], "the lead was shown the tree"
