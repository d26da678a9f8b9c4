"""Where gates run commands: the exact tree, seen by gates and commands alike, and clean for whoever comes next."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gates.runner import judge
from gates.workshop import Workshop
from tickets.errors import CancelledError
from tickets.policy import Worktree
from worktrees.confinement import LEVELS, Level
from worktrees.git import Repository
from worktrees.levels import trouble
from worktrees.provision import Provision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gates.conftest import DictStore, MakeCase

QUICK_S = 20.0


@dataclass(frozen=True)
class Stand:
    repository: Repository
    first: str
    second: str
    shop: Workshop


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(params=[pytest.param(one, marks=pytest.mark.skipif(bool(trouble(one)), reason=one)) for one in LEVELS])
def stand(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Stand]:
    level: Level = request.param
    for number, text in enumerate(("one", "two")):
        (root / "a.txt").write_text(text)
        (root / "src").mkdir(exist_ok=True)
        (root / "src" / f"m{number}.py").write_text("")
        git(root, "add", "-A")
        git(root, "commit", "-qm", text)
    (root / ".env").write_text("KEY=1")
    repository = Repository.find(root)
    repository.state.mkdir(exist_ok=True)
    first, second = git(root, "rev-parse", "HEAD^"), git(root, "rev-parse", "HEAD")
    settings = Worktree.model_validate({"copy": [".env"], "setup": [["sh", "-c", "echo made > prepared"]]})
    shop = Workshop(
        repository=repository,
        base=first,
        folder=tmp_path / "trees",
        logs=tmp_path / "logs",
        level=level,
        provision=Provision(root=root, settings=settings, level=level),
    )
    yield Stand(repository, first, second, shop)
    shop.close()


def test_commands_and_gates_see_the_same_tree(stand: Stand) -> None:
    for commit, text, modules in ((stand.first, "one", ["m0.py"]), (stand.second, "two", ["m0.py", "m1.py"])):
        with stand.shop.lease(commit) as lease:
            ran = lease.run(["sh", "-c", "cat a.txt .env prepared; ls src"], timeout_s=30)
            assert ran.output.split() == [f"{text}KEY=1made", *modules]
            names = {found.path for found in lease.view.walk()}
            assert names == {"a.txt", ".env", "prepared", *(f"src/{name}" for name in modules)}
            place = lease.find("a.txt")
            assert place is not None
            assert place.read_text() == text


def test_what_a_command_wrote_is_seen_and_gone_for_the_next(stand: Stand) -> None:
    with stand.shop.lease(stand.second) as lease:
        lease.run(["sh", "-c", "echo x > a.txt; echo y > new; rm -r src; chmod 600 prepared"], timeout_s=30)
        assert {"a.txt", "new"} <= {found.path for found in lease.written()}
        assert (lease.is_folder("src"), lease.find("src/m0.py")) == (False, None)
    with stand.shop.lease(stand.second) as lease:
        assert lease.run(["sh", "-c", "cat a.txt; ls -A . src"], timeout_s=30).ok
        assert lease.written() == ()
        assert {found.path for found in lease.view.walk()} == {"a.txt", ".env", "prepared", "src/m0.py", "src/m1.py"}


def test_a_file_that_is_taken_away_is_there_again_in_the_next_lease(stand: Stand) -> None:
    with stand.shop.lease(stand.second) as lease:
        lease.discard("a.txt")
        assert lease.find("a.txt") is None
        assert lease.run(["test", "-e", "a.txt"], timeout_s=30).receipt.exit == 1
    with stand.shop.lease(stand.second) as lease:
        assert lease.run(["test", "-e", "a.txt"], timeout_s=30).ok


def test_a_link_out_of_the_tree_is_not_followed_by_gates(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with stand.shop.lease(stand.second) as lease:
        lease.run(["ln", "-s", str(tmp_path), "out"], timeout_s=30)
        lease.run(["ln", "-s", "src", "in"], timeout_s=30)
        assert (lease.find("out/secret"), lease.is_folder("out")) == (None, False)
        assert (lease.find("in/m0.py") is not None, lease.is_folder("in")) == (True, True)
        lease.discard("out/secret")
    assert (tmp_path / "secret").is_file()


def test_a_cancelled_workshop_ends_its_command_and_starts_no_other(stand: Stand) -> None:
    with stand.shop.lease(stand.second) as lease:
        threading.Timer(0.5, stand.shop.cancel).start()
        begun = time.monotonic()
        with pytest.raises(CancelledError):
            lease.run(["sleep", "60"], timeout_s=60)
        assert time.monotonic() - begun < QUICK_S
        with pytest.raises(CancelledError):
            lease.run(["true"], timeout_s=60)
    with pytest.raises(CancelledError), stand.shop.lease(stand.first):
        pass


def test_a_cancelled_run_of_the_gates_leaves_no_verdict(make_case: MakeCase, store: DictStore) -> None:
    from gates.builtin.checks import GATE

    check = {"name": "slow", "run": ["sh", "-c", "echo here > there; sleep 60"], "timeout_s": 60}
    case = make_case({"a.txt": "x\n"}, {"a.txt": "y\n"}, policy={"checks": [check]})
    threading.Timer(1.0, case.workshop.cancel).start()
    with pytest.raises(CancelledError):
        judge(case, {"checks": GATE})
    assert store.rows == {}
