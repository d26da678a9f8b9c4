"""`worktrees clean` and what it keeps: old attempts and logs move into the archive and come back; the last copy of nothing goes."""

from __future__ import annotations

import json
import os
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo_project import POLICY, ticket
from orchestrator.commands import trees
from orchestrator.retention import bring_back, log_archive, retain
from orchestrator.workspace import Workspace
from tickets.plan import read_plan
from tickets.states import State
from worktrees import git, packing
from worktrees.archive import put_away
from worktrees.bundles import sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_project import Demo
    from orchestrator.findings import Finding

WAY = (State.RUNNING, State.VERIFYING, State.QUEUED, State.LANDING, State.LANDED)


@pytest.fixture
def workspace(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two tickets: T-0001 has landed after two attempts, T-0002 is running; each with a log."""
    monkeypatch.setenv("HOME", str(demo.home))
    made = Workspace.open(demo.root)
    made.prepare()
    tickets = [ticket(name, new=f"src/{name}.py", accept=f"import {name}") for name in "ab"]
    plan = read_plan(json.dumps({"request": "modules", "tickets": tickets}), "plan", max_tickets=2)
    made.records.set_plan(made.records.add_feature("m", options={}, target="main", before=made.head()), plan)
    for name, number in (("T-0001", 1), ("T-0001", 2), ("T-0002", 1)):
        keep(demo, made, name, number)
    for state in WAY:
        made.records.move("T-0001", state)
    made.records.move("T-0002", State.RUNNING)
    return made


def keep(demo: Demo, workspace: Workspace, name: str, number: int) -> None:
    demo.git("checkout", "-q", "--detach", "main")
    commit = demo.commit(**{f"{name}-{number}.txt": f"only of {name} {number}\n"})
    demo.git("update-ref", f"refs/orchestrate/attempts/{name}/{number}", commit)
    demo.git("checkout", "-q", "main")
    log = workspace.state / "logs" / name / str(number) / "agent.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"said by {name} {number}\n" * 500, encoding="utf-8")


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.done) for one in found]


def attempts(workspace: Workspace) -> set[str]:
    return {
        ref.removeprefix("refs/orchestrate/attempts/") for ref in workspace.repository.refs("refs/orchestrate/attempts")
    }


def test_what_is_new_stays_at_hand(workspace: Workspace) -> None:
    assert retain(workspace, everything=False, dry=False) == []
    assert attempts(workspace) == {"T-0001/1", "T-0001/2", "T-0002/1"}


def test_a_dry_run_says_it_and_does_nothing(workspace: Workspace) -> None:
    before = {path: path.read_bytes() for path in workspace.state.rglob("*.log")}
    found = retain(workspace, everything=True, dry=True)
    assert told(found) == [("bundle", "archived"), ("log", "packed")]
    assert all("would" in one.said for one in found)
    assert attempts(workspace) == {"T-0001/1", "T-0001/2", "T-0002/1"}
    assert {path: path.read_bytes() for path in workspace.state.rglob("*.log")} == before


def test_what_is_over_moves_into_the_archive_and_comes_back(workspace: Workspace, demo: Demo) -> None:
    assert told(retain(workspace, everything=True, dry=False)) == [("bundle", "archived"), ("log", "packed")]
    assert attempts(workspace) == {"T-0002/1"}
    assert sorted(path.name for path in (workspace.state / "logs").iterdir()) == ["T-0002"]
    demo.git("reflog", "expire", "--expire=now", "--all")
    demo.git("gc", "-q", "--prune=now")
    assert retain(workspace, everything=True, dry=False) == []
    assert len(bring_back(workspace, "T-0001")) == 3
    assert demo.git("show", "refs/orchestrate/attempts/T-0001/1:T-0001-1.txt") == "only of T-0001 1"
    log = workspace.state / "logs" / "T-0001" / "2" / "agent.log"
    assert log.read_text() == "said by T-0001 2\n" * 500
    assert bring_back(workspace, "T-0001") == []


def test_what_came_back_and_was_not_touched_needs_no_second_bundle(workspace: Workspace) -> None:
    retain(workspace, everything=True, dry=False)
    bring_back(workspace, "T-0001")
    retain(workspace, everything=True, dry=False)
    assert len(list((workspace.state / "archive").glob("*.bundle"))) == 1
    assert attempts(workspace) == {"T-0002/1"}


def test_a_damaged_bundle_is_no_copy(workspace: Workspace) -> None:
    retain(workspace, everything=True, dry=False)
    bring_back(workspace, "T-0001")
    (first,) = (workspace.state / "archive").glob("*.bundle")
    first.write_bytes(first.read_bytes()[:-20])
    retain(workspace, everything=True, dry=False)
    assert len(list((workspace.state / "archive").glob("*.bundle"))) == 2
    (workspace.state / "archive" / first.name).unlink()
    first.with_suffix(".json").unlink()
    assert len(bring_back(workspace, "T-0001")) == 3


def test_logs_that_no_archive_holds_stay_and_are_told(workspace: Workspace) -> None:
    os.mkfifo(workspace.state / "logs" / "T-0001" / "pipe")
    (stuck,) = (one for one in retain(workspace, everything=True, dry=False) if one.kind == "log")
    assert stuck.done == "stuck"
    assert "pipe" in stuck.said
    assert (workspace.state / "logs" / "T-0001" / "1" / "agent.log").is_file()


def test_the_trash_keeps_what_is_there_only_once(workspace: Workspace) -> None:
    beside = workspace.worktrees
    for name in ("whole", "odd"):
        folder = beside / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(name, encoding="utf-8")
    os.mkfifo(beside / "odd" / "pipe")
    whole, odd = (put_away(workspace.repository, beside / name, worktrees=beside).trash for name in ("whole", "odd"))
    found = [one for one in retain(workspace, everything=True, dry=False) if one.kind == "trash"]
    assert {one.subject: one.done for one in found} == {str(whole): "removed", str(odd): "kept"}
    assert (odd / "file").is_file()
    assert not whole.exists()


def test_beyond_the_budget_it_says_what_takes_most_and_deletes_nothing(demo: Demo, workspace: Workspace) -> None:
    demo.commit(**{"orchestrate.toml": f"{POLICY}[retention]\ndisk_mib = 1\n"})
    (workspace.state / "huge.bin").write_bytes(os.urandom(2 << 20))
    (found,) = retain(Workspace.open(demo.root), everything=False, dry=False)
    assert found.kind == "disk"
    assert "are used, 1.0 MiB are allowed by disk_mib" in found.said
    assert "huge.bin (2.0 MiB)" in found.said
    assert (workspace.state / "huge.bin").stat().st_size == 2 << 20


@pytest.mark.usefixtures("workspace")
def test_only_what_is_old_enough_moves(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.commit(**{"orchestrate.toml": f"{POLICY}[retention]\narchive_days = 3\nkeep_logs_days = 1\n"})
    later = time.time() + 2 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    assert told(retain(Workspace.open(demo.root), everything=False, dry=True)) == [("log", "packed")]


def test_the_list_shows_sizes_and_ages(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    retain(workspace, everything=True, dry=False)
    trees.show_all(workspace.root, json=True)
    listed = json.loads(capsys.readouterr().out)
    assert [one["ticket"] for one in listed["archived"]] == ["T-0002"]
    assert listed["bundles"][0]["bytes"] > 0
    assert listed["bundles"][0]["attempts"] == [f"refs/orchestrate/attempts/T-0001/{number}" for number in (1, 2)]
    trees.show_all(workspace.root, json=False)
    assert "KiB" in capsys.readouterr().out


def test_clean_says_by_its_exit_code_that_something_could_not_be_archived(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.worktrees.mkdir(exist_ok=True)
    (workspace.worktrees / ".trash").write_text("in the way", encoding="utf-8")
    (workspace.worktrees / "unknown").mkdir()
    assert trees.clean(workspace.root, json=True) == 1
    stuck = [one for one in json.loads(capsys.readouterr().out)["found"] if one["done"] == "stuck"]
    assert [one["subject"] for one in stuck] == [str(workspace.worktrees / "unknown")]
    assert (workspace.worktrees / "unknown").is_dir()


def test_opening_restores_what_was_archived(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.repository.git("update-ref", "refs/heads/tickets/t-0001-add-a", workspace.head())
    retain(workspace, everything=True, dry=False)
    assert trees.open_tree(workspace.root, "T-0001", json=True) == 0
    opened = json.loads(capsys.readouterr().out)
    assert len(opened["restored"]) == 3
    assert os.path.isdir(opened["path"])  # noqa: PTH112 - as the command wrote it


class Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


def killing(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """End the work at its step of this number: before a git, a rename or a removal."""
    left = [step]

    def armed(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*words, **more)

        return call

    for owner, name in ((git, "call"), (Path, "replace"), (Path, "rename"), (Path, "unlink"), (packing, "remove")):
        monkeypatch.setattr(owner, name, armed(getattr(owner, name)))


def assert_all_there(workspace: Workspace) -> None:
    held = {ref.removeprefix("refs/orchestrate/attempts/") for ref in sound(workspace.repository)}
    assert {"T-0001/1", "T-0001/2"} <= attempts(workspace) | held
    folder, archive = workspace.state / "logs" / "T-0001", log_archive(workspace, "T-0001")
    for number in ("1", "2"):
        log, said = folder / number / "agent.log", f"said by T-0001 {number}\n" * 500
        if log.is_file():
            assert log.read_text() == said
        else:
            with tarfile.open(archive) as source:
                packed = source.extractfile(f"./{number}/agent.log")
                assert packed
                assert packed.read().decode() == said


@pytest.mark.long
def test_killed_at_any_step_everything_is_there_once_at_least(workspace: Workspace) -> None:
    def away() -> None:
        retain(workspace, everything=True, dry=False)

    def back() -> None:
        bring_back(workspace, "T-0001")

    def as_before() -> None:
        back()
        for file in (workspace.state / "archive").glob("attempts-*"):
            file.unlink()

    steps = []
    for work, reset in ((away, as_before), (back, away)):
        for step in range(100):
            reset()
            with pytest.MonkeyPatch.context() as patched, suppress(Killed):
                killing(patched, step)
                work()
                break
            assert_all_there(workspace)
        steps.append(step)
    assert min(steps) > 5
    assert_all_there(workspace)
