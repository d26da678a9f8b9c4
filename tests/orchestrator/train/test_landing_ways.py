"""Ways of landing with real git: merge, squash, rebase, and a remote that others push to as well."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from memory.trains import Trains
from orchestrator.train import publishing
from orchestrator.train.landing import finish_interrupted
from orchestrator.train.publishing import Publisher, check, meet
from orchestrator.train.station import Station
from tickets.errors import InputError
from tickets.states import State
from train_yard import QUIET, Yard

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_project import Demo

TRAIN = "[train]\nslots = {slots}\nbatch = {batch}\n"
REMOTE = '[landing]\nremote = "origin"\n'


def yard_with(demo: Demo, landing: str, *, slots: int = 2, batch: int = 1) -> Yard:
    return Yard.of(demo, QUIET + TRAIN.format(slots=slots, batch=batch) + landing)


class Hub:
    """The bare repository on the other side."""

    def __init__(self, demo: Demo, monkeypatch: pytest.MonkeyPatch, landing: str = REMOTE) -> None:
        monkeypatch.setenv("HOME", str(demo.home))
        monkeypatch.setattr(publishing, "PAUSES_S", (0.1, 0.1))
        self.demo, self.path = demo, demo.home / "hub.git"
        self.yard = yard_with(demo, landing)
        demo.git("init", "-q", "--bare", "-b", "main", str(self.path))
        demo.git("remote", "add", "origin", str(self.path))
        demo.git("push", "-q", "origin", "main")
        self.before = self.head

    @property
    def head(self) -> str:
        return self.demo.git("--git-dir", str(self.path), "rev-parse", "main")

    def pushed_by_others(self, **files: str) -> str:
        """Have somebody else push a commit on top of what is there."""
        theirs = self.yard.commit(self.head_here(), files)
        self.demo.git("push", "-q", "origin", f"{theirs}:refs/heads/main")
        return theirs

    def head_here(self) -> str:
        self.demo.git("fetch", "-q", "origin", "main")
        return self.demo.git("rev-parse", "FETCH_HEAD")

    def reason(self, ticket: str) -> str:
        row = self.yard.workspace.records.ticket(ticket)
        assert row.state is State.BLOCKED
        return row.reason

    def wake(self, ticket: str) -> None:
        """What `resume` does with a ticket whose work has passed."""
        for state in (State.READY, State.VERIFYING, State.QUEUED):
            self.yard.workspace.records.move(ticket, state)


@pytest.fixture
def hub(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(demo, monkeypatch)


# merge, squash, rebase


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1)])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_method_lands_the_judged_tree_on_the_head_before(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, method: str, parents: int, batch: int
) -> None:
    monkeypatch.setenv("HOME", str(demo.home))
    yard = yard_with(demo, f'[landing]\nmethod = "{method}"\n', slots=1, batch=batch)
    before, base = yard.workspace.head(), demo.first_parents()
    demo.commit("meanwhile", **{"meanwhile.txt": "x\n"})
    tickets = yard.queue(*({f"f{n}.txt": "x\n"} for n in range(3)), base=before)
    for ticket in tickets:  # all of them are there when the train begins
        head = yard.workspace.records.ticket(ticket).head or ""
        Trains(yard.workspace.database).join(ticket, "main", attempt=1, head=head)
    assert set(yard.run(*tickets).values()) == {"landed"}
    old = demo.first_parents()[-len(base) - 1]
    yard.assert_never_red(old)
    landed = demo.git("rev-list", "--first-parent", f"{old}..main").split()
    assert len(landed) == len(yard.landed(old)) < (4 if batch == 1 else 3)
    assert sorted(name for step in yard.landed(old) for name in step) == tickets
    for commit in landed:
        assert len(demo.git("rev-list", "--no-walk", "--parents", commit).split()) - 1 == parents
        assert demo.git("log", "-1", "--format=%an <%ae>", commit) == "Ada <ada@example.org>"
        assert len(demo.git("log", "-1", "--format=%(trailers:key=Gate-Report,valueonly,separator=%x20)", commit)) >= 64
        assert json.loads(demo.git("notes", "--ref=orchestrate", "show", commit))


def test_only_a_merge_has_the_attempts_in_the_history_of_the_target(demo: Demo) -> None:
    yard = yard_with(demo, '[landing]\nmethod = "squash"\n')
    (ticket,) = yard.queue({"a.txt": "x\n"})
    yard.run(ticket)
    (attempt,) = yard.workspace.records.attempts(ticket)
    assert (attempt.changes or {})["commit"] not in demo.git("rev-list", "main").split()


# a remote


def test_a_landing_is_pushed_and_the_local_target_follows(hub: Hub) -> None:
    tickets = hub.yard.queue({"a.txt": "x\n"}, {"b.txt": "x\n"})
    assert set(hub.yard.run(*tickets).values()) == {"landed"}
    assert hub.head == hub.yard.workspace.head() != hub.before
    hub.yard.assert_never_red(hub.before)
    assert {event["new"] for event in hub.yard.events("landing.pushed")} == set(hub.demo.first_parents()[:2])
    notes = hub.demo.git("--git-dir", str(hub.path), "notes", "--ref=orchestrate", "list").splitlines()
    assert {line.split()[1] for line in notes} == set(hub.demo.first_parents()[:2])
    assert (hub.demo.root / "a.txt").is_file()


def test_who_is_overtaken_is_judged_anew_on_what_stands_there(hub: Hub) -> None:
    theirs = hub.pushed_by_others(**{"theirs.txt": "x\n"})
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    publisher = Publisher(hub.yard.workspace)
    publisher.follow()  # what the train does when it starts
    assert hub.yard.workspace.head() == theirs
    assert (hub.demo.root / "theirs.txt").is_file()
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert hub.demo.first_parents()[1] == theirs
    assert hub.head == hub.yard.workspace.head()
    hub.yard.assert_never_red(theirs)


def test_others_who_push_between_the_verdict_and_the_landing_lose_nothing(hub: Hub) -> None:
    """Their commit is taken at the very moment when ours arrives."""
    theirs = hub.yard.commit(hub.before, {"theirs.txt": "x\n"})
    hub.demo.git("push", "-q", "origin", f"{theirs}:refs/heads/waiting")
    hook, once = hub.path / "hooks" / "pre-receive", hub.demo.home / "once"
    move = f'env -i PATH="$PATH" git --git-dir={hub.path} update-ref refs/heads/main {theirs}'
    hook.write_text(f"#!/bin/sh\ntest -e {once} && exit 0\ntouch {once}\n{move}\n", encoding="utf-8")
    hook.chmod(0o755)
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert once.exists()
    assert theirs in hub.demo.first_parents()
    assert hub.head == hub.yard.workspace.head()
    assert len(hub.yard.events("landing.intended")) == 2
    hub.yard.assert_never_red(theirs)


def test_two_that_have_gone_apart_wait_for_a_person_and_land_afterwards(hub: Hub) -> None:
    hub.pushed_by_others(**{"theirs.txt": "x\n"})
    mine = hub.demo.commit("by hand", **{"mine.txt": "x\n"})
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "have gone apart" in hub.reason(ticket)
    assert hub.yard.workspace.head() == mine
    hub.demo.git("rebase", "-q", "origin/main")
    hub.demo.git("push", "-q", "origin", "main")
    hub.wake(ticket)
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert hub.head == hub.yard.workspace.head()


def test_commits_that_only_the_person_has_are_not_published_by_a_landing(hub: Hub) -> None:
    hub.demo.commit("not yet to be seen", **{"mine.txt": "x\n"})
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "has commits here that origin does not have" in hub.reason(ticket)
    assert hub.head == hub.before


def test_a_remote_that_is_away_is_tried_again_and_then_waited_for(hub: Hub) -> None:
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    hub.path.rename(hub.path.with_name("away"))
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "cannot be reached" in hub.reason(ticket)
    assert "tried 3 times" in hub.reason(ticket)
    assert hub.yard.workspace.head() == hub.before
    assert any("tried again in" in event["reason"] for event in hub.yard.events("train.trouble"))
    hub.path.with_name("away").rename(hub.path)
    hub.wake(ticket)
    judged = len(hub.yard.events("train.judged"))
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert len(hub.yard.events("train.judged")) == judged, "the verdict was kept"
    assert hub.head == hub.yard.workspace.head() != hub.before


def test_a_remote_that_refuses_is_quoted_to_the_person(hub: Hub) -> None:
    hook = hub.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho closed on Fridays >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "closed on Fridays" in hub.reason(ticket)
    assert hub.yard.workspace.head() == hub.head == hub.before


def test_a_crash_between_the_push_and_the_local_target_is_completed(hub: Hub) -> None:
    """The state after such a crash: intended and pushed, and nothing has moved here."""
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    hub.yard.run(ticket)
    landed, workspace = hub.head, hub.yard.workspace
    with workspace.database.transaction() as connection:
        connection.execute("UPDATE tickets SET state = 'landing', landed = NULL WHERE id = ?", (ticket,))
        connection.execute("UPDATE cars SET state = 'waiting' WHERE ticket = ?", (ticket,))
    hub.demo.git("reset", "-q", "--hard", hub.before)
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert hub.head == workspace.head() == landed, "nothing landed twice"
    assert workspace.records.ticket(ticket).landed == landed
    assert finish_interrupted(workspace) == []
    assert all(event["left_alone"] == [] for event in hub.yard.events("landing.followed")), (
        "nothing seems to be changed"
    )


def test_a_person_who_moves_the_local_target_during_the_push_finds_the_ticket_landed_later(hub: Hub) -> None:
    hook = hub.path / "hooks" / "post-receive"
    mine = hub.yard.commit(hub.before, {"mine.txt": "x\n"})
    hook.write_text(
        f"#!/bin/sh\nunset GIT_DIR\ngit --git-dir={hub.demo.root}/.git update-ref refs/heads/main {mine} {hub.before}\n",
        encoding="utf-8",
    )
    hook.chmod(0o755)
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "have gone apart" in hub.reason(ticket)
    landed = hub.head
    assert landed != hub.before
    hook.unlink()
    hub.demo.git("reset", "-q", "--hard", mine)
    hub.demo.git("fetch", "-q", "origin")
    hub.demo.git("rebase", "-q", "origin/main")
    hub.demo.git("push", "-q", "origin", "main")
    hub.wake(ticket)
    assert hub.yard.run(ticket) == {ticket: "landed"}
    assert hub.yard.workspace.records.ticket(ticket).landed == landed
    assert [name for step in hub.yard.landed(hub.before) for name in step] == [ticket]


def test_reports_of_another_clone_are_kept_beside_ours(hub: Hub) -> None:
    other = hub.demo.home / "other"
    hub.demo.git("clone", "-q", str(hub.path), str(other))
    hub.demo.git("-C", str(other), "notes", "--ref=orchestrate", "add", "-m", "theirs", hub.before)
    hub.demo.git("-C", str(other), "push", "-q", "origin", "refs/notes/orchestrate")
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    hub.yard.run(ticket)
    listed = hub.demo.git("--git-dir", str(hub.path), "notes", "--ref=orchestrate", "list")
    assert {line.split()[1] for line in listed.splitlines()} == {hub.before, hub.head}


def test_a_branch_that_the_remote_does_not_have_is_the_persons_to_push(hub: Hub) -> None:
    hub.demo.git("--git-dir", str(hub.path), "update-ref", "-d", "refs/heads/main")
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "origin has no branch 'main'; push it" in hub.reason(ticket)


def test_changes_in_a_checkout_that_the_remotes_commits_would_touch_hold_the_train(hub: Hub) -> None:
    hub.pushed_by_others(**{"src/lib.py": "theirs = 1\n"})
    hub.demo.write("src/lib.py", "mine = 1\n")
    (ticket,) = hub.yard.queue({"a.txt": "x\n"})
    assert hub.yard.run(ticket) == {ticket: "ended"}
    assert "uncommitted changes" in hub.reason(ticket)
    assert (hub.demo.root / "src/lib.py").read_text(encoding="utf-8") == "mine = 1\n"


def test_what_could_not_land_is_not_started(hub: Hub) -> None:
    theirs = hub.pushed_by_others(**{"theirs.txt": "x\n"})
    meet(hub.yard.workspace)
    assert hub.yard.workspace.head() == theirs
    hub.demo.commit("not yet to be seen", **{"mine.txt": "x\n"})
    with pytest.raises(
        InputError, match=r"has commits here that origin does not have; push them .*; nothing was started"
    ):
        meet(hub.yard.workspace)


def test_a_remote_that_is_not_there_is_found_before_anything_starts(demo: Demo) -> None:
    with pytest.raises(InputError, match=r"no git remote 'origin' \(remotes: none\)"):
        check(yard_with(demo, REMOTE).workspace)


def test_while_a_landing_waits_for_its_next_try_the_train_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PAUSES_S", (60.0,))
    hub.yard.queue({"a.txt": "x\n"})
    hub.path.rename(hub.path.with_name("away"))
    station = Station(hub.yard.workspace)
    Trains(hub.yard.workspace.database).join("T-0001", "main", attempt=1, head=hub.before)
    station.open()
    try:
        assert eventually(lambda: "the landing is tried again in 60 s" in reason_shown(hub))
    finally:
        station.close()


def reason_shown(hub: Hub) -> str:
    shown = Trains(hub.yard.workspace.database).shown("main") or {"waiting": []}
    return "".join(one["reason"] for one in shown["waiting"])


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


KILLER = """#!{python}
import os, pathlib, signal, sys
once = pathlib.Path({once!r})
if not once.exists():
    sys.exit()
