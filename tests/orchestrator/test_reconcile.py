"""Recovery at the start of a run: what a crash or a hand left behind is put in order, told once, and never lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from demo_project import ticket
from memory.events import read
from orchestrator import comparing
from orchestrator.reconcile import recover
from orchestrator.workspace import Workspace
from tickets.plan import read_plan
from tickets.states import State
from worktrees import git
from worktrees.locks import SLACK_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from demo_project import Demo
    from memory.records import AttemptRow
    from orchestrator.findings import Finding


@pytest.fixture
def workspace(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A feature with two tickets that nobody has worked on, and a first recovery behind it."""
    monkeypatch.setenv("HOME", str(demo.home))
    made = Workspace.open(demo.root)
    made.prepare()
    tickets = [ticket(name, new=f"src/{name}.py", accept=f"import {name}") for name in "ab"]
    plan = read_plan(json.dumps({"request": "modules", "tickets": tickets}), "plan", max_tickets=2)
    feature = made.records.add_feature("modules", options={}, target="main", before=made.head())
    made.records.set_plan(feature, plan)
    made.worktrees.mkdir(exist_ok=True)
    assert recover(made) == []
    return made


def told(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.kind, one.done) for one in found}


def attempt(workspace: Workspace, state: str, commit: str = "") -> AttemptRow:
    """A recorded attempt of T-0001, with the ref of its archive where there is a commit."""
    number = workspace.records.start_attempt("T-0001", base=workspace.head(), start=workspace.head(), worktree="")
    row = workspace.records.attempts("T-0001")[number - 1]
    workspace.records.set_attempt(row, state)
    if commit:
        ref = f"refs/orchestrate/attempts/T-0001/{number}"
        workspace.repository.move(ref, new=commit, old=None, reason="test")
    return row


def recovered(workspace: Workspace) -> list[dict[str, object]]:
    return [event.data for event in read(workspace.database) if event.kind == "runner.recovered"]


# files of git and of our own


def half_object(workspace: Workspace) -> Path:
    folder = workspace.repository.common / "objects" / "ab"
    folder.mkdir(exist_ok=True)
    (folder / "tmp_obj_x1Y2z3").write_bytes(b"half")
    return folder / "tmp_obj_x1Y2z3"


def test_leftovers_of_a_killed_git_are_removed_and_told(workspace: Workspace) -> None:
    common = workspace.repository.common
    left = [common / "packed-refs.new", common / "packed-refs.lock", common / "refs/heads/main.lock"]
    for path in left:
        path.touch()
    left.append(half_object(workspace))
    found = recover(workspace)
    assert not any(path.exists() for path in left)
    assert {one.subject for one in found} == set(map(str, left))
    assert sorted(map(str, left)) == sorted(recovered(workspace)[-1]["locks"])  # type: ignore[call-overload]
    assert recovered(workspace)[-1]["said"] == [one.said for one in found]
    assert recover(workspace) == []
    assert len(recovered(workspace)) == 1


def test_what_is_older_than_our_last_step_is_somebody_elses(workspace: Workspace) -> None:
    lock = workspace.repository.common / "index.lock"
    lock.touch()
    before = time.time() - SLACK_S - 60
    os.utime(lock, (before, before))
    assert recover(workspace) == []
    assert lock.exists()


def test_what_somebody_has_open_stays(workspace: Workspace) -> None:
    lock = workspace.repository.common / "index.lock"
    hold = f"import sys; file = open({str(lock)!r}, 'w'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        assert recover(workspace) == []
        other.communicate()
    assert [one.subject for one in recover(workspace)] == [str(lock)]


def test_half_written_files_go_when_their_writer_is_gone(workspace: Workspace) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    ours, theirs = os.getpid(), process.pid
    names = [f".report.json.{{}}-{7}.tmp", "T-0001-1.{}.tmp", "index-{}-abcd1234", "rules-{}-abcd1234"]
    for pid in (ours, theirs):
        for name in names:
            (workspace.state / name.format(pid)).touch()
    gone = {one.subject for one in recover(workspace)}
    assert gone == {str(workspace.state / name.format(theirs)) for name in names}
    assert all((workspace.state / name.format(ours)).exists() for name in names)


def test_a_number_that_was_given_to_a_later_process_owns_nothing(workspace: Workspace) -> None:
    left = workspace.state / f"index-{os.getpid()}-abcd1234"
    left.mkdir()
    before = psutil.Process().create_time() - SLACK_S - 60
    os.utime(left, (before, before))
    assert told(recover(workspace)) == {("half-made", "removed")}
    assert not left.exists()


