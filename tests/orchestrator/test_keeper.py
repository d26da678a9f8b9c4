"""An attempt's agent outlives the harness, is adopted by the next one, runs once and is paid once; and it ends when it has to."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

import postgres
from demo_project import ROOT, Demo, script, ticket
from memory.amounts import Amount, Reservation, Run
from memory.events import About
from memory.ledger import Ledger
from orchestrator.attempt import run_attempt
from orchestrator.keeping import end, rescue, under_way
from orchestrator.money.purse import recover
from orchestrator.nursery import NURSERY
from orchestrator.owners import this_process
from orchestrator.posts import Post
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.plan import read_plan
from tickets.spending import Limit
from tickets.states import State
from worktrees.checkout import STARTS, Checkout, make
from worktrees.process import start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLICY = """version = 1
[project]
name = "demo"
[planning]
lead = "worker"
[dispatch]
timeout_s = 60
[sandbox]
mode = "none"
[tests]
run = []
[agents.worker]
"""
PAID = 'kind = "command"\ncommand = ["python", "{place}/agent.py", "{place}"]\nmax_usd = 0.5\n'
SCRIPTED = 'kind = "scripted"\nscript = "script.yaml"\n'
AGENT = """
import sys, time
from pathlib import Path
place = Path(sys.argv[1])
Path("src/a.py").write_text("X = 1\\n")
print("## Summary\\n\\nAdded it.\\n\\n## Files Changed\\n\\n- src/a.py\\n\\n## Verification\\n\\nnone\\n")
print("## Risks / Edge Cases\\n\\nnone\\n\\n## Out-of-Scope Issues Found\\n\\nnone\\n", flush=True)
with (place / "runs").open("a") as stream:
    stream.write("x")
while not (place / "go").exists():
    time.sleep(0.01)
