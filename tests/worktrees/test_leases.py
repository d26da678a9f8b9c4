"""Leased directories: exact every time, whatever was done in them, by whomever, and whoever died meanwhile."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layers import mounted

from worktrees import leases
from worktrees.changes import quoted_path
from worktrees.files import blob_id
from worktrees.git import Repository
from worktrees.leases import Pool, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worktrees.conftest import Workbench
    from worktrees.leases import LeasedTree

T = TypeVar("T")
Content = dict[str, tuple[str, bytes]]
NAMES = st.sampled_from(["a", "b", "c", "caf\udce9", 'q"\n'])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.tuples(st.sampled_from(["100644", "100755", "120000"]), st.sampled_from([b"x", b"y\n", b"a/b", b"\0\xff"]))
ROOT = Path(__file__).parents[2]


def possible(drawn: Content) -> Content:
    """Leave out what lies below a file, and what no link can point to."""
    kept: Content = {}
    for path, (mode, data) in sorted(drawn.items()):
        if not any(str(parent) in kept for parent in PurePosixPath(path).parents):
            kept[path] = ("100644", data) if mode == "120000" and b"\0" in data else (mode, data)
    return kept


TREES = st.dictionaries(PATHS, FILES, max_size=6).map(possible)
EDITS = st.lists(st.tuples(st.sampled_from(["put", "drop", "link", "mode", "folder"]), PATHS), min_size=0, max_size=5)


def written(repository: Repository, content: Content) -> str:
    """Write the tree as git objects, by git."""
    stream = b"commit refs/scratch/test\ncommitter a <a@b> 0 +0000\ndata 0\ndeleteall\n"
    for path, (mode, data) in content.items():
        stream += b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), quoted_path(path), len(data), data)
    repository.plumb("fast-import", "--quiet", "--force", stdin=stream)
    return repository.plumb("rev-parse", "refs/scratch/test^{tree}").text


def hashed(folder: Path) -> str:
    """Git's id of what stands in the folder, computed by the book; an empty folder makes it another one."""
    rows = []
    for place in folder.iterdir():
        name = os.fsencode(place.name)
        if place.is_symlink():
            rows.append((name, b"120000", _object(b"blob", os.fsencode(place.readlink()))))
        elif place.is_dir():
            rows.append((name + b"/", b"40000", hashed(place)))
        else:
            mode = b"100755" if place.stat().st_mode & 0o100 else b"100644"
            rows.append((name, mode, _object(b"blob", place.read_bytes())))
    body = b"".join(b"%s %s\0%s" % (mode, name.rstrip(b"/"), bytes.fromhex(oid)) for name, mode, oid in sorted(rows))
    return _object(b"tree", body)


def _object(kind: bytes, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(data), data), usedforsecurity=False).hexdigest()


def inside(lease: LeasedTree, act: Callable[[Path], T]) -> T:
    """What `act` says of the tree, as a process that has it before its eyes."""
    if layer := lease.held.layer:
        with mounted(layer) as tree:
            return act(tree)
    return act(lease.folder)


def seen(lease: LeasedTree) -> str:
    return inside(lease, hashed)


def mess(edits: list[tuple[str, str]]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for kind, path in edits:
            target = folder / path
            try:
                if kind == "mode":
                    target.chmod(0o500)
                    continue
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
                if kind != "drop":
                    target.parent.mkdir(parents=True, exist_ok=True)
                if kind == "put":
                    target.write_text("litter")
                elif kind == "link":
                    target.symlink_to("/nowhere/at/all")  # not to a real place: later edits go through it
                elif kind == "folder":
                    (target / "deep").mkdir(parents=True)
                    (target / "deep" / "er").write_text("x")
            except OSError:  # the edit makes no sense here: below a file, or behind a link out of the tree
                continue

    return act


@pytest.fixture(params=["layered", "plain"])
def pool(request: pytest.FixtureRequest, bench: Workbench) -> Pool:
    worktrees = bench.root.with_name("wt").resolve()
    worktrees.mkdir()
    layered = request.param == "layered"
    if layered:
        request.getfixturevalue("layers")
    return Pool(repository=bench.repository, worktrees=worktrees, layered=layered)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(TREES, min_size=2, max_size=2), edits=EDITS)
