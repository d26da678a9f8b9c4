"""`agents probe`: what is ready, what each can do, and whether a gate that is claimed is really armed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fake_acp
from agents.scripted_model.server import serving
from demo_project import POLICY

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e
LOCAL = """[agents.local]
kind = "openai"
base_url = "{url}/v1"
model = "scripted"
price = {{ input = 0.0, output = 0.0 }}
"""
FORBIDDEN = "forbidden.txt"
EDIT = {"toolCallId": "c", "kind": "edit", "title": "Write", "locations": [{"path": FORBIDDEN}], "writes": FORBIDDEN}


def probed(demo: Demo, *arguments: str, exits: int) -> dict[str, dict[str, Any]]:
    done = demo.orchestrate("agents", "probe", *arguments, "--json", exits=exits)
    return {f"{row['agent']}/{row['kind']}": row for row in json.loads(done.stdout)}


def with_agent(demo: Demo, *steps: list[Any]) -> Demo:
    """Configure a program that passes for a client we know, and plays these steps whatever its model says."""
    program = demo.root / "gemini"
    code = Path(fake_acp.__file__).read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable} -I\n{code}", encoding="utf-8")
    program.chmod(0o755)
    script = json.dumps({"steps": [*steps, ["say", "done"], ["end", "end_turn"]]})
    command = json.dumps([str(program), script])
    demo.write("orchestrate.toml", f'{POLICY}[agents.fake]\nkind = "acp"\ncommand = {command}\n')
    return demo


def test_a_gate_in_process_is_proven_and_the_table_says_so(demo: Demo) -> None:
    with serving({"steps": [{"text": "never asked"}]}) as server:
        demo.write("orchestrate.toml", POLICY + LOCAL.format(url=server.url))
        rows = probed(demo, exits=0)
        text = demo.orchestrate("agents", "probe", "local", exits=0).stdout
        asked = [row for row in server.requests() if row["method"] == "POST"]
    assert asked == []
    assert set(rows) == {"actor/scripted", "local/openai"}
    assert rows["actor/scripted"]["proof"] is None
    proof = rows["local/openai"]["proof"]
    assert (proof["armed"], proof["refused"], proof["written"]) == (True, 1, False)
    assert rows["local/openai"]["capabilities"]["gate"] == "every-call"
    head, row = text.splitlines()[:2]
    assert head.split()[:3] == ["agent", "kind", "state"]
    assert row.split()[:3] == ["local", "openai", "ready"]
    assert f"local: armed: a write of {FORBIDDEN} was refused" in text


def test_an_agent_that_asks_is_armed_and_leaves_nothing_behind(demo: Demo) -> None:
    with_agent(demo, ["ask", EDIT])
    before = sorted(path.name for path in demo.root.iterdir())
    row = probed(demo, "fake", exits=0)["fake/acp"]
    assert row["proof"]["armed"]
    assert (row["proof"]["asked"], row["proof"]["refused"]) == (1, 1)
    assert sorted(path.name for path in demo.root.iterdir()) == before


def test_an_agent_that_writes_without_asking_is_found_out(demo: Demo) -> None:
    row = probed(with_agent(demo, ["write", FORBIDDEN]), "fake", exits=1)["fake/acp"]
    assert row["ready"]
    assert row["proof"]["written"]
    assert not row["proof"]["armed"]
    assert row["proof"]["said"].startswith("NOT ARMED: forbidden.txt was written")


@pytest.mark.long
def test_an_agent_that_asks_and_writes_all_the_same_is_found_out(demo: Demo) -> None:
    row = probed(with_agent(demo, ["ask", dict(EDIT)], ["write", FORBIDDEN]), "fake", exits=1)["fake/acp"]
    assert (row["proof"]["refused"], row["proof"]["armed"]) == (1, False)


ALLOWED = {**EDIT, "locations": [{"path": "allowed.txt"}], "writes": "allowed.txt"}


@pytest.mark.parametrize("steps", [[], [["ask", ALLOWED]], [["leave", 3]]])
@pytest.mark.long
def test_a_gate_that_was_not_asked_is_not_proven(demo: Demo, steps: list[list[Any]]) -> None:
    proof = probed(with_agent(demo, *steps), "fake", exits=1)["fake/acp"]["proof"]
    assert not proof["armed"]
    assert proof["said"].startswith("not proven: the gate was not asked about forbidden.txt")


@pytest.mark.long
def test_what_is_not_ready_says_why_and_every_kind_can_be_listed(demo: Demo) -> None:
    extra = '[agents.none]\nkind = "acp"\ncommand = ["no-such-agent"]\n[agents.own]\nkind = "acp"\ncommand = ["true"]\n'
    demo.write("orchestrate.toml", POLICY + extra)
    rows = probed(demo, "--all", exits=1)
    assert "'no-such-agent' is neither on the PATH nor an executable file" in rows["none/acp"]["detail"]
    assert rows["none/acp"]["proof"] is None
    assert rows["own/acp"]["proof"]["said"].startswith("not proven: no scripted model")
    assert {row["kind"] for row in rows.values()} >= {
        "acp",
        "claude",
        "codex",
        "command",
        "openai",
        "recipes",
        "replay",
    }
    assert "it needs `recordings`" in rows["-/replay"]["detail"]
    unknown = demo.orchestrate("agents", "probe", "nobody", exits=2)
    assert "nobody" in unknown.stderr