"""
HARNESS = """
import os, sys
from pathlib import Path
from orchestrator.attempt import run_attempt
from orchestrator.workspace import Workspace
print(run_attempt(Workspace.open(Path(sys.argv[1])), "T-0001"), flush=True)
os._exit(0)
"""


def eventually(true: Callable[[], object], *, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


@dataclass(frozen=True, kw_only=True)
class Works:
    """A ticket for an agent that counts its runs, and works until it may end."""

    workspace: Workspace
    place: Path

    @classmethod
    def in_(cls, demo: Demo, place: Path, agent: str = PAID) -> Works:
        place.mkdir(exist_ok=True)
        (place / "agent.py").write_text(AGENT, encoding="utf-8")
        demo.commit(**{"orchestrate.toml": POLICY + agent.replace("{place}", str(place))})
        workspace = Workspace.open(demo.root)
        workspace.prepare()
        plan = json.dumps({"request": "a", "tickets": [ticket("a", new="src/a.py", accept="import a")]})
        feature = workspace.records.add_feature("a", options={}, target="main", before=workspace.head())
        workspace.records.set_plan(feature, read_plan(plan, "plan", max_tickets=1))
        return cls(workspace=workspace, place=place)

    @property
    def post(self) -> Post:
        return Post.of(self.workspace.state, "T-0001", 1)

    @property
    def runs(self) -> int:
        file = self.place / "runs"
        return len(file.read_text(encoding="ascii")) if file.exists() else 0

    @property
    def attempts(self) -> list[tuple[int, str]]:
        return [(one.number, one.state) for one in self.workspace.records.attempts("T-0001")]

    @property
    def keeper(self) -> psutil.Process:
        return psutil.Process(int(self.post.lock.read_text(encoding="ascii").split()[1]))

    def let_go(self) -> None:
        (self.place / "go").touch()

    def harness(self) -> subprocess.Popen[str]:
        """Another harness, at work on the ticket: its agent has begun."""
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        command = [sys.executable, "-c", HARNESS, str(self.workspace.root)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert eventually(lambda: self.runs)
        return process

    def agents(self) -> list[int]:
        name = str(self.place / "agent.py")
        return [one.pid for one in psutil.process_iter(["cmdline"]) if name in (one.info["cmdline"] or ())]

    def archived(self) -> str:
        return self.workspace.repository.git("show", "refs/orchestrate/attempts/T-0001/1:src/a.py").text

    def spent(self) -> tuple[int, float, int]:
        """How many runs are in the ledger, what they came to in dollars, and how many of them nobody settled."""
        total = Ledger(self.workspace.database).total(ticket="T-0001")
        return total.runs, total.used.usd / 1e6, total.held.usd


def rescued(workspace: Workspace) -> list[str]:
    """Give what was archived by the way."""
    return [one.subject for one in rescue(workspace) if one.done == "archived"]


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def works(demo: Demo, tmp_path: Path) -> Iterator[Works]:
    made = Works.in_(demo, tmp_path / "place")
    yield made
    for post in Post.all(made.workspace.state):
        post.end(patience_s=1.0)


# the harness is killed


@pytest.mark.slow
def test_an_agent_outlives_the_harness_and_the_next_one_waits_for_it(works: Works) -> None:
    killed(works.harness())
    assert works.post.alive
    assert rescue(works.workspace) == []
    assert recover(works.workspace) == 0
    works.let_go()
    assert run_attempt(works.workspace, "T-0001") == "passed"
    assert (works.runs, works.attempts) == (1, [(1, "passed")])
    assert works.spent() == (1, 0.5, 0)
    assert (works.agents(), Post.all(works.workspace.state)) == ([], [])


@pytest.mark.slow
def test_cleaning_up_names_an_agent_that_is_still_at_work_and_leaves_it_alone(works: Works, demo: Demo) -> None:
    killed(works.harness())
    said = demo.orchestrate("worktrees", "clean", exits=0).stdout
    assert "T-0001 attempt 1 is still at work; `orchestrate resume` takes it up" in said
    assert works.post.alive


@pytest.mark.slow
def test_an_outcome_that_nobody_took_in_is_taken_in_by_the_next_harness(works: Works) -> None:
    killed(works.harness())
    works.let_go()
    works.post.wait()
    assert works.post.left() is not None
    assert works.spent() == (1, 0.5, 0)
    assert rescue(works.workspace) == []
    assert run_attempt(works.workspace, "T-0001") == "passed"
    assert (works.runs, works.attempts, works.spent()) == (1, [(1, "passed")], (1, 0.5, 0))


@pytest.mark.slow
def test_where_keeper_and_harness_are_killed_what_was_written_is_archived_and_made_anew(works: Works) -> None:
    killed(works.harness())
    works.keeper.kill()
    assert eventually(lambda: not works.agents())
    assert rescued(works.workspace) == ["T-0001 attempt 1"]
    assert recover(works.workspace) == 1
    assert works.archived() == "X = 1"
    works.let_go()
    assert run_attempt(works.workspace, "T-0001") == "passed"
    assert (works.runs, works.attempts) == (2, [(1, "interrupted"), (2, "passed")])
    assert works.spent() == (2, 1.0, 0)


@pytest.mark.slow
def test_a_harness_that_stands_still_misses_nothing(works: Works) -> None:
    process = works.harness()
    process.send_signal(signal.SIGSTOP)
    works.let_go()
    works.post.wait()
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=120)
    assert (said, works.runs, works.attempts) == ("passed\n", 1, [(1, "passed")])
    assert works.spent() == (1, 0.5, 0)


# the keeper ends


@pytest.mark.slow
def test_a_keeper_that_is_killed_takes_its_agent_with_it_and_the_attempt_does_not_count(works: Works) -> None:
    process = works.harness()
    works.keeper.kill()
    said, _ = process.communicate(timeout=120)
    assert said == "again\n"
    assert works.agents() == []
    (attempt,) = works.workspace.records.attempts("T-0001")
    assert (attempt.state, attempt.counts) == ("interrupted", False)
    assert attempt.changes is not None
    assert works.spent() == (1, 0.5, 0)


@pytest.mark.slow
def test_a_ticket_that_is_given_up_loses_its_agent_at_once(works: Works, demo: Demo) -> None:
    process = works.harness()
    demo.orchestrate("tickets", "abandon", "T-0001", exits=0)
    assert works.agents() == []
    said, _ = process.communicate(timeout=120)
    assert said == "ended\n"
    assert works.workspace.records.ticket("T-0001").state is State.ABANDONED
    assert works.attempts == [(1, "interrupted")]
    assert works.archived() == "X = 1"


@pytest.mark.slow
def test_a_ticket_that_is_given_up_while_no_harness_runs_is_archived_later(works: Works) -> None:
    killed(works.harness())
    works.workspace.records.move("T-0001", State.ABANDONED, "by a person")
    end(works.workspace, "T-0001")
    assert (works.agents(), works.post.alive) == ([], False)
    assert rescued(works.workspace) == ["T-0001 attempt 1"]
    assert works.attempts == [(1, "interrupted")]


@pytest.mark.slow
def test_a_keeper_whose_repository_is_gone_ends_itself_and_its_agent(works: Works) -> None:
    killed(works.harness())
    works.workspace.root.rename(works.place / "elsewhere")
    assert eventually(lambda: not works.agents(), seconds=20)
    (works.place / "elsewhere").rename(works.workspace.root)
    assert eventually(lambda: not works.post.alive)


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_agent_and_its_outcome_is_kept_nevertheless(demo: Demo, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        shutil.copytree(demo.root, disk / "demo")
        works = Works.in_(Demo(disk / "demo", demo.home), tmp_path / "place")
        killed(works.harness())
        fill(disk)
        assert eventually(works.post.left)
        assert works.agents() == []
        (disk / "ballast").unlink()
        assert run_attempt(works.workspace, "T-0001") == "again"
        (attempt,) = works.workspace.records.attempts("T-0001")
        assert attempt.outcome is not None
        assert (attempt.state, attempt.outcome["ending"]) == ("failed", "disk")
        assert (works.runs, works.archived(), works.spent()) == (1, "X = 1", (1, 0.5, 0))
        works.workspace.database.close()


def test_there_is_room_for_an_outcome_where_there_is_none_for_anything_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, mib=4):
        post = Post.of(disk, "T-0001", 1)
        post.prepare()
        lock = post.open({"agent": "a"})
        post.sign(lock)
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            (disk / "more").write_bytes(bytes(1 << 16))
        post.leave({"outcome": "x" * 100_000})
        os.close(lock)
        assert len((post.left() or {})["outcome"]) == 100_000


@pytest.mark.slow
def test_what_a_keeper_could_not_book_any_more_is_booked_as_it_would_have(works: Works) -> None:
    killed(works.harness())
    with works.workspace.database.transaction():  # it has to wait
        works.let_go()
        assert eventually(works.post.left)
        keeper = works.keeper
        keeper.kill()
        works.post.wait()
        assert eventually(lambda: start_time(keeper.pid) is None)  # a dying process lets go of its lock first
    assert recover(works.workspace) == 1
    row = works.workspace.database.connection().execute("SELECT note FROM spending").fetchone()
    assert row["note"] == "its client named no usage: all that was reserved is booked"
    assert run_attempt(works.workspace, "T-0001") == "passed"
    assert (works.runs, works.attempts, works.spent()) == (1, [(1, "passed")], (1, 0.5, 0))


@contextmanager
def small_disk(folder: Path, *, mib: int = 400) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    subprocess.run(["sh", "-c", f"cat /dev/zero > {disk}/ballast"], capture_output=True, check=False)


# what it began from is gone


def lost(works: Works) -> str:
    """Leave a registered tree of an attempt that is over, and drop the commit that it began from; give that."""
    workspace = works.workspace
    repository = workspace.repository
    tree = repository.tree(workspace.head())
    who = repository.identity().environment()
    start = repository.git("commit-tree", tree, "-m", "a start that only this attempt has", env=who).text
    workspace.records.start_attempt("T-0001", base=workspace.head(), start=start, worktree="")
    beside = workspace.worktrees / "t-0001-a"
    home = workspace.worktrees / ".homes" / "T-0001-1"
    spec = Checkout(ticket="T-0001", attempt=1, base=workspace.head(), start=start, path=beside, home=home, owner=1)
    make(repository, spec)
    (beside / "work.py").write_text("X = 1\n", encoding="utf-8")
    return start


def test_a_person_s_git_gc_takes_nothing_that_a_live_attempt_began_from(works: Works) -> None:
    start = lost(works)
    works.workspace.repository.git("gc", "--quiet", "--prune=now")
    assert works.workspace.repository.commit(start) == start
    assert rescued(works.workspace) == ["T-0001 attempt 1"]
    assert works.workspace.repository.refs(STARTS) == {}
    works.workspace.repository.git("gc", "--quiet", "--prune=now")
    assert works.workspace.repository.commit(start) is None


def test_a_tree_that_can_be_compared_with_nothing_is_archived_as_a_whole_and_the_rest_goes_on(works: Works) -> None:
    repository = works.workspace.repository
    start = lost(works)
    (repository.common / "objects" / start[:2] / start[2:]).unlink()
    (found,) = rescue(works.workspace)
    assert (found.subject, found.done) == ("T-0001 attempt 1", "archived")
    ((ref, commit),) = repository.refs("refs/orchestrate/rescue").items()
    assert ref in found.said
    assert repository.read(commit, "work.py") == b"X = 1\n"
    assert works.attempts == [(1, "interrupted")]
    assert rescue(works.workspace) == []
    works.let_go()
    assert run_attempt(works.workspace, "T-0001") == "passed"


def test_a_tree_that_cannot_be_archived_is_left_and_named(works: Works) -> None:
    repository = works.workspace.repository
    lost(works)
    lock = repository.common / "refs/orchestrate/attempts/T-0001/1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    (found,) = rescue(works.workspace)
    assert (found.done, found.subject) == ("stuck", str(works.workspace.worktrees / "t-0001-a"))
    assert (works.workspace.worktrees / "t-0001-a/work.py").exists()
    lock.unlink()
    assert rescued(works.workspace) == ["T-0001 attempt 1"]
    assert repository.git("show", "refs/orchestrate/attempts/T-0001/1:work.py").text == "X = 1"


@pytest.mark.slow
def test_where_machines_share_the_records_only_our_own_attempts_are_closed(demo: Demo) -> None:
    if postgres.binaries() is None:
        pytest.skip("there is no PostgreSQL here")
    with postgres.server() as server:
        _ours_alone(demo, server.new_database())


def _ours_alone(demo: Demo, url: str) -> None:
    demo.commit(**{"orchestrate.toml": f'{POLICY}{SCRIPTED}[state]\ndatabase_url = "{url}"\n'})
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    plan = json.dumps(
        {"request": "a", "tickets": [ticket(name, new=f"src/{name}.py", accept="import a") for name in "ab"]}
    )
    feature = workspace.records.add_feature("a", options={}, target="main", before=workspace.head())
    workspace.records.set_plan(feature, read_plan(plan, "plan", max_tickets=2))
    for row in workspace.records.tickets():
        workspace.records.start_attempt(row.id, base=workspace.head(), start=workspace.head(), worktree="")
    ours = Post.of(workspace.state, "T-0001", 1)
    ours.prepare()
    lock = ours.open({})
    ours.sign(lock)
    os.close(lock)  # its keeper was killed
    assert rescue(workspace) == []
    states = [workspace.records.attempts(row.id)[0].state for row in workspace.records.tickets()]
    assert states == ["interrupted", "running"]
    rescue(workspace, "T-0002")  # whoever claimed it
    assert workspace.records.attempts("T-0002")[0].state == "interrupted"
    workspace.database.close()


# what had not begun


def test_an_attempt_that_was_recorded_and_had_not_begun_is_made_under_its_number(works: Works) -> None:
    workspace = works.workspace
    workspace.records.start_attempt("T-0001", base=workspace.head(), start=workspace.head(), worktree="")
    works.post.prepare()
    os.close(works.post.open({}))  # its harness was killed before a keeper was there
    assert under_way(workspace, "T-0001") is None
    assert rescue(workspace) == []
    works.let_go()
    assert run_attempt(workspace, "T-0001") == "passed"
    assert (works.runs, works.attempts) == (1, [(1, "passed")])


def test_an_order_that_is_cut_off_is_not_begun(works: Works) -> None:
    works.post.prepare()
    lock = works.post.open({})
    reader, writer = os.pipe()
    os.write(writer, b"\x80\x05\x95")
    os.close(writer)
    NURSERY.open()
    assert NURSERY.line is not None
    socket.send_fds(NURSERY.line, [b"\0"], [lock, reader])
    os.close(lock)
    os.close(reader)
    works.post.wait()
    assert not works.post.signed
    assert works.post.left() is None


def test_keepers_are_born_again_where_their_nursery_was_killed(works: Works) -> None:
    NURSERY.open()
    assert NURSERY.process is not None
    NURSERY.process.kill()
    NURSERY.process.wait()
    works.let_go()
    assert run_attempt(works.workspace, "T-0001") == "passed"
    assert works.runs == 1


def test_what_is_wrong_with_the_agents_settings_is_said_as_it_is(demo: Demo, tmp_path: Path) -> None:
    works = Works.in_(demo, tmp_path / "place", SCRIPTED)
    demo.write("script.yaml", script([], {}))
    with pytest.raises(InputError, match=r"no entry of `tickets:` fits T-0001"):
        run_attempt(works.workspace, "T-0001")
    assert Post.all(works.workspace.state) == []


# the post


def test_a_post_is_kept_by_whoever_holds_its_lock(tmp_path: Path) -> None:
    post = Post.of(tmp_path, "T-0001", 1)
    post.prepare()
    assert not post.alive
    lock = post.open({"agent": "a"})
    assert post.alive
    assert not post.signed
    post.sign(lock)
    assert post.signed
    assert post.holds(lock)
    post.leave({"outcome": "x"})
    left = post.left()
    assert left is not None
    assert (left["agent"], left["outcome"]) == ("a", "x")
    os.close(lock)
    assert not post.alive


def test_a_post_that_was_cleared_and_made_anew_is_another_one(tmp_path: Path) -> None:
    post = Post.of(tmp_path, "T-0001", 1)
    post.prepare()
    lock = post.open({})
    assert post.holds(lock)
    post.prepare()
    assert not post.holds(lock)
    again = post.open({})
    assert not post.holds(lock)
    os.close(lock)
    assert post.alive
    os.close(again)


def test_no_process_is_ended_that_only_has_the_number_of_a_keeper(tmp_path: Path) -> None:
    post = Post.of(tmp_path, "T-0001", 1)
    post.prepare()
    lock = post.open({})
    with subprocess.Popen(["sleep", "30"]) as bystander:
        words = f"{platform.node()} {bystander.pid} another-boot:1"
        os.pwrite(lock, words.encode(), 0)
        holder = subprocess.Popen(["sleep", "0.3"], pass_fds=(lock,))
        os.close(lock)
        post.end(patience_s=0.1)
        assert bystander.poll() is None
        bystander.kill()
        holder.wait()


# money that was reserved, and whose keeper had not begun


@pytest.mark.parametrize(("begun", "booked"), [(False, 0.0), (True, 0.5)])
def test_what_was_reserved_for_an_agent_that_had_not_begun_is_given_back(
    works: Works, *, begun: bool, booked: float
) -> None:
    workspace = works.workspace
    workspace.records.start_attempt("T-0001", base=workspace.head(), start=workspace.head(), worktree="")
    about = About(feature="F-0001", ticket="T-0001", attempt=1)
    run = Run(purpose="work", about=about, agent="worker", owner=f"{platform.node()} 1 2", limits=(limit(),))
    Ledger(workspace.database).reserve(run, {"usd": 500_000})
    works.post.prepare()
    lock = works.post.open({})
    assert recover(workspace) == 0  # somebody may be about to begin
    if begun:
        works.post.sign(lock)
    os.close(lock)
    assert recover(workspace) == 1
    assert works.spent() == (1, booked, 0)


def limit() -> Limit:
    return Limit(scope="attempt", unit="usd", most=500_000, where="max_usd")


def test_nobody_begins_with_money_that_was_settled_meanwhile(works: Works) -> None:
    workspace = works.workspace
    about = About(feature="F-0001", ticket="T-0001", attempt=1)
    ledger = Ledger(workspace.database)
    reservation = ledger.reserve(
        Run(purpose="work", about=about, agent="worker", owner="a 1 2", limits=(limit(),)), {"usd": 500_000}
    )
    assert isinstance(reservation, Reservation)
    taken = ledger.take_over(reservation, this_process())
    assert taken is not None
    assert recover(workspace) == 0  # its owner lives
    ledger.settle(taken, Amount())
    assert ledger.take_over(reservation, this_process()) is None
