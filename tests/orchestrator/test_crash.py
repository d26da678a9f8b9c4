"""Promises under attack: killed at any point, interrupted, asked twice at once, on a full disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from demo_project import script, ticket, writes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo_project import Demo

pytestmark = pytest.mark.e2e


def slow_script() -> str:
    """Two tickets whose agents take a moment, the second one after the first."""
    tickets = [
        ticket("a", new="src/a.py", accept="import a"),
        ticket("b", new="src/b.py", accept="import b", depends_on=["a"]),
    ]
    steps = {
        "add a": [[{"sleep": 1.0}, *writes("src/a.py", "X = 1\n")]],
        "add b": [[*writes("src/b.py", "X = 2\n"), {"sleep": 1.0}]],
    }
    return script(tickets, steps)


def wait_for(demo: Demo, kind: str, *, seconds: float = 60) -> None:
    """Wait until the log of the repository holds an event of the kind."""
    import sqlite3

    database = demo.root / ".orchestrate/signalbox.sqlite"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if database.is_file():
            connection = sqlite3.connect(database, timeout=30)
            try:
                found = connection.execute("SELECT COUNT(*) FROM events WHERE kind = ?", (kind,)).fetchone()[0]
            except sqlite3.OperationalError:
                found = 0  # the tables are being made
            finally:
                connection.close()
            if found:
                return
        time.sleep(0.02)
    pytest.fail(f"no {kind} within {seconds} s")


def kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def assert_whole(demo: Demo, outcome: dict[str, Any], before: str) -> None:
    """What must hold after any crash: everything landed once, judged, followed, and nothing is left over."""
    assert outcome["outcome"] == "landed"
    assert (demo.root / "src/a.py").read_text(encoding="utf-8") == "X = 1\n"
    assert (demo.root / "src/b.py").read_text(encoding="utf-8") == "X = 2\n"
    landings = demo.git("log", "--first-parent", "--format=%(trailers:key=Ticket,valueonly)", f"{before}..main").split()
    assert sorted(landings) == ["T-0001", "T-0002"]
    judged = {
        report["tree"]
        for report in map(
            json.loads, (f.read_text(encoding="utf-8") for f in (demo.root / ".orchestrate/reports").glob("*.json"))
        )
        if report["verdict"] == "pass"
    }
    for commit in demo.first_parents()[:2]:
        assert demo.git("rev-parse", f"{commit}^{{tree}}") in judged
    assert demo.git("status", "--porcelain", "--untracked-files=no") == ""
    assert demo.git("fsck", "--no-dangling") == ""
    assert not list(demo.root.with_name("demo-wt").glob("t-*"))
    assert json.loads(demo.orchestrate("log", "--verify", "--json", exits=0).stdout)["intact"]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("feature.asked", marks=pytest.mark.long),
        pytest.param("attempt.started", marks=pytest.mark.long),
        pytest.param("attempt.captured", marks=pytest.mark.long),
        pytest.param("gates.judged", marks=pytest.mark.long),
        pytest.param("attempt.passed", marks=pytest.mark.long),
        "landing.intended",
        pytest.param("landing.moved", marks=pytest.mark.long),
    ],
)
def test_killed_at_a_step_and_resumed_it_ends_the_same(demo: Demo, event: str) -> None:
    before = demo.commit(**{"script.yaml": slow_script()})
    process = demo.start("feature", "two modules")
    wait_for(demo, event)
    kill(process)
    assert_whole(demo, json.loads(demo.orchestrate("resume", "--json", exits=0).stdout), before)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again_at_random_it_ends_the_same(demo: Demo, seed: int) -> None:
    before = demo.commit(**{"script.yaml": slow_script()})
    moments = random.Random(seed)
    process = demo.start("feature", "two modules")
    for _ in range(4):
        time.sleep(moments.uniform(0.3, 4.0))
        kill(process)
        process = demo.start("resume")
    process.communicate()
    # the first kill may have come before anything was asked for: then nothing was promised yet
    asked = json.loads(demo.orchestrate("status", "--json", exits=0).stdout)["features"]
    done = demo.orchestrate(*(("resume", "F-0001") if asked else ("feature", "two modules")), "--json", exits=0)
    assert_whole(demo, json.loads(done.stdout), before)


def wait_for_file(demo: Demo, name: str, *, seconds: float = 60) -> None:
    """Wait until the agent of T-0001 has written the file: into its tree, or into the layer above it."""
    beside = demo.root.with_name("demo-wt")
    places = (beside / "t-0001-add-a" / name, beside / ".homes" / "T-0001-1.layer" / "upper" / name)
    deadline = time.monotonic() + seconds
    while not any(place.exists() for place in places):
        assert time.monotonic() < deadline, f"no {name} within {seconds} s"
        time.sleep(0.02)


@pytest.mark.slow
def test_the_agent_of_a_killed_harness_lives_on_and_is_adopted(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    nap = f"3.{os.getpid()}{time.monotonic_ns()}"  # names the process in every namespace
    steps = [{"shell": f"touch here; sleep {nap}; rm here"}, *writes("src/a.py", "X = 1\n")]
    demo.commit(**{"script.yaml": script(tickets, {"add a": [steps]})})
    process = demo.start("feature", "x")
    wait_for_file(demo, "here")
    kill(process)
    assert sleeps(nap)
    both = [demo.start("resume", "--json") for _ in range(2)]
    outcomes = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    (landed,) = [outcome for outcome in outcomes if "tickets" in outcome][:1]
    assert [(one["state"], one["attempts"]) for one in landed["tickets"]] == [("landed", 1)]
    started = [event["attempt"] for event in demo.log() if event["kind"] == "attempt.started"]
    assert started == [1]
    assert not list((demo.root / ".orchestrate/keepers").iterdir())


@pytest.mark.slow
def test_an_interrupted_harness_leaves_no_agent_behind(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    nap = f"300.{os.getpid()}{time.monotonic_ns()}"
    demo.commit(**{"script.yaml": script(tickets, {"add a": [[{"shell": f"touch here; exec sleep {nap}"}]]})})
    process = demo.start("feature", "x")
    wait_for_file(demo, "here")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not sleeps(nap)
    assert not keepers(demo)


def keepers(demo: Demo) -> list[psutil.Process]:
    """The processes that hold agents of this repository."""
    locks = (demo.root / ".orchestrate/keepers").glob("*/lock")
    names = [lock.read_text(encoding="ascii").split() for lock in locks]
    found = [psutil.Process(int(name[1])) for name in names if name and psutil.pid_exists(int(name[1]))]
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def sleeps(nap: str) -> bool:
    return any(nap in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


def eventually(true: Callable[[], bool], *, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


@pytest.mark.long
def test_ctrl_c_ends_with_130_and_can_be_resumed(demo: Demo) -> None:
    before = demo.commit(**{"script.yaml": slow_script()})
    process = demo.start("feature", "two modules", "--json")
    wait_for(demo, "attempt.started")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["outcome"] == "interrupted"
    assert_whole(demo, json.loads(demo.orchestrate("resume", "--json", exits=0).stdout), before)


def test_what_an_interrupted_agent_wrote_is_archived(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    demo.commit(
        **{
            "script.yaml": script(
                tickets,
                {
                    "add a": [
                        [
                            {"write": {"path": "src/a.py", "text": "half = 'done'\n"}},
                            {"shell": "touch ready"},
                            {"sleep": 5},
                            {"delete": "ready"},
                            {"report": "auto"},
                        ]
                    ]
                },
            )
        }
    )
    process = demo.start("feature", "x")
    wait_for_file(demo, "ready")
    kill(process)
    for keeper in keepers(demo):
        keeper.kill()
    listed = json.loads(demo.orchestrate("worktrees", "clean", "--json", exits=0).stdout)
    assert listed["archived"] == ["T-0001 attempt 1"]
    assert demo.git("show", "refs/orchestrate/attempts/T-0001/1:src/a.py") == "half = 'done'"


@pytest.mark.long
def test_two_features_at_once_share_one_runner(demo: Demo) -> None:
    tickets = [ticket("a", new="src/a.py", accept="import a")]
    demo.commit(**{"script.yaml": script(tickets, {"add *": [[{"sleep": 1.5}, *writes("src/a.py", "X = 1\n")]]})})
    plan = {"request": "second", "tickets": [ticket("b", new="src/a.py", accept="import a", title="add second")]}
    demo.write("plan.json", json.dumps(plan))
    first = demo.start("feature", "first", "--json")
    wait_for(demo, "attempt.started")
    second = demo.start("feature", "--plan", "plan.json", "--json")
    outcomes = [json.loads(process.communicate(timeout=120)[0]) for process in (first, second)]
    assert [outcome["feature"] for outcome in outcomes] == ["F-0001", "F-0002"]
    assert outcomes[0]["outcome"] == "landed"
    # the second one wrote the same file with the same content: there is nothing left to change on the new target
    assert outcomes[1]["outcome"] in {"landed", "refused"}
    asked = [event for event in demo.log() if event["kind"] == "feature.asked"]
    assert len(asked) == 2


@pytest.mark.long
def test_eight_commands_at_once_lose_nothing(demo: Demo) -> None:
    letters = "cdefghij"
    demo.commit(**{"script.yaml": script([], {f"add {k}": [writes(f"src/{k}.py", "X = 1\n")] for k in letters})})
    for k in letters:
        demo.write(
            f"plan-{k}.json",
            json.dumps({"request": k, "tickets": [ticket(k, new=f"src/{k}.py", accept=f"import {k}")]}),
        )
    processes = [demo.start("feature", "--plan", f"plan-{k}.json", "--json") for k in letters]
    outcomes = [json.loads(process.communicate(timeout=240)[0]) for process in processes]
    assert [outcome["outcome"] for outcome in outcomes] == ["landed"] * 8
    assert sorted(outcome["feature"] for outcome in outcomes) == [f"F-{n:04d}" for n in range(1, 9)]
    assert all((demo.root / f"src/{k}.py").is_file() for k in letters)


def small_disk(folder: Path, mib: int) -> None:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small file system can only be mounted by root")


def test_a_full_disk_starts_nothing_and_loses_nothing(demo: Demo, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    small_disk(disk, 64)
    try:
        moved = disk / "demo"
        shutil.copytree(demo.root, moved)
        done = demo.orchestrate("feature", "x", "--repo", str(moved), exits=4)
        assert "MiB are free" in done.stderr
        assert not (moved / ".orchestrate/signalbox.sqlite").exists()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.long
def test_a_disk_that_fills_up_during_the_run_keeps_the_target_and_goes_on_later(demo: Demo, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    small_disk(disk, 400)
    try:
        moved = disk / "demo"
        demo.commit(**{"script.yaml": slow_script()})
        shutil.copytree(demo.root, moved)
        process = demo.start("feature", "two modules", "--json", "--repo", str(moved))
        while not list(disk.glob("demo-wt/t-*")):
            time.sleep(0.02)
        subprocess.run(["sh", "-c", f"cat /dev/zero > {disk}/ballast"], capture_output=True, check=False)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 4, err
        assert "is full" in err
        (disk / "ballast").unlink()
        head = subprocess.run(
            ["git", "-C", str(moved), "fsck", "--no-dangling"], capture_output=True, text=True, check=True
        )
        assert head.stdout == ""
        demo.orchestrate("resume", "--repo", str(moved))
        for row in json.loads(demo.orchestrate("tickets", "list", "--json", "--repo", str(moved), exits=0).stdout):
            if row["state"] != "landed":  # its agent had been stopped by the full disk
                demo.orchestrate("tickets", "retry", row["id"], "--repo", str(moved))
        assert (moved / "src/a.py").is_file()
        assert (moved / "src/b.py").is_file()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
