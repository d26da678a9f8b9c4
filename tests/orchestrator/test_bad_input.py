"""Bad input: one clear error with file, line and what was expected, exit code 2, nothing started, nothing lost."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import Demo, script, ticket, writes
from tiers import long_after

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def refused(demo: Demo, *arguments: str, saying: str) -> None:
    done = demo.orchestrate(*arguments, exits=2)
    assert saying in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    database = demo.root / ".orchestrate/signalbox.sqlite"
    if database.exists():
        connection = sqlite3.connect(database)
        tickets = connection.execute("SELECT COUNT(*) FROM tickets").fetchone()[0]
        connection.close()
        assert tickets == 0


def test_not_a_git_repository(tmp_path: Path, home: Path) -> None:
    (tmp_path / "plain").mkdir()
    refused(Demo(tmp_path / "plain", home), "feature", "x", saying="is not inside a git repository")


def test_a_folder_that_does_not_exist(demo: Demo) -> None:
    refused(demo, "feature", "x", "--repo", "nowhere", saying="nowhere is not a folder")


def test_no_commit_yet(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "young"
    root.mkdir()
    young = Demo(root, home)
    young.git("init", "-qb", "main")
    refused(young, "feature", "x", saying="has no commit yet")


def test_a_bare_repository(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "bare"
    root.mkdir()
    bare = Demo(root, home)
    bare.git("init", "-q", "--bare")
    refused(bare, "feature", "x", saying="is a bare repository")


def test_a_target_that_does_not_exist(demo: Demo) -> None:
    demo.git("branch", "-m", "main", "trunk")
    refused(demo, "feature", "x", saying="there is no branch 'main' to land on (branches: trunk)")


@pytest.mark.long
def test_a_detached_checkout_still_lands_on_the_target(demo: Demo) -> None:
    demo.git("checkout", "-q", "--detach")
    before = demo.git("rev-parse", "HEAD")
    assert demo.feature("x", exits=0)["outcome"] == "landed"
    assert demo.git("rev-parse", "HEAD") == before
    assert demo.git("show", "main:src/a.py") == "X = 1"


def test_nobody_to_commit_as(demo: Demo, home: Path) -> None:
    (home / ".gitconfig").unlink()
    nameless = Demo(
        demo.root,
        home,
        {"EMAIL": "", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"},
    )
    demo.git("config", "user.useConfigOnly", "true")
    refused(nameless, "feature", "x", saying="user.name and user.email")


def test_no_words(demo: Demo) -> None:
    refused(demo, "feature", saying="say what is wanted")


@pytest.mark.parametrize(
    ("text", "saying"),
    long_after(
        3,
        [
            ("version = 1\nspeed = 3\n", "orchestrate.toml:2: speed: no such key"),
            (
                "version = 1\n[limits]\nfile_lines = 'many'\n",
                "orchestrate.toml:3: limits.file_lines: expected a valid integer, not 'many'",
            ),
            (
                "version = 1\n\n[limits]\n\nfile_lines = 0\n",
                "orchestrate.toml:5: limits.file_lines: expected greater than or equal to 1, not 0",
            ),
            ("version = 2\n", "orchestrate.toml:1: version: expected 1, not 2"),
            ("version = 1\n[dispatch]\nparallel = 0\n", "orchestrate.toml:3: dispatch.parallel"),
            ("version = 1\n[planning]\nlead = 'nobody'\n", "planning.lead to name one of [agents.*]"),
            (
                "version = 1\n[scope]\ndeny = ['../up']\n",
                "orchestrate.toml:3: scope.deny.0: expected a path inside the repository, not '../up' (it has `..`)",
            ),
            (
                "version = 1\n[cost]\nauto_below_usd = 9.0\nstop_from_usd = 1.0\n",
                "stop_from_usd of at least auto_below_usd",
            ),
            ("version = 1\n[cost]\nday_cap_usd = nan\n", "orchestrate.toml:3: cost.day_cap_usd"),
            ("version = 1\n[agents.x]\nkind = 'command'\n", "`command` with the program to start"),
            ("version = 1\n[[checks]]\nname = 'a'\nrun = []\n", "orchestrate.toml:4: checks.0.run"),
            ("version = \n", "orchestrate.toml:1: valid TOML"),
        ],
    ),
)
def test_a_wrong_configuration(demo: Demo, text: str, saying: str) -> None:
    demo.write("orchestrate.toml", text)
    refused(demo, "feature", "x", saying=saying)


@pytest.mark.parametrize(
    ("change", "saying"),
    long_after(
        4,
        [
            ({"scope": {"new": ["../x.py"]}}, "expected a path inside the repository, not '../x.py' (it has `..`)"),
            (
                {"scope": {"new": ["/etc/passwd"]}},
                "expected a path relative to the repository's root, not '/etc/passwd'",
            ),
            ({"scope": {"new": [".git/config"]}}, "expected a path outside .git"),
            ({"scope": {"new": ["out/x.py"]}}, "leaves the repository through the symlink 'out'"),
            ({"scope": {"new": ["orchestrate.toml"]}}, "is protected by the policy"),
            ({"scope": {"write": ["src/nothing/*.py"]}}, "matches no file at the base"),
            ({"scope": {}}, "this ticket could write nothing"),
            ({"depends_on": ["ghost"]}, "expected a key of this plan, not 'ghost'"),
            ({"depends_on": ["a"]}, "expected no cycle, not a -> a"),
            ({"speed": 1}, "tickets.0.speed: no such key"),
            ({"acceptance": [{"run": ["no-such-program"]}]}, "'no-such-program' cannot be run"),
            ({"acceptance": [{"run": "python -c 'x || true"}]}, "expected a shell line that parses"),
            ({"acceptance": [{"run": "python -c pass || true"}]}, "can never fail"),
            ({"acceptance": []}, "expected at least one command"),
            ({"non_goals": []}, "expected at least one thing"),
            ({"smoke": {"run": ["python"], "timeout_s": 0}}, "smoke.timeout_s: expected greater than 0"),
            ({"tests": {"floor": -1}}, "tests.floor"),
        ],
    ),
)
def test_a_plan_that_cannot_be_carried_out(demo: Demo, change: dict[str, object], saying: str) -> None:
    (demo.root / "out").symlink_to("/tmp")
    demo.commit()
    demo.write(
        "plan.json",
        json.dumps({"request": "x", "tickets": [{**ticket("a", new="src/a.py", accept="import a"), **change}]}),
    )
    refused(demo, "feature", "--plan", "plan.json", saying=saying)


def test_a_plan_with_more_tickets_than_the_policy_allows(demo: Demo) -> None:
    demo.write(
        "plan.json",
        json.dumps({"request": "x", "tickets": [ticket(f"k{n}", new=f"src/{n}.py", accept="pass") for n in range(11)]}),
    )
    refused(demo, "feature", "--plan", "plan.json", saying="expected at most 10 tickets (planning.max_tickets), not 11")


def test_a_cycle_between_tickets_names_its_way(demo: Demo) -> None:
    a, b = (
        ticket("a", new="src/a.py", accept="pass", depends_on=["b"]),
        ticket("b", new="src/b.py", accept="pass", depends_on=["a"]),
    )
    demo.write("plan.json", json.dumps({"request": "x", "tickets": [a, b]}))
    refused(demo, "feature", "--plan", "plan.json", saying="expected no cycle, not")


def test_a_ticket_file_with_an_unknown_key_names_its_line(demo: Demo) -> None:
    made = json.loads(demo.orchestrate("tickets", "new", "My ticket", "--json", exits=0).stdout)["file"]
    text = (demo.root / made).read_text(encoding="utf-8")
    demo.write("mine.md", text.replace("scope:", "speed: 3\nscope:", 1))
    refused(demo, "tickets", "lint", "mine.md", saying="mine.md:4: speed: no such key")


def test_what_is_no_recipe_lists_the_recipes_and_how_to_set_an_agent(demo: Demo) -> None:
    demo.write("orchestrate.toml", "version = 1\n")
    done = demo.orchestrate("feature", "make it faster", exits=2)
    for words in ("add model NAME", "try KEY VALUE", "for instance", "[agents.coder]"):
        assert words in done.stderr


def test_a_recipe_where_there_is_no_hub(demo: Demo) -> None:
    demo.write("orchestrate.toml", "version = 1\n")
    refused(demo, "feature", "add model wide_mlp", saying="experiment_hub")


# agents that cannot work


def with_command(demo: Demo, *command: str) -> None:
    """Have the program carry out one ticket of a plan file."""
    words = ", ".join(json.dumps(word) for word in command)
    policy = (
        (demo.root / "orchestrate.toml")
        .read_text(encoding="utf-8")
        .replace('kind = "scripted"\nscript = "script.yaml"', f'kind = "command"\ncommand = [{words}]')
    )
    demo.commit(
        **{
            "orchestrate.toml": policy.replace("timeout_s = 60", "timeout_s = 3\nattempts = 1"),
            "plan.json": json.dumps({"request": "x", "tickets": [ticket("a", new="src/a.py", accept="import a")]}),
        }
    )


def test_an_agent_program_that_does_not_exist(demo: Demo) -> None:
    with_command(demo, "no-such-agent")
    refused(
        demo,
        "feature",
        "--plan",
        "plan.json",
        saying="agents.actor: 'no-such-agent' is neither on the PATH nor an executable file",
    )


def test_an_agent_program_that_is_not_executable(demo: Demo) -> None:
    with_command(demo, "./agent.sh")
    demo.commit(**{"agent.sh": "#!/bin/sh\n"})
    refused(demo, "feature", "--plan", "plan.json", saying="agents.actor")


@pytest.mark.parametrize(
    ("body", "state", "saying"),
    [
        pytest.param("exit 0", "rejected", "changed nothing", marks=pytest.mark.long),
        ("exit 3", "failed", "exit code 3"),
        pytest.param("sleep 600", "failed", "3 s", marks=pytest.mark.long),
        pytest.param("trap '' TERM; while true; do sleep 1; done", "failed", "3 s", marks=pytest.mark.long),
        pytest.param("kill -SEGV $$", "failed", "exit code -11", marks=pytest.mark.long),
        pytest.param(
            "echo 'X = 1' > src/a.py; head -c 100000000 /dev/zero | tr '\\0' x; printf '## Summary\\nx\\n## Files Changed\\n- src/a.py\\n## Verification\\nnone\\n## Risks / Edge Cases\\nnone\\n## Out-of-Scope Issues Found\\nnone\\n' > $ORCHESTRATE_REPORT",
            "landed",
            "",
            marks=pytest.mark.long,
        ),
    ],
)
def test_agents_that_misbehave_end_their_ticket_and_nothing_else(
    demo: Demo, body: str, state: str, saying: str
) -> None:
    with_command(demo, "sh", "-c", body)
    outcome = demo.feature("--plan", "plan.json", exits=0 if state == "landed" else 1)
    assert outcome["tickets"][0]["state"] == state
    assert saying in outcome["tickets"][0]["reason"]


# repositories of all kinds


@pytest.mark.long
def test_a_repository_without_tests_is_not_judged_green(demo: Demo) -> None:
    demo.git("rm", "-rq", "tests")
    demo.commit()
    outcome = demo.feature("x", exits=4)
    assert "no tests were collected" in outcome["tickets"][0]["reason"]
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    head, _, _ = policy.partition("[tests]")
    demo.commit(**{"orchestrate.toml": f"{head}[tests]\nrun = []\n"})
    assert demo.feature("x", exits=0)["outcome"] == "landed"


@pytest.mark.long
def test_spaces_and_letters_of_all_alphabets(demo: Demo) -> None:
    moved = demo.root.rename(demo.root.with_name("räum e 部屋"))
    odd = Demo(moved, demo.home)
    name = "src/mein modul 文.txt"
    demo_plan = {"request": "ö", "tickets": [ticket("a", new=name, accept=f"open({name!r})", title="für Ünïcode 文")]}
    odd.commit(**{"script.yaml": script([], {"*": [writes(name, "ä\n")]}), "plan.json": json.dumps(demo_plan)})
    outcome = odd.feature("--plan", "plan.json", exits=0)
    assert outcome["outcome"] == "landed"
    assert (moved / name).read_text(encoding="utf-8") == "ä\n"


@pytest.mark.long
def test_a_submodule_stays_what_it_was(demo: Demo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    inner = Demo(other, demo.home)
    inner.git("init", "-qb", "main")
    inner.commit(**{"x.py": "X = 1\n"})
    demo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "vendor")
    before = demo.commit()
    pinned = demo.git("rev-parse", f"{before}:vendor")
    assert demo.feature("x", exits=0)["outcome"] == "landed"
    assert demo.git("rev-parse", "main:vendor") == pinned


@pytest.mark.long
def test_writing_into_a_submodule_is_refused(demo: Demo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    inner = Demo(other, demo.home)
    inner.git("init", "-qb", "main")
    inner.commit(**{"x.py": "X = 1\n"})
    demo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "vendor")
    demo.commit(
        **{
            "script.yaml": script(
                [ticket("a", new="src/a.py", accept="import a")],
                {"add a": [[{"write": {"path": "vendor/x.py", "text": "X = 2\n"}}, *writes("src/a.py", "X = 1\n")]]},
            )
        }
    )
    assert "vendor/x.py" in demo.feature("x", exits=1)["tickets"][0]["reason"]


@pytest.mark.long
def test_a_file_of_a_hundred_thousand_lines_may_shrink_but_not_grow(demo: Demo) -> None:
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8") + "[limits]\nchanged_lines = 400000\n"
    tickets = [ticket("a", new="src/big.py", accept="import big")]
    long = "".join(f"x{n} = {n}\n" for n in range(100_000))
    steps: list[list[dict[str, Any]]] = [
        [
            {"shell": "echo 'y = 1' >> src/big.py"},
            {"write": {"path": "src/touch", "text": ""}},
            {"delete": "src/touch"},
            {
                "report": "## Summary\nx\n## Files Changed\n- src/big.py\n## Verification\nnone\n## Risks / Edge Cases\nnone\n## Out-of-Scope Issues Found\nnone\n"
            },
        ]
    ]
    demo.commit(**{"orchestrate.toml": policy, "src/big.py": long, "script.yaml": script(tickets, {"add a": steps})})
    outcome = demo.feature("x", exits=1)
    assert "src/big.py" in outcome["tickets"][0]["reason"]
    assert "it had 100000 before" in outcome["tickets"][0]["reason"]


@pytest.mark.long
def test_a_state_folder_of_a_newer_version_is_left_alone(demo: Demo) -> None:
    demo.feature("x", exits=0)
    database = demo.root / ".orchestrate/signalbox.sqlite"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = database.read_bytes()
    done = demo.orchestrate("feature", "x", exits=2)
    assert "has version 99" in done.stderr
    assert database.read_bytes() == before


@pytest.mark.long
def test_a_database_that_is_no_database(demo: Demo) -> None:
    demo.feature("x", exits=0)
    (demo.root / ".orchestrate/signalbox.sqlite").write_bytes(b"not a database at all" * 100)
    done = demo.orchestrate("status", exits=4)
    assert "cannot be used as the database" in done.stderr


def test_json_errors_are_one_document(demo: Demo) -> None:
    done = demo.orchestrate("feature", "x", "--json", "--repo", "nowhere", exits=2)
    assert json.loads(done.stdout) == {"error": "nowhere is not a folder", "exit": 2}


def test_the_command_line_itself(demo: Demo) -> None:
    assert "No such option" in demo.orchestrate("feature", "--sped", exits=2).stderr
