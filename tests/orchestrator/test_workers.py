"""Several clones at one queue: one PostgreSQL, one git remote, real processes that are killed, stopped and cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from clones import Clones, module, several

import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo_project import Demo

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL is not installed"),
]
TICKETS = ["T-0001", "T-0002", "T-0003", "T-0004"]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


@pytest.mark.slow
def test_two_clones_share_one_feature(demo: Demo, tmp_path: Path, server: postgres.Server) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(4, sleep=0.5))
    other = clones.add()
    with other.start("worker", "--once") as helping:
        outcome = demo.feature("four modules", exits=0)
        _, told = helping.communicate(timeout=60)
    assert helping.returncode == 0, told
    assert outcome["outcome"] == "landed"
    clones.landed_once(TICKETS)
    assert len(clones.heads()) == 1
    assert len({event["data"]["clone"] for event in clones.events("ticket.claimed")}) == 2


def pause(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGSTOP)


def told(process: subprocess.Popen[str], exits: int) -> str:
    out, err = process.communicate(timeout=200)
    assert process.returncode == exits, f"exit {process.returncode}\n{out}\n{err}"
    return out


@pytest.mark.long
@pytest.mark.parametrize("lost", ["worker", "asker"])
def test_the_loss_of_either_clone_loses_nothing(lost: str, demo: Demo, tmp_path: Path, server: postgres.Server) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(4, sleep=2.0), lease_s=3)
    with clones.add().start("worker", "--once") as worker, demo.start("feature", "four modules", "--json") as asker:
        victim, other = (worker, asker) if lost == "worker" else (asker, worker)
        pid = str(victim.pid)
        clones.until(lambda: len(clones.events("attempt.captured")) > 0)
        clones.until(lambda: pid in {event["data"]["owner"].split()[1] for event in clones.events("ticket.claimed")})
        clones.until(lambda: clones.rows("SELECT 1 FROM attempts WHERE state = 'running'"))
        before = [(event["ticket"], event["attempt"]) for event in clones.events("attempt.captured")]
        victim.kill()
        told(other, 0)
    clones.landed_once(TICKETS)
    kept = clones.rows("SELECT ticket, number FROM attempts WHERE state = 'passed'")
    assert set(before) <= set(kept)  # what was captured was not made again
    assert clones.rows("SELECT state FROM features") == [("ended",)]


@pytest.mark.long
def test_a_leader_that_was_paused_for_longer_than_its_lease_does_no_harm(
    demo: Demo, tmp_path: Path, server: postgres.Server
) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(4, sleep=1.0), lease_s=2)
    with clones.add().start("worker", "--once") as worker, demo.start("feature", "four modules", "--json") as asker:
        clones.until(lambda: clones.events("train.predicted"))
        ((owner, fence),) = clones.rows("SELECT owner, fence FROM claims WHERE name = 'train:main'")
        leader, other = (asker, worker) if owner.split()[1] == str(asker.pid) else (worker, asker)
        pause(leader)
        try:
            clones.until(lambda: clones.rows("SELECT 1 FROM features WHERE state = 'ended'"), seconds=150)
            ((after,),) = clones.rows("SELECT fence FROM claims WHERE name = 'train:main'")
            assert after > fence
        finally:
            os.kill(leader.pid, signal.SIGCONT)
        told(other, 0)
        told(leader, 0)
    clones.landed_once(TICKETS)
    assert len(clones.heads()) == 1


@pytest.mark.long
def test_a_server_that_restarts_is_waited_for(demo: Demo, tmp_path: Path, server: postgres.Server) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(3, sleep=1.0))
    with clones.add().start("worker", "--once") as worker, demo.start("feature", "three modules", "--json") as asker:
        clones.until(lambda: clones.events("attempt.started"))
        server.stop()
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                asker.wait(timeout=2)
        finally:
            server.start()
        told(worker, 0)
        told(asker, 0)
    clones.landed_once(TICKETS[:3])


@pytest.mark.long
def test_features_that_are_asked_for_at_once_all_land(demo: Demo, tmp_path: Path, server: postgres.Server) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(3, sleep=0.5))
    other = clones.add()
    with ExitStack() as stack:
        asked = []
        for clone, name in ((demo, "a"), (demo, "b"), (other, "c")):
            plan = tmp_path / f"{name}.yaml"
            plan.write_text(json.dumps({"request": name, "tickets": [module(name)]}), encoding="utf-8")
            asked.append(stack.enter_context(clone.start("feature", "--plan", str(plan), "--json")))
        outcomes = [json.loads(told(process, 0)) for process in asked]
    assert sorted(outcome["feature"] for outcome in outcomes) == ["F-0001", "F-0002", "F-0003"]
    clones.landed_once(TICKETS[:3])
    assert demo.git("ls-tree", "--name-only", "main:src").split() == ["a.py", "b.py", "c.py", "lib.py"]


def test_a_shared_queue_needs_a_remote(demo: Demo, server: postgres.Server) -> None:
    demo.write("orchestrate.toml", f'version = 1\n[state]\ndatabase_url = "{server.new_database()}"\n')
    for command in (("feature", "a module"), ("worker", "--once")):
        assert "set remote under [landing]" in demo.orchestrate(*command, exits=2).stderr


@pytest.mark.long
def test_a_worker_that_is_told_to_stop_finishes_its_attempt_and_another_goes_on(
    demo: Demo, tmp_path: Path, server: postgres.Server
) -> None:
    clones = Clones(demo, tmp_path, server=server, script=several(3, sleep=1.5))
    with clones.add().start("worker", "--json") as worker, demo.start("feature", "three modules", "--json") as asker:
        pid = str(worker.pid)
        clones.until(lambda: pid in {event["data"]["owner"].split()[1] for event in clones.events("ticket.claimed")})
        worker.terminate()
        assert json.loads(told(worker, 0)) == {"worker": "stopped", "open": ["F-0001"]}
        told(asker, 0)
    clones.landed_once(TICKETS[:3])
    assert {number for (number,) in clones.rows("SELECT number FROM attempts")} == {1}


@pytest.mark.long
def test_a_worker_alone_serves_what_was_left(demo: Demo) -> None:
    with demo.start("feature", "two modules") as asker:
        assert asker.stderr is not None
        while "attempt 1" not in asker.stderr.readline():
            pass
        asker.kill()
    assert json.loads(demo.orchestrate("worker", "--once", "--json", exits=0).stdout) == {"worker": "done", "open": []}
    assert demo.git("ls-tree", "--name-only", "main:src").split() == ["a.py", "b.py", "lib.py"]