def test_a_lease_is_exact_before_and_after_anything(
    pool: Pool, trees: list[Content], edits: list[tuple[str, str]]
) -> None:
    _exact_through(pool, trees, edits)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(TREES, min_size=1, max_size=4), edits=EDITS)
def test_many_leases_are_exact_before_and_after_anything(
    pool: Pool, trees: list[Content], edits: list[tuple[str, str]]
) -> None:
    _exact_through(pool, trees, edits)


def _exact_through(pool: Pool, trees: list[Content], edits: list[tuple[str, str]]) -> None:
    for content in trees:
        tree = written(pool.repository, content)
        lease = pool.take(tree)
        lease.held.seal()
        assert seen(lease) == tree
        assert _viewed(lease) == {path: (mode, data) for path, (mode, data) in content.items()}
        assert lease.held.written() == ()
        inside(lease, mess(edits))
        found = {one.path for one in lease.held.written()}
        changed = {path for path, one in _viewed(lease).items() if content.get(path) != one}
        assert changed <= found
        assert lease.held.clean()
        assert seen(lease) == tree
        assert lease.held.written() == ()
        inside(lease, mess(edits))
        lease.give_back()


def _viewed(lease: LeasedTree) -> Content:
    view = lease.held.view
    found = {}
    for one in view.walk():
        place = view.find(one.path)
        assert place is not None
        found[one.path] = (one.mode, os.fsencode(place.readlink()) if place.is_symlink() else place.read_bytes())
    return found


def test_the_same_place_is_lent_again_and_two_at_once_are_apart(pool: Pool, bench: Workbench) -> None:
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    one, other = pool.take(tree), pool.take(tree)
    assert one.folder != other.folder
    inside(one, lambda folder: (folder / "a.txt").write_text("mine"))
    assert (seen(other), seen(one) != tree) == (tree, True)
    one.give_back()
    again = pool.take(tree)
    assert (again.folder, seen(again)) == (one.folder, tree)
    assert list(again.scratch.iterdir()) == list(again.home.iterdir()) == []


def test_what_was_brought_along_stays_through_a_cleaning_and_goes_with_the_lease(pool: Pool, bench: Workbench) -> None:
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    lease = pool.take(tree)
    (lease.held.layer.upper if lease.held.layer else lease.folder).joinpath(".env").write_text("KEY=1")
    lease.held.seal()
    inside(lease, mess([("put", "b"), ("drop", "a.txt")]))
    assert {"b"} <= {one.path for one in lease.held.written()} <= {"b", "a.txt"}
    assert lease.held.clean()
    assert inside(lease, lambda folder: sorted(place.name for place in folder.iterdir())) == [".env", "a.txt"]
    lease.give_back()
    assert seen(pool.take(tree)) == tree


def test_a_tree_with_a_submodule_and_odd_modes_is_as_git_writes_it(pool: Pool, bench: Workbench) -> None:
    repository = bench.repository
    base, head = repository.tree(bench.git("rev-parse", "HEAD")), bench.git("rev-parse", "HEAD")
    entries = f"160000 commit {head}\tsub\n100755 blob {bench.git('rev-parse', 'HEAD:a.txt')}\trun\n"
    tree = repository.plumb("mktree", stdin=entries.encode()).text
    for each in (base, tree, base, tree):
        lease = pool.take(each)
        lease.held.seal()
        expected = ["run", "sub"] if each == tree else ["a.txt"]
        assert inside(lease, lambda folder: sorted(place.name for place in folder.iterdir())) == expected
        lease.give_back()


def test_a_file_of_many_bytes_and_a_file_of_none(pool: Pool) -> None:
    content: Content = {"big": ("100644", os.urandom(3 << 20)), "none": ("100644", b"")}
    first, tree = written(pool.repository, {"x": ("100644", b"x")}), written(pool.repository, content)
    pool.take(first).give_back()
    assert seen(pool.take(tree)) == tree


