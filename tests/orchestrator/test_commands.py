"""The commands beside `feature`: what they say, in words and as JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo_project import Demo, demo_in, home_in, script, ticket, writes

pytestmark = pytest.mark.e2e
HONEST = "## Summary\nx\n## Files Changed\n- src/a.py\n## Verification\nnone\n## Risks / Edge Cases\nnone\n## Out-of-Scope Issues Found\nnone\n"
REPORT = {
    "schema",
    "ticket",
    "attempt",
    "pass",
    "base",
    "tree",
    "verdict",
    "gates",
    "changes",
    "environment",
    "policy_sha256",
    "ticket_sha256",
    "created_at",
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """For tests that only look at it: landing takes seconds, so they share one."""
    folder = tmp_path_factory.mktemp("landed")
    demo = demo_in(folder, home_in(folder))
    demo.feature("two modules", exits=0)
    return demo


def test_status_before_anything_was_asked_for(demo: Demo) -> None:
    assert "orchestrate feature" in demo.orchestrate("status", exits=0).stdout
    assert not (demo.root / ".orchestrate").exists()


def test_status_of_everything_of_a_feature_and_of_a_ticket(landed: Demo) -> None:
    text = landed.orchestrate("status", exits=0).stdout
    assert "F-0001 landed: two modules" in text
    assert "2 landed; $0.00 spent" in text
    assert (
        json.loads(landed.orchestrate("status", "F-0001", "--json", exits=0).stdout)["features"][0]["tickets"][0][
            "state"
        ]
        == "landed"
    )
    assert "attempt 1: passed" in landed.orchestrate("status", "T-0001", exits=0).stdout
    assert "there is no ticket T-0099" in landed.orchestrate("status", "T-0099", exits=2).stderr


@pytest.mark.long
def test_the_report_in_each_format_and_for_each_pass(landed: Demo) -> None:
    report = json.loads(landed.orchestrate("report", "T-0001", "--format", "json", exits=0).stdout)
    assert set(report) >= REPORT
    assert report["pass"] == "integrated"
    assert report["environment"]["sandbox"] in {"bubblewrap", "landlock", "none"}
    assert "every gate passed" in landed.orchestrate("report", "T-0001", exits=0).stdout
    assert landed.orchestrate("report", "T-0001", "--format", "md", "--pass", "worktree", exits=0).stdout.startswith(
        "# T-0001 attempt 1, worktree pass"
    )
    assert "one of text, md, json" in landed.orchestrate("report", "T-0001", "--format", "pdf", exits=2).stderr
    assert "no such report" in landed.orchestrate("report", "T-0001", "--attempt", "7", exits=2).stderr


@pytest.mark.long
def test_tickets_can_be_listed_shown_and_abandoned(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import nothing")]
    demo.commit(**{"script.yaml": script(tickets, {"add a": [writes("src/a.py", "X = 1\n")]})})
    demo.feature("x", exits=1)
    assert json.loads(demo.orchestrate("tickets", "list", "--json", exits=0).stdout)[0]["state"] == "rejected"
    assert "## Objective" in demo.orchestrate("tickets", "show", "T-0001", exits=0).stdout
    demo.orchestrate("tickets", "abandon", "T-0001", exits=0)
    assert "abandoned" in demo.orchestrate("tickets", "list", exits=0).stdout
    assert demo.git("for-each-ref", "refs/orchestrate/attempts/T-0001") != ""


def test_a_landed_ticket_is_not_sent_again(landed: Demo) -> None:
    assert "T-0001 is landed" in landed.orchestrate("tickets", "retry", "T-0001", exits=2).stderr


def test_resume_where_nothing_was_interrupted(landed: Demo) -> None:
    assert landed.orchestrate("resume", exits=0).stdout.strip() == "nothing was interrupted"


def test_the_gates_on_the_current_tree(demo: Demo) -> None:
    demo.write("src/new.py", "X = 1\n")
    index = (demo.root / ".git/index").read_bytes()
    report = json.loads(demo.orchestrate("gate", "--json", exits=0).stdout)
    assert set(report) >= REPORT
    assert [change["path"] for change in report["changes"]] == ["src/new.py"]
    assert (demo.root / ".git/index").read_bytes() == index
    demo.write("tests/test_lib.py", "def test_other() -> None:\n    assert True\n")
    refused = json.loads(demo.orchestrate("gate", "--json", exits=1).stdout)
    assert {gate["name"] for gate in refused["gates"] if gate["verdict"] == "fail"} == {"tests"}


@pytest.mark.long
def test_the_gates_with_a_ticket_file_in_a_linked_worktree(demo: Demo) -> None:
    made = json.loads(demo.orchestrate("tickets", "new", "One file", "--json", exits=0).stdout)["file"]
    text = (
        (demo.root / made)
        .read_text(encoding="utf-8")
        .replace("path/of/a/new/file", "src/new.py")
        .replace("- -m\n  - pytest\n  - path/of/a/test", "- -c\n  - import new")
    )
    demo.write("mine.md", text)
    elsewhere = demo.root.with_name("elsewhere")
    demo.git("worktree", "add", "-q", "-b", "topic", str(elsewhere))
    (elsewhere / "src/new.py").write_text("X = 1\n", encoding="utf-8")
    assert (
        json.loads(
            demo.orchestrate("gate", "--worktree", str(elsewhere), "--ticket", "mine.md", "--json", exits=0).stdout
        )["verdict"]
        == "pass"
    )
    (elsewhere / "src/lib.py").write_text("def one() -> int:\n    return 1  # mine\n", encoding="utf-8")
    refused = json.loads(
        demo.orchestrate("gate", "--worktree", str(elsewhere), "--ticket", "mine.md", "--json", exits=1).stdout
    )
    assert refused["gates"][0]["findings"][0]["path"] == "src/lib.py"


def test_init_writes_what_it_detects_and_never_overwrites(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "fresh"
    root.mkdir()
    fresh = Demo(root, home)
    fresh.git("init", "-qb", "trunk")
    fresh.commit(**{"pyproject.toml": "[tool.ruff]\n[tool.pytest.ini_options]\n", "AGENTS.md": "mine\n"})
    done = json.loads(fresh.orchestrate("init", "--json", exits=0).stdout)
    assert done == {"written": ["orchestrate.toml", "CLAUDE.md", ".gitignore"], "kept": ["AGENTS.md"]}
    text = (root / "orchestrate.toml").read_text(encoding="utf-8")
    assert 'target = "trunk"' in text
    assert 'run = ["python", "-m", "pytest"]' in text
    assert 'run = ["ruff", "check", "."]' in text
    assert (root / "AGENTS.md").read_text(encoding="utf-8") == "mine\n"
    assert ".orchestrate/" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    fresh.orchestrate("init", "--force", exits=0)
    assert (root / "AGENTS.md").read_text(encoding="utf-8") != "mine\n"
    fresh.write("orchestrate.toml", "nonsense")
    fresh.orchestrate("init", exits=2)
    fresh.orchestrate("init", "--force", exits=0)
    assert (root / "orchestrate.toml.bak").read_text(encoding="utf-8") == "nonsense"


def test_doctor_tells_what_is_there_and_what_is_not(demo: Demo) -> None:
    answers = {row["probe"]: row for row in json.loads(demo.orchestrate("doctor", "--json", exits=0).stdout)}
    assert set(answers) == {"python", "git", "repository", "policy", "sandbox", "agents", "landing", "disk", "clock"}
    (demo.root / "script.yaml").unlink()
    broken = json.loads(demo.orchestrate("doctor", "--json", exits=4).stdout)
    assert [row["probe"] for row in broken if not row["ok"]] == ["agents"]


def test_agents_are_listed_with_the_roles_they_play(demo: Demo) -> None:
    rows = json.loads(demo.orchestrate("agents", "list", "--json", exits=0).stdout)
    assert rows[0]["agent"] == "actor"
    assert rows[0]["roles"] == ["lead", "executor"]
    assert "## Your report" in demo.orchestrate("agents", "show", "executor", exits=0).stdout
    assert "there is no role 'king'" in demo.orchestrate("agents", "show", "king", exits=2).stderr


@pytest.mark.long
def test_a_sandbox_that_is_not_to_be_had_is_refused_and_none_has_to_be_written(demo: Demo) -> None:
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    demo.commit(**{"orchestrate.toml": policy + '[sandbox]\nmode = "bubblewrap"\n'})
    git = Path(shutil.which("git") or "")  # a PATH with git and without bubblewrap
    bare = demo.root.with_name("bare")
    bare.mkdir()
    (bare / "git").symlink_to(git)
    without = replace(demo, variables={"PATH": str(bare)})
    told = without.orchestrate("feature", "x", exits=4).stderr
    assert "the sandbox 'bubblewrap' that orchestrate.toml asks for is not to be had here" in told
    assert "bwrap is not installed" in told
    demo.commit(**{"orchestrate.toml": policy + '[sandbox]\nmode = "none"\n'})
    demo.feature("x", exits=0)
    report = json.loads(demo.orchestrate("report", "T-0001", "--format", "json", exits=0).stdout)
    assert report["environment"]["sandbox"] == "none"


@pytest.mark.long
def test_writes_outside_the_tree_are_stopped_by_the_sandbox_and_found_without_it(demo: Demo) -> None:
    victim = demo.root / "src/lib.py"
    steps = {
        "add a": [
            [
                {"outside": str(victim)},
                {"outside": str(demo.root / ".git/hooks/post-checkout")},
                *writes("src/a.py", "X = 1\n"),
            ]
        ]
    }
    demo.commit(**{"script.yaml": script([ticket("a", new="src/a.py", accept="import a")], steps)})
    before = victim.read_bytes()
    level = {row["probe"]: row["detail"] for row in json.loads(demo.orchestrate("doctor", "--json").stdout)}["sandbox"]
    if not level.startswith("none"):
        demo.feature("x", exits=0)
        assert victim.read_bytes() == before
        assert not (demo.root / ".git/hooks/post-checkout").exists()
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    steps = {"add c": [[{"outside": str(victim)}, *writes("src/c.py", "X = 1\n")]]}
    demo.commit(
        **{
            "orchestrate.toml": policy + '[sandbox]\nmode = "none"\n',
            "script.yaml": script([ticket("c", new="src/c.py", accept="import c")], steps),
        }
    )
    ticket_id = demo.feature("x", exits=0)["tickets"][0][
        "id"
    ]  # the second attempt finds its damage done, and adds none
    refused = json.loads(demo.orchestrate("report", ticket_id, "--attempt", "1", "--format", "json", exits=0).stdout)
    assert refused["gates"][0]["findings"][0]["path"] == "src/lib.py"
    assert refused["gates"][0]["findings"][0]["rule"] == "scope.outside-the-tree"


@pytest.mark.long
def test_misbehaviour_on_cue_ends_in_a_refusal_that_names_it(demo: Demo) -> None:
    cases: dict[str, tuple[list[dict[str, Any]], str]] = {
        "git": ([{"git": ""}, *writes("src/git.py", "X = 1\n")], ".git/"),
        "lie": ([{"write": {"path": "src/lie.py", "text": "X = 1\n"}}, {"report": "lie"}], "src/lie.py"),
        "link": ([{"shell": "ln -s /etc/passwd src/link.py"}, {"report": "auto"}], "src/link.py"),
        "orphan": ([{"orphan": 1.0}, *writes("src/orphan.py", "X = 1\n")], ""),
    }
    tickets = [ticket(name, new=f"src/{name}.py", accept="pass") for name in cases]
    demo.commit(**{"script.yaml": script(tickets, {f"add {name}": [steps] for name, (steps, _) in cases.items()})})
    rows = {row["title"]: row for row in demo.feature("x", exits=1)["tickets"]}
    for name, (_, named) in cases.items():
        row = rows[f"add {name}"]
        assert row["state"] == ("landed" if name == "orphan" else "rejected"), row
        assert named in row["reason"]
    assert not list(demo.root.with_name("demo-wt").rglob("late.txt"))
    assert demo.git("ls-tree", "-r", "--name-only", "main").count("late.txt") == 0


@pytest.mark.long
def test_a_fresh_tree_gets_what_git_does_not_keep(demo: Demo) -> None:
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    section = (
        '[worktree]\ncopy = [".env", "conf/*.ini"]\nlink = ["data"]\nsetup = [["sh", "-c", "echo ready > ready.txt"]]\n'
    )
    steps = [
        [
            {"shell": "cat .env conf/a.ini data/set.txt ready.txt > src/a.py"},
            {"shell": "echo no > data/set.txt"},
            {"report": HONEST},
        ]
    ]
    accept = "import a, pathlib; assert a.X == 4; assert pathlib.Path('data/set.txt').read_text() == 'X += 1\\n'"
    demo.commit(
        **{
            "orchestrate.toml": policy + section.replace("echo ready", "echo X += 1"),
            ".gitignore": ".env\nconf/\ndata\nready.txt\n",
            "script.yaml": script([ticket("a", new="src/a.py", accept=accept)], {"add a": steps}),
        }
    )
    demo.write(".env", "X = 1\n")
    demo.write("conf/a.ini", "X += 1\n")
    demo.write("data/set.txt", "X += 1\n")
    assert demo.feature("x", exits=0)["outcome"] == "landed"
    assert (demo.root / "data/set.txt").read_text(encoding="utf-8") == "X += 1\n"
    assert demo.git("diff", "--name-only", "HEAD~1", "HEAD") == "src/a.py"


def test_a_setup_that_fails_blames_nobody(demo: Demo) -> None:
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    demo.commit(**{"orchestrate.toml": policy + '[worktree]\nsetup = [["sh", "-c", "exit 7"]]\n'})
    outcome = demo.feature("x", exits=4)
    assert "worktree.setup" in outcome["tickets"][0]["reason"]
    assert "exit code 7" in outcome["tickets"][0]["reason"]


@pytest.mark.long
def test_a_ticket_that_needs_a_grant_waits_for_a_person(demo: Demo) -> None:
    tickets = [
        ticket("a", new="src/a.py", accept="import a", requires=["dependency"]),
        ticket("b", new="src/b.py", accept="import b", limits={"changed_files": 99}),
        ticket("c", new="src/c.py", accept="import c", limits={"changed_files": 1}),
    ]
    steps = {f"add {key}": [writes(f"src/{key}.py", "X = 1\n")] for key in "abc"}
    demo.commit(**{"script.yaml": script(tickets, steps)})
    outcome = demo.feature("x", exits=3)
    assert [row["state"] for row in outcome["tickets"]] == ["blocked", "blocked", "landed"]
    assert "limits.changed_files = 99" in outcome["tickets"][1]["reason"]
