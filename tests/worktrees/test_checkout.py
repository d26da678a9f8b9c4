from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo_project import ROOT
from tickets.errors import EnvironmentFailure
from worktrees import checkout as trees
from worktrees.checkout import (
    STARTS,
    archive_ref,
    checkout,
    discard,
    folder_of_worktrees,
    forget,
    let_go_of_what_is_over,
    make,
    registered,
    remove,
    stamps_of,
    write_tree,
)
from worktrees.files import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worktrees.conftest import Workbench

EXACT: dict[str, bytes] = {
    "crlf.txt": b"one\r\ntwo\r\n",
    "mixed.txt": b"one\r\ntwo\n",
    "ident.txt": b"$Id$\n",
    "filtered.txt": b"as it is\n",
    "utf16.txt": "größe".encode("utf-16"),
    "export.txt": b"$Format:%H$\n",
    "no-end": b"x",
    "zero": b"",
    "bin": bytes(range(256)) * 300,
    "new\nline": b"1",
    'quo"te': b"2",
    "caf\udce9": b"3",
    " space /x": b"4",
    "deep/" * 20 + "f": b"5",
}
ATTRIBUTES = (
    "*.txt text eol=lf\ncrlf.txt text eol=crlf\nident.txt ident\nfiltered.txt filter=evil\n"
    "utf16.txt text working-tree-encoding=UTF-16\nexport.txt export-subst\nno-end export-ignore\n"
)