def test_a_deletion_that_was_interrupted_is_finished_without_following_links(
    workspace: Workspace, tmp_path: Path
) -> None:
    outside = tmp_path / "kept"
    outside.mkdir()
    (outside / "file").touch()
    aside = workspace.worktrees / ".t-0001-add-a.abcd1234.gone"
    (aside / "0").mkdir(parents=True)
    (aside / "0" / "link").symlink_to(outside)
    recover(workspace)
    assert not aside.exists()
    assert (outside / "file").exists()


# folders that nobody knows


@pytest.mark.parametrize("name", ["t-0042-lost", "a b\n", "-rf", b"\xff".decode(errors="surrogateescape")])
def test_a_folder_that_nobody_knows_is_archived_and_put_away(workspace: Workspace, demo: Demo, name: str) -> None:
    folder = workspace.worktrees / name
    folder.mkdir()
    (folder / "work.py").write_text("precious\n", encoding="utf-8")
    (found,) = recover(workspace)
    assert (found.kind, found.done) == ("folder", "archived")
    (ref,) = workspace.repository.refs("refs/orchestrate/rescue")
    assert demo.git("show", f"{ref}:work.py") == "precious"
    (away,) = (workspace.worktrees / ".trash").iterdir()
    assert (away / "work.py").read_text() == "precious\n"
    assert not folder.exists()
    assert recover(workspace) == []
    json.dumps(recovered(workspace))  # an event of any name can be written


def test_what_was_written_into_a_layer_that_nobody_registered_is_archived(workspace: Workspace, demo: Demo) -> None:
    upper = workspace.worktrees / ".homes" / "T-0009-1.layer" / "upper"
    upper.mkdir(parents=True)
    (upper / "work.py").write_text("precious\n", encoding="utf-8")
    assert told(recover(workspace)) == {("folder", "archived")}
    (ref,) = workspace.repository.refs("refs/orchestrate/rescue")
    assert demo.git("show", f"{ref}:work.py") == "precious"
    assert recover(workspace) == []


def test_a_link_among_the_trees_is_put_away_and_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "file").touch()
    (workspace.worktrees / "t-0001-link").symlink_to(outside)
    assert told(recover(workspace)) == {("folder", "archived")}
    assert (outside / "file").exists()


def test_a_persons_worktree_and_a_persons_clone_are_left_alone(workspace: Workspace, demo: Demo) -> None:
    opened, clone = workspace.worktrees / "t-0001-add-a-open", workspace.worktrees / "experiment"
    demo.git("worktree", "add", "-q", "-b", "mine", str(opened))
    demo.git("clone", "-q", str(demo.root), str(clone))
    assert [(one.kind, one.done, one.subject) for one in recover(workspace)] == [("folder", "kept", str(clone))]
    assert (opened / "src/lib.py").exists()
    assert (clone / "src/lib.py").exists()
    assert recover(workspace) == []  # told once
    assert len(recover(workspace, everything=True)) == 1