def test_a_large_difference_makes_a_new_snapshot_and_leaves_the_old_one_alone(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pool.layered:
        pytest.skip("only layers stand on snapshots")
    monkeypatch.setattr(leases, "LARGEST", 3)
    small = written(pool.repository, {"a": ("100644", b"x")})
    near = written(pool.repository, {"a": ("100644", b"x"), "b": ("100644", b"x")})
    far = written(pool.repository, {f"f{number}": ("100644", b"x") for number in range(5)})
    held = [pool.take(tree) for tree in (small, near, far)]
    folder = pool.worktrees / ".snapshots"
    assert {place.name for place in folder.iterdir() if place.is_dir()} == {small, far}
    assert [seen(lease) for lease in held] == [small, near, far]
    assert [hashed(folder / tree) for tree in (small, far)] == [small, far]


def test_a_crash_leaves_nothing_that_the_next_one_does_not_clear(pool: Pool, bench: Workbench) -> None:
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    other = written(bench.repository, {"other": ("100755", b"x")})
    pool.take(tree).give_back()
    code = (
        "import os, sys; from pathlib import Path; from worktrees.git import Repository; from worktrees.leases import Pool\n"
        "repository, worktrees, layered, tree = Repository.find(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3] == 'True', sys.argv[4]\n"
        "lease = Pool(repository=repository, worktrees=worktrees, layered=layered).take(tree)\n"
        "held = lease.held.layer.upper if lease.held.layer else lease.folder\n"
        "(held / 'litter').write_text('x'); (lease.scratch / 'x').write_text('x')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    argv = [sys.executable, "-c", code, str(bench.root), str(pool.worktrees), str(pool.layered), other]
    assert subprocess.run(argv, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    tidy(pool.worktrees)
    assert not [place for place in (pool.worktrees / ".leases").rglob("*") if place.parent.name == "scratch"]
    lease = pool.take(tree)
    assert (lease.folder.parent.name.removeprefix("p"), seen(lease)) == ("0", tree)


def test_what_somebody_uses_is_not_tidied(pool: Pool, bench: Workbench) -> None:
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    lease = pool.take(tree)
    (lease.scratch / "kept").write_text("x")
    tidy(pool.worktrees)
    assert (seen(lease), (lease.scratch / "kept").read_text()) == (tree, "x")


def test_a_directory_of_doubtful_content_is_compared_byte_for_byte(bench: Workbench) -> None:
    worktrees = bench.root.with_name("wt")
    worktrees.mkdir()
    pool = Pool(repository=bench.repository, worktrees=worktrees, layered=False)
    tree = bench.repository.tree(bench.git("rev-parse", "HEAD"))
    pool.take(tree).give_back()
    place = worktrees / ".leases" / "p0"
    (place / "manifest").unlink()
    (place / "tree" / "a.txt").write_text("forged")
    (place / "tree" / "dir").mkdir()
    lease = pool.take(tree)
    assert seen(lease) == tree


def _borrow(bench_root: str, worktrees: str, layered: bool, trees: list[str], rounds: int) -> None:  # noqa: FBT001 - for a process
    pool = Pool(repository=Repository.find(Path(bench_root)), worktrees=Path(worktrees), layered=layered)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(rounds):
            tree = trees[(number + turn) % len(trees)]
            lease = pool.take(tree)
            lease.held.seal()
            mark = lease.scratch / "mine"
            if mark.exists():
                wrong.append("somebody else is here")
            mark.write_text("x")
            time.sleep(0.005)
            if not _is_exact(lease, tree):
                wrong.append("not exact")
            lease.give_back()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(1 if wrong else 0)


def _is_exact(lease: LeasedTree, tree: str) -> bool:
    repository = lease.held.repository  # type: ignore[attr-defined]  # both kinds have one
    expected = {entry.path: entry.oid for entry in repository.entries(tree)}
    view = lease.held.view
    found = {}
    for one in view.walk():
        place = view.find(one.path)
        assert place is not None
        found[one.path] = blob_id(place.parent, one.__class__(**{**one.__dict__, "path": place.name}), "sha1")
    return found == expected


@pytest.mark.slow
def test_processes_and_threads_share_one_pool(pool: Pool, bench: Workbench) -> None:
    trees = [written(bench.repository, {f"f{n}": ("100644", b"%d" % n), "same": ("100644", b"s")}) for n in range(3)]
    spawn = multiprocessing.get_context("spawn")
    arguments = (str(bench.root), str(pool.worktrees), pool.layered, trees, 4)
    started = [spawn.Process(target=_borrow, args=arguments) for _ in range(2)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0]