once.unlink()
pid = os.getppid()
while True:  # up to the harness, past git's own processes
    if b"orchestrator" in pathlib.Path(f"/proc/{{pid}}/cmdline").read_bytes().split(b"\\0"):
        break
    pid = int(pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="finds the harness in /proc")
def test_a_harness_that_dies_right_after_its_push_completes_the_landing(demo: Demo) -> None:
    hub, once = demo.home / "hub.git", demo.home / "once"
    policy = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    demo.commit("land on origin", **{"orchestrate.toml": policy + REMOTE})
    demo.git("init", "-q", "--bare", "-b", "main", str(hub))
    demo.git("remote", "add", "origin", str(hub))
    demo.git("push", "-q", "origin", "main")
    hook = hub / "hooks" / "post-receive"
    hook.write_text(KILLER.format(python=sys.executable, once=str(once)), encoding="utf-8")
    hook.chmod(0o755)
    once.touch()
    before = demo.git("rev-parse", "main")
    assert demo.orchestrate("feature", "add a and b", "--json").returncode == -signal.SIGKILL
    pushed = demo.git("--git-dir", str(hub), "rev-parse", "main")
    assert (demo.git("rev-parse", "main"), pushed != before) == (before, True)
    done = json.loads(demo.orchestrate("resume", "F-0001", "--json", exits=0).stdout)
    assert done["outcome"] == "landed"
    assert pushed in demo.first_parents()
    assert demo.git("--git-dir", str(hub), "rev-parse", "main") == demo.git("rev-parse", "main")
    trailers = demo.git("log", "--first-parent", "--format=%(trailers:key=Ticket,valueonly)", f"{before}..main").split()
    assert sorted(trailers) == ["T-0001", "T-0002"]