def commit_exactly(bench: Workbench, files: dict[str, bytes], extra: str = "") -> str:
    """Commit bytes as they are, whatever git would make of them."""
    lines = [extra]
    for path, data in files.items():
        oid = bench.git("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
        lines.append(f"100644 {oid}\t{path}\0")
    bench.git("read-tree", "--empty")
    bench.git("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)))
    bench.git("commit", "-qm", "exact")
    return bench.git("rev-parse", "HEAD")


def test_the_tree_is_written_byte_for_byte(bench: Workbench, tmp_path: Path) -> None:
    head = commit_exactly(bench, {**EXACT, ".gitattributes": ATTRIBUTES.encode()})
    bench.git("config", "--global", "core.autocrlf", "true")
    bench.git("config", "core.eol", "crlf")
    bench.git("config", "filter.evil.smudge", "echo smudged")
    bench.git("config", "filter.evil.required", "true")
    stamps = write_tree(bench.repository, bench.repository.tree(head), tmp_path / "out")
    assert {row.path: (tmp_path / "out" / row.path).read_bytes() for row in walk(tmp_path / "out")} == {
        **EXACT,
        ".gitattributes": ATTRIBUTES.encode(),
    }
    assert set(stamps) == {*EXACT, ".gitattributes"}


def test_modes_links_and_submodules_are_as_in_the_tree(bench: Workbench, tmp_path: Path) -> None:
    run = bench.git("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n")
    link, outside = (bench.git("hash-object", "-w", "--stdin", stdin=target) for target in (b"run", b"/etc/passwd"))
    rows = (
        f"100755 {run}\trun",
        f"120000 {link}\tlink",
        f"120000 {outside}\tsub/out",
        f"160000 {'1' * 40}\tmodule",
        "",
    )
    extra = "\0".join(rows)
    head = commit_exactly(bench, {"plain": b"x"}, extra)
    out = tmp_path / "out"
    write_tree(bench.repository, bench.repository.tree(head), out)
    assert {row.path: row.mode for row in walk(out)} == {
        "run": "100755",
        "link": "120000",
        "sub/out": "120000",
        "plain": "100644",
    }
    assert ((out / "link").readlink(), (out / "sub/out").readlink()) == (Path("run"), Path("/etc/passwd"))
    assert list((out / "module").iterdir()) == []


def test_no_repository_is_in_sight(bench: Workbench) -> None:
    spec = bench.attempt()
    assert not list(spec.path.rglob(".git"))
    done = subprocess.run(["git", "status"], cwd=spec.path, env=bench.environment, capture_output=True, check=False)
    assert done.returncode == 128
    assert bench.git("worktree", "list").count("\n") == 0
    assert bench.git("status", "--porcelain", "--", ".", ":(exclude).orchestrate") == ""


def test_a_checkout_is_archived_and_gone_afterwards(bench: Workbench) -> None:
    repository = bench.repository
    with checkout(repository, bench.spec()) as spec:
        assert registered(repository) == [spec]
        (spec.home / "tmp").mkdir()
        (spec.path / "n.txt").write_text("x")
        bench.capture(spec)
    assert not spec.path.exists()
    assert not spec.home.exists()
    assert registered(repository) == []
    assert bench.archived(spec)["n.txt"] == b"x"


def test_a_checkout_that_failed_stays_and_is_registered(bench: Workbench) -> None:
    def fail() -> None:
        with checkout(bench.repository, bench.spec()) as spec:
            (spec.path / "n.txt").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    (spec,) = registered(bench.repository)
    assert spec == bench.spec()
    assert (spec.path / "n.txt").read_text() == "x"
    assert set(stamps_of(bench.repository, spec)) == {"a.txt"}


def test_what_is_not_archived_is_not_removed(bench: Workbench) -> None:
    spec = bench.attempt()
    with pytest.raises(EnvironmentFailure, match="not archived yet"):
        discard(bench.repository, spec)
    assert (spec.path / "a.txt").exists()
    assert registered(bench.repository) == [spec]


@pytest.mark.parametrize("kind", ["folder", "file", "symlink"])
def test_what_stands_in_the_way_is_neither_used_nor_taken_for_ours(kind: str, bench: Workbench) -> None:
    spec = bench.spec()
    spec.path.parent.mkdir(parents=True)
    kept = spec.path.with_name("kept")
    kept.mkdir()
    if kind == "folder":
        spec.path.mkdir()
        (spec.path / "mine").write_text("mine")
    elif kind == "file":
        spec.path.write_text("mine")
    else:
        spec.path.symlink_to(kept)
    with pytest.raises(EnvironmentFailure, match="stands in the way"):
        make(bench.repository, spec)
    assert os.path.lexists(spec.path)
    assert list(kept.iterdir()) == []
    assert kind != "folder" or (spec.path / "mine").read_text() == "mine"
    # a resumed run clears away what is registered: this is not
    assert registered(bench.repository) == []


def test_a_making_that_was_killed_is_registered_and_can_be_cleared(bench: Workbench) -> None:
    bench.commit({f"{number}/{inner}.txt": "x\n" * 50 for number in range(40) for inner in range(20)})
    spec = bench.spec()
    code = (
        "import sys\nfrom pathlib import Path\nfrom worktrees.checkout import Checkout, make\nfrom worktrees.git import Repository\n"
        "spec = Checkout(ticket='T-0001', attempt=1, base=sys.argv[2], start=sys.argv[2], path=Path(sys.argv[3]), home=Path(sys.argv[4]), owner=1)\n"
        "make(Repository.find(Path(sys.argv[1])), spec)\n"
    )
    command = [sys.executable, "-c", code, str(bench.root), spec.base, str(spec.path), str(spec.home)]
    with subprocess.Popen(command, env={**bench.environment, "PYTHONPATH": str(ROOT)}) as process:
        while not spec.path.exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    (found,) = registered(bench.repository)
    assert (found.ticket, found.path) == ("T-0001", spec.path)
    bench.capture(found)
    discard(bench.repository, found)
    assert registered(bench.repository) == []
    assert not spec.path.exists()


def test_a_tree_that_was_never_made_is_forgotten(bench: Workbench) -> None:
    spec = bench.spec()
    trees.register(bench.repository, spec, stamps={})
    spec.home.mkdir(parents=True)
    forget(bench.repository, spec)
    forget(bench.repository, spec)
    assert registered(bench.repository) == []
    assert not spec.home.exists()


def test_the_register_keeps_what_was_written(bench: Workbench) -> None:
    head = commit_exactly(bench, {"caf\udce9": b"x", "new\nline": b"y"})
    spec = bench.attempt()
    assert spec.base == head
    assert {path: stamp[1] for path, stamp in stamps_of(bench.repository, spec).items()} == {
        "caf\udce9": 1,
        "new\nline": 1,
    }
    assert stamps_of(bench.repository, spec) == {row.path: row.stamp for row in walk(spec.path)}


def test_what_a_live_attempt_is_compared_with_has_refs_that_go_with_its_tree(bench: Workbench) -> None:
    base = bench.git("rev-parse", "HEAD")
    start = bench.git("commit-tree", "-m", "a start", f"{base}^{{tree}}")
    spec = bench.attempt(start=start, attempt=2)
    held = {f"{STARTS}/T-0001/2": start, f"{STARTS}/T-0001/2-base": base}
    assert bench.repository.refs(STARTS) == held
    bench.git("update-ref", f"{STARTS}/T-0009/1", base)  # as a crash leaves it
    let_go_of_what_is_over(bench.repository)
    assert bench.repository.refs(STARTS) == held
    bench.capture(spec)
    discard(bench.repository, spec)
    assert bench.repository.refs(STARTS) == {}


def test_live_checkouts_are_listed_by_ticket(bench: Workbench) -> None:
    made = [bench.attempt(ticket=ticket) for ticket in ("T-0002", "T-0001")]
    assert registered(bench.repository) == made[::-1]
    assert archive_ref(made[0]) == "refs/orchestrate/attempts/T-0002/1"


@pytest.mark.parametrize(
    ("configured", "expected"), [("", "repo-wt"), ("../elsewhere", "elsewhere"), ("inside", "repo/inside")]
)
def test_worktrees_stand_beside_the_repository(configured: str, expected: str, bench: Workbench) -> None:
    assert folder_of_worktrees(bench.repository, configured) == bench.root.parent / expected


RACE = """
import os, sys
from pathlib import Path
from worktrees import checkout as trees
from worktrees.changes import capture
from worktrees.git import Repository
repository = Repository.find(Path(sys.argv[1]))
base, mine = sys.argv[2], sys.argv[3]
for attempt in (1, 2):
    beside = Path(sys.argv[1] + "-wt")
    spec = trees.Checkout(ticket=mine, attempt=attempt, base=base, start=base, path=beside / mine, home=beside / ".h" / mine, owner=os.getpid())
    with trees.checkout(repository, spec):
        assert sorted(os.listdir(spec.path)) == ["a.txt", "b.txt"], os.listdir(spec.path)
        (spec.path / "b.txt").write_text(f"{mine} {attempt}")
        (change,) = capture(repository, spec, claims=()).changes
        assert (change.path, change.kind) == ("b.txt", "modified")
"""


def test_processes_make_and_clear_different_tickets_at_once(bench: Workbench) -> None:
    base = bench.commit({"b.txt": "x"})
    environment = {**bench.environment, "PYTHONPATH": str(ROOT)}
    started = []
    for number in range(8):
        command = [sys.executable, "-c", RACE, str(bench.root), base, f"T-{number:04d}"]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for process in started:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err.decode()
    assert registered(bench.repository) == []
    for number in range(8):
        for attempt in (1, 2):
            spec = bench.spec(ticket=f"T-{number:04d}", attempt=attempt)
            assert bench.archived(spec)["b.txt"] == f"T-{number:04d} {attempt}".encode()


# removing


def closed(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "f").write_text("x")
    (folder / "in" / "f").chmod(0)
    (folder / "in").chmod(0)


def deep(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(3000):  # deeper than Python recurses and longer than a path may be
            os.mkdir("deep")  # noqa: PTH102 - relative on purpose
            os.chdir("deep")
        Path("f").write_text("x")
    finally:
        os.chdir(here)


def many(folder: Path) -> None:
    for outer in range(10):
        for inner in range(10):
            (folder / f"{outer}" / f"{inner}").mkdir(parents=True)
            (folder / f"{outer}" / f"{inner}" / "f").touch()


def looped(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    (folder / "gone").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize("fill", [closed, deep, many, looped], ids=lambda fill: fill.__name__)
def test_whatever_an_agent_built_is_removed(fill: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "beside" / "tree"
    folder.mkdir(parents=True)
    fill(folder)
    remove(folder)
    assert list(folder.parent.iterdir()) == []


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o750)
    (kept / "inner").mkdir(mode=0o500)
    (kept / "f").write_text("mine")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(kept)
    remove(tree)
    (tmp_path / "tree").symlink_to(kept)
    remove(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "f").read_text() == "mine"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept / "inner")] == [0o750, 0o500]


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
    (tmp_path / "file").touch()
    remove(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_deep_tree_is_captured_and_cleared(bench: Workbench) -> None:
    spec = bench.attempt()
    deep(spec.path)
    changes = bench.capture(spec)
    assert [change.kind for change in changes.changes] == ["special"]
    discard(bench.repository, spec)
    assert not spec.path.exists()