def test_in_a_folder_that_others_use_only_our_own_names_are_touched(demo: Demo, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    for name in ("notes", "t-0009-lost"):
        (shared / name).mkdir(parents=True)
    demo.commit(
        **{"orchestrate.toml": (demo.root / "orchestrate.toml").read_text() + '[state]\nworktrees = "../shared"\n'}
    )
    workspace = Workspace.open(demo.root)
    workspace.prepare()
    assert [one.subject for one in recover(workspace)] == [str(shared / "t-0009-lost")]
    assert (shared / "notes").is_dir()


# refs and records


def test_a_ref_that_nobody_recorded_is_told_and_kept(workspace: Workspace, demo: Demo) -> None:
    head = workspace.head()
    refs = {"refs/orchestrate/attempts/T-0077/3", "refs/heads/tickets/t-0077-unknown"}
    for ref in refs:
        demo.git("update-ref", ref, head)
    found = recover(workspace)
    assert {one.subject for one in found} == refs
    assert told(found) == {("ref", "kept")}
    assert refs <= workspace.repository.refs("refs").keys()
    assert recover(workspace) == []


def test_an_archive_that_is_gone_is_told(workspace: Workspace) -> None:
    attempt(workspace, "refused", workspace.head())
    assert recover(workspace) == []
    attempt(workspace, "refused")
    (found,) = recover(workspace)
    assert (found.kind, found.subject) == ("record", "refs/orchestrate/attempts/T-0001/2")
    assert "may be lost" in found.said


def test_an_attempt_that_was_recorded_before_its_tree_is_closed(workspace: Workspace) -> None:
    attempt(workspace, "running")
    recover(workspace)
    assert [one.state for one in workspace.records.attempts("T-0001")] == ["interrupted"]


def landed(workspace: Workspace, demo: Demo) -> str:
    new = demo.commit(**{"src/a.py": "X = 1\n"})
    about = workspace.records.ticket("T-0001").about
    workspace.records.note("landing.intended", about, {"old": demo.git("rev-parse", "main^"), "new": new})
    return new


def test_a_landing_that_moved_the_target_and_was_not_recorded_is_told(workspace: Workspace, demo: Demo) -> None:
    for state in (State.RUNNING, State.VERIFYING, State.QUEUED, State.LANDING):
        workspace.records.move("T-0001", state)
    new = landed(workspace, demo)
    (found,) = recover(workspace)
    assert (found.kind, found.done) == ("record", "kept")
    assert f"had moved to {new[:12]} for T-0001" in found.said


def test_a_landing_that_somebody_took_off_the_target_stays_reachable(workspace: Workspace, demo: Demo) -> None:
    new = landed(workspace, demo)
    workspace.records.note("landing.moved", workspace.records.ticket("T-0001").about, {"target": "main", "new": new})
    assert recover(workspace) == []
    demo.git("reset", "-q", "--hard", "HEAD^")
    (found,) = recover(workspace)
    assert f"main no longer holds {new[:12]}" in found.said
    demo.git("reflog", "expire", "--expire=now", "--all")
    demo.git("gc", "-q", "--prune=now")
    assert demo.git("show", f"{new}:src/a.py") == "X = 1"


# processes


def test_a_process_that_outlived_its_supervisor_is_ended(workspace: Workspace) -> None:
    home = workspace.worktrees / ".homes" / "T-0001-1"
    home.mkdir(parents=True)
    nap = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(nap, env={"HOME": str(home)}) as ours, subprocess.Popen(nap, env={"HOME": "/"}) as other:
        found = recover(workspace)
        assert [(one.kind, one.subject) for one in found] == [("process", str(ours.pid))]
        assert ours.wait(timeout=10) == -9
        assert other.poll() is None
        other.kill()


# speed


def many(workspace: Workspace, count: int) -> None:
    """So many landed tickets, each with an attempt and its archive, as they stand after `git gc`."""
    record = workspace.records.ticket("T-0001").record.model_dump_json()
    ids = sorted(f"T-{number:04d}" for number in range(3, count + 3))
    tail = (record, "s", "landed", "", None, None, None, None, None, 0.0, 0)
    with workspace.database.transaction() as connection:
        for one in ids:
            connection.execute(
                "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (one, "F-0001", 1, *tail)
            )
            connection.execute("INSERT INTO attempts VALUES (?, 1, 'b', 's', 'passed', NULL, NULL)", (one,))
    head = workspace.head()
    rows = "".join(f"{head} refs/orchestrate/attempts/{one}/1\n" for one in ids)
    packed = workspace.repository.common / "packed-refs"
    packed.write_text(f"# pack-refs with: peeled fully-peeled sorted \n{rows}", encoding="utf-8")


@pytest.mark.slow
def test_many_tickets_cost_no_process_and_no_time_each(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    many(workspace, 10_000)
    assert recover(workspace) == []
    calls: list[tuple[str, ...]] = []
    real = git.call

    def counted(words: Sequence[str], **more: Any) -> git.Result:
        calls.append(tuple(words))
        return real(words, **more)

    monkeypatch.setattr(git, "call", counted)
    begun = time.process_time()
    assert recover(workspace) == []
    assert len(calls) <= 6
    assert time.process_time() - begun < 0.5  # ten times what it takes


def test_many_refs_in_files_of_their_own_are_packed_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "LOOSE", 2)
    for number in range(1, 5):
        workspace.repository.git("update-ref", f"refs/orchestrate/attempts/T-000{number}/1", workspace.head())
    before = workspace.repository.refs("refs")
    assert ("ref", "packed") in told(recover(workspace))
    assert workspace.repository.refs("refs") == before
    assert recover(workspace) == []
