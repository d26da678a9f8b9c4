"""`agents show` and `agents render`, as a person types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo_project import POLICY

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e


def test_a_role_is_shown_in_words_and_as_json(demo: Demo) -> None:
    text = demo.orchestrate("agents", "show", "researcher", exits=0).stdout
    for said in (
        "researcher (extends executor)",
        "only what the ticket names may be written.",
        "capability smoke  a note has nothing to run",
        "from planner  one question",
        "roles/researcher.toml",
        "## Finding out",
        "## Sources",
    ):
        assert said in text
    shown = json.loads(demo.orchestrate("agents", "show", "researcher", "--json", exits=0).stdout)
    assert shown["lineage"] == ["researcher", "executor"]
    assert shown["capabilities"][0] == {
        "gate": "scope",
        "source": "executor",
        "about": "only what the ticket names may be written.",
    }
    assert shown["relaxes"][0]["source"] == "researcher"
    assert shown["text"] in text
    assert "there is no role 'king'; there are auditor" in demo.orchestrate("agents", "show", "king", exits=2).stderr


def test_a_guide_is_written_again_over_itself_and_over_nothing_else(demo: Demo) -> None:
    demo.orchestrate("agents", "render", "executor", "--for", "codex", exits=0)
    file = demo.root / "AGENTS.md"
    assert "12 files and 600 lines" in file.read_text(encoding="utf-8")
    demo.write("orchestrate.toml", f"{POLICY}\n[limits]\nchanged_files = 7\n")
    demo.orchestrate("agents", "render", "executor", "--for", "codex", exits=0)
    assert "7 files and 600 lines" in file.read_text(encoding="utf-8")
    demo.write("AGENTS.md", "mine\n")
    refused = demo.orchestrate("agents", "render", "executor", "--for", "codex", exits=2)
    assert "was not written by this command" in refused.stderr
    assert "--force overwrites it" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine\n"
    demo.orchestrate("agents", "render", "executor", "--for", "codex", "--force", exits=0)
    assert file.read_text(encoding="utf-8").startswith("<!-- Written by")


def test_a_guide_goes_where_it_is_asked_for(demo: Demo) -> None:
    printed = demo.orchestrate("agents", "render", "ml-implementer", exits=0).stdout
    assert "### 3. Eight answers before an experiment" in printed
    place = demo.root / "guides" / "ml.md"
    demo.orchestrate("agents", "render", "ml-implementer", "--to", str(place), exits=0)
    assert place.read_text(encoding="utf-8") == printed
    told = json.loads(demo.orchestrate("agents", "render", "lead", "--for", "claude", "--json", exits=0).stdout)
    assert told["file"] == str(demo.root / "CLAUDE.md")
    assert (demo.root / "CLAUDE.md").read_text(encoding="utf-8") == told["text"]
    assert "there is no client 'vi'" in demo.orchestrate("agents", "render", "lead", "--for", "vi", exits=2).stderr
    folder = demo.orchestrate("agents", "render", "lead", "--to", str(demo.root), exits=2).stderr
    assert "cannot be written" in folder


def test_init_writes_the_guides_of_lead_and_executor(demo: Demo) -> None:
    demo.write("orchestrate.toml", f"{POLICY}\n[limits]\nchanged_files = 7\n")
    done = json.loads(demo.orchestrate("init", "--json", exits=0).stdout)
    assert done["written"][:2] == ["CLAUDE.md", "AGENTS.md"]
    lead, executor = ((demo.root / name).read_text(encoding="utf-8") for name in ("CLAUDE.md", "AGENTS.md"))
    assert "agents render lead --for claude`" in lead
    assert "agents render executor --for codex`" in executor
    assert "7 files" in lead
    demo.orchestrate("agents", "render", "executor", "--for", "codex", exits=0)
    assert (demo.root / "AGENTS.md").read_text(encoding="utf-8") == executor
