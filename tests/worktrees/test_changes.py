from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layers import mounted

from demo_project import ROOT
from worktrees import checkout as trees
from worktrees.changes import LANDS, Change, ChangeSet, between
from worktrees.checkout import Checkout, archive_ref, discard, write_tree
from worktrees.files import blob_id, walk
from worktrees.snapshots import snapshot

if TYPE_CHECKING:
    from tests.worktrees.conftest import Workbench

    Kinds = Callable[[ChangeSet], dict[str, str]]

Edit = Callable[[Path], object]
TEXT = "".join(f"line {number}\n" for number in range(20))
BASE: dict[str, bytes | str] = {
    "a.txt": "one\ntwo\n",
    "long.txt": TEXT,
    "run.sh": "#!/bin/sh\n",
    "d/x.txt": "x\n",
    "d/y.txt": "y\n",
    "bin.dat": b"\0\1\2\xff",
    ".gitignore": "*.log\nout/\n",
    "empty": "",
}


@pytest.fixture(scope="module")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory, workbench: type[Workbench]) -> Path:
    """A repository with one file of each kind, made once and copied."""
    made = workbench(tmp_path_factory.mktemp("filled") / "repo", template.parent)
    shutil.copytree(template, made.root)
    for path, data in BASE.items():
        made.write(path, data)
    (made.root / "link").symlink_to("a.txt")
    (made.root / "run.sh").chmod(0o755)
    made.commit()
    return made.root


@pytest.fixture
def spec(bench: Workbench, filled: Path) -> Checkout:
    """The tree of an attempt on that repository."""
    shutil.rmtree(bench.root)
    shutil.copytree(filled, bench.root, symlinks=True)
    return bench.attempt()


def put(path: str, data: bytes | str = "new\n") -> Edit:
    def edit(tree: Path) -> None:
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)

    return edit


def drop(*paths: str) -> Edit:
    def edit(tree: Path) -> None:
        for path in paths:
            target = tree / path
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()

    return edit


def both(*edits: Edit) -> Edit:
    return lambda tree: [edit(tree) for edit in edits]


def link(path: str, target: str) -> Edit:
    return lambda tree: (tree / path).symlink_to(target)


def rename(old: str, new: str) -> Edit:
    def edit(tree: Path) -> None:
        (tree / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tree / old, tree / new)  # a layer cannot rename a folder of the tree below it; tools copy then

    return edit


def bound_socket(tree: Path) -> None:
    here = Path.cwd()
    os.chdir(tree)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("sock")
    finally:
        os.chdir(here)


EDITS: dict[str, tuple[Edit, dict[str, str]]] = {
    "nothing": (lambda _: None, {}),
    "a new file": (put("new/deep/n.txt"), {"new/deep/n.txt": "added"}),
    "an empty new file": (put("n.txt", ""), {"n.txt": "added"}),
    "a changed file": (put("a.txt", "one\nTWO\n"), {"a.txt": "modified"}),
    "a change of the same size": (put("a.txt", "oNe\ntwo\n"), {"a.txt": "modified"}),
    "the same content written again": (put("a.txt", "one\ntwo\n"), {}),
    "only the time": (lambda tree: os.utime(tree / "a.txt", (1, 1)), {}),
    "a change of line ends": (put("a.txt", "one\r\ntwo\r\n"), {"a.txt": "modified"}),
    "a changed binary": (put("bin.dat", b"\0\1\3\xff"), {"bin.dat": "modified"}),
    "a deleted file": (drop("a.txt"), {"a.txt": "deleted"}),
    "a deleted folder": (drop("d"), {"d/x.txt": "deleted", "d/y.txt": "deleted"}),
    "an empty new folder": (lambda tree: (tree / "void").mkdir(), {}),
    "made executable": (lambda tree: (tree / "a.txt").chmod(0o755), {"a.txt": "mode"}),
    "made not executable": (lambda tree: (tree / "run.sh").chmod(0o644), {"run.sh": "mode"}),
    "made read-only": (lambda tree: (tree / "a.txt").chmod(0o444), {}),
    "made private": (lambda tree: (tree / "a.txt").chmod(0o600), {}),
    "executable for others alone": (lambda tree: (tree / "a.txt").chmod(0o645), {}),
    "changed and made executable": (
        both(put("a.txt", "x"), lambda tree: (tree / "a.txt").chmod(0o755)),
        {"a.txt": "mode"},
    ),
    "renamed": (rename("long.txt", "e/moved.txt"), {"e/moved.txt": "renamed"}),
    "renamed with an edit": (both(rename("long.txt", "m.txt"), put("m.txt", TEXT + "more\n")), {"m.txt": "renamed"}),
    "renamed and all changed": (
        both(drop("long.txt"), put("m.txt", "other\n")),
        {"long.txt": "deleted", "m.txt": "added"},
    ),
    "two that change places": (
        both(rename("d/x.txt", "t"), rename("d/y.txt", "d/x.txt"), rename("t", "d/y.txt")),
        {"d/x.txt": "modified", "d/y.txt": "modified"},
    ),
    "a file becomes a folder": (
        both(drop("a.txt"), put("a.txt/in.txt")),
        {"a.txt": "deleted", "a.txt/in.txt": "added"},
    ),
    "a folder becomes a file": (both(drop("d"), put("d")), {"d": "added", "d/x.txt": "deleted", "d/y.txt": "deleted"}),
    "a folder becomes a symlink": (
        both(drop("d"), link("d", "../..")),
        {"d": "symlink", "d/x.txt": "deleted", "d/y.txt": "deleted"},
    ),
    "a folder is moved and a symlink put there": (
        both(rename("d", "real"), link("d", "real")),
        {"d": "symlink", "real/x.txt": "renamed", "real/y.txt": "renamed"},
    ),
    "a file becomes a symlink": (both(drop("a.txt"), link("a.txt", "d/x.txt")), {"a.txt": "symlink"}),
    "a symlink points elsewhere": (both(drop("link"), link("link", "/etc/passwd")), {"link": "symlink"}),
    "a symlink becomes a file": (both(drop("link"), put("link", "one\ntwo\n")), {"link": "symlink"}),
    "a new dangling symlink": (link("loop", "loop"), {"loop": "symlink"}),
    "a symlink to a folder": (link("outside", "/usr"), {"outside": "symlink"}),
    "everything deleted": (
        drop("a.txt", "long.txt", "run.sh", "d", "bin.dat", ".gitignore", "empty", "link"),
        dict.fromkeys(
            ["a.txt", "long.txt", "run.sh", "d/x.txt", "d/y.txt", "bin.dat", ".gitignore", "empty"], "deleted"
        )
        | {"link": "symlink"},
    ),
    "an ignored file": (both(put("x.log"), put("out/y")), {"x.log": "byproduct", "out/y": "byproduct"}),
    "a tool cache": (put("d/__pycache__/x.cpython-311.pyc"), {"d/__pycache__/x.cpython-311.pyc": "byproduct"}),
    "a .gitignore that hides": (
        both(put(".gitignore", "*\n"), put("new.txt"), put("x.log")),
        {".gitignore": "modified", "new.txt": "added", "x.log": "byproduct"},
    ),
    "a .gitignore that hides no more": (
        both(put(".gitignore", ""), put("x.log")),
        {".gitignore": "modified", "x.log": "byproduct"},
    ),
    "a new .gitignore that hides": (
        both(put("d/.gitignore", "*\n"), put("d/new.txt")),
        {"d/.gitignore": "added", "d/new.txt": "added"},
    ),
    "a .gitattributes that hides": (
        both(put(".gitattributes", "* binary -diff filter=x\n"), put("a.txt", "x\n")),
        {".gitattributes": "added", "a.txt": "modified"},
    ),
    "a hard link": (lambda tree: os.link(tree / "d/x.txt", tree / "h.txt"), {"h.txt": "special", "d/x.txt": "special"}),
    "a fifo": (lambda tree: os.mkfifo(tree / "pipe"), {"pipe": "special"}),
    "a fifo in the place of a file": (
        both(drop("a.txt"), lambda tree: os.mkfifo(tree / "a.txt")),
        {"a.txt": "special"},
    ),
    "a socket": (bound_socket, {"sock": "special"}),
    "a planted repository": (
        both(put(".git/config", "[core]\n"), put(".git/HEAD", "ref: x\n")),
        {".git/config": "git", ".git/HEAD": "git"},
    ),
    "a nested repository": (
        both(put("d/sub/.git/HEAD", "ref: x\n"), put("d/sub/f")),
        {"d/sub/.git/HEAD": "git", "d/sub/f": "added"},
    ),
    "a .git that is a file": (put("d/.git", "gitdir: /x\n"), {"d/.git": "git"}),
    "a .git that is a symlink": (link(".git", "/x"), {".git": "git"}),
    "names that stand for .git elsewhere": (
        both(
            *(
                put(name)
                for name in (
                    ".GIT/x",
                    "git~1",
                    "d/GIT~1/y",
                    ".git./z",
                    ".git ",
                    ".git::$DATA",
                    ".g\u200cit/x",
                    "q\\.git",
                )
            )
        ),
        dict.fromkeys(
            (".GIT/x", "git~1", "d/GIT~1/y", ".git./z", ".git ", ".git::$DATA", ".g\u200cit/x", "q\\.git"), "git"
        ),
    ),
    "a .gitmodules that is a symlink": (link(".gitmodules", "a.txt"), {".gitmodules": "git"}),
    "names like those of git": (
        both(*(put(name) for name in (".gitmodules", ".gitkeep", "dot-git/x", "x.git/HEAD", "git~2", "gitt"))),
        dict.fromkeys((".gitmodules", ".gitkeep", "dot-git/x", "x.git/HEAD", "git~2", "gitt"), "added"),
    ),
    "odd names": (
        both(
            *(
                put(name)
                for name in (
                    "new\nline",
                    'quo"te',
                    "back\\slash",
                    "tab\there",
                    "caf\udce9",
                    " space ",
                    "-dash",
                    ":100644",
                    "\x01\x7f",
                )
            )
        ),
        dict.fromkeys(
            ("new\nline", 'quo"te', "back\\slash", "tab\there", "caf\udce9", " space ", "-dash", ":100644", "\x01\x7f"),
            "added",
        ),
    ),
    "a closed file": (both(put("c.txt"), lambda tree: (tree / "c.txt").chmod(0)), {"c.txt": "added"}),
    "a closed folder": (both(put("c/x.txt"), lambda tree: (tree / "c").chmod(0)), {"c/x.txt": "added"}),
    "a folder that may not be entered": (lambda tree: (tree / "d").chmod(0o400), {}),
}


def layered(bench: Workbench, written: Checkout) -> Checkout:
    """An attempt on the same start whose tree is a layer above a snapshot."""
    repository = bench.repository
    below = snapshot(repository, repository.tree(written.start), written.path.parent)
    plain = bench.spec(ticket="T-0002")
    made = replace(plain, snapshot=str(below))
    trees.make(repository, made)
    return made


def edit_inside(spec: Checkout, edit: Edit) -> None:
    """Edit the tree of a layer as its own processes see it."""
    assert spec.layer is not None
    with mounted(spec.layer) as tree:
        edit(tree)


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("edit", EDITS)
def test_a_layer_gives_the_same_change_set_as_a_tree_that_is_written_out(
    bench: Workbench, spec: Checkout, kinds: Kinds, edit: str
) -> None:
    act, expected = EDITS[edit]
    act(spec.path)
    made = layered(bench, spec)
    edit_inside(made, act)
    one, other = bench.capture(spec), bench.capture(made)
    assert kinds(other) == kinds(one) == expected
    assert other.tree == one.tree
    assert bench.archived(made) == bench.archived(spec)
    assert list(made.path.iterdir()) == []  # nobody but its own processes ever saw it
    discard(bench.repository, made)
    assert not made.written.parent.exists()


@pytest.mark.usefixtures("layers")
def test_a_layer_above_what_an_attempt_left_is_measured_against_the_base(
    bench: Workbench, spec: Checkout, kinds: Kinds
) -> None:
    both(put("a.txt", "one\nTWO\n"), put("new.txt"), drop("d/x.txt"))(spec.path)
    left = bench.capture(spec)
    again = replace(bench.spec(start=left.commit, ticket="T-0002"), base=spec.base)
    below = snapshot(bench.repository, left.tree, spec.path.parent)
    again = replace(again, snapshot=str(below))
    trees.make(bench.repository, again)
    edit_inside(again, both(put("a.txt", "one\ntwo\n"), put("d/y.txt", "z\n")))
    assert kinds(bench.capture(again)) == {"new.txt": "added", "d/x.txt": "deleted", "d/y.txt": "modified"}


@pytest.mark.usefixtures("layers")
def test_a_snapshot_is_written_once_and_stays_as_it_is(bench: Workbench, spec: Checkout) -> None:
    tree = bench.repository.tree(spec.base)
    place = snapshot(bench.repository, tree, spec.path.parent)
    before = {found.path: found.stamp for found in walk(place)}
    made = layered(bench, spec)
    edit_inside(made, both(put("a.txt", "x"), drop("d")))
    assert snapshot(bench.repository, tree, spec.path.parent) == place
    assert {found.path: found.stamp for found in walk(place)} == before


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_is_seen_for_what_it_is(edit: str, bench: Workbench, spec: Checkout, kinds: Kinds) -> None:
    act, expected = EDITS[edit]
    act(spec.path)
    changes = bench.capture(spec)
    before = regular(spec.path)
    assert kinds(changes) == expected
    landing = {path: kind for path, kind in expected.items() if kind in LANDS}
    assert {change.path: change.kind for change in changes.landing} == landing
    assert (changes.tree == bench.repository.tree(spec.base)) is (not landing)
    assert bench.capture(spec) == changes
    # every byte is in the archive, whatever became of it
    archived = set(bench.archived(spec).values())
    assert all(data in archived for data in before.values())
    assert ChangeSet.from_json(changes.to_json()) == changes
    # what may land can be written again, and is the tree of the attempt without what is refused
    written = bench.root.with_name("again")
    write_tree(bench.repository, changes.tree, written)
    refused = {change.path for change in changes.changes if change.kind not in LANDS}
    kept = {path: row for path, row in looked_at(spec.path).items() if path not in refused}
    assert {path: row for path, row in looked_at(written).items() if path not in refused} == kept


def regular(folder: Path) -> dict[str, bytes]:
    found = [row for row in walk(folder) if row.mode in {"100644", "100755"}]
    return {row.path: (folder / row.path).read_bytes() for row in found}


def looked_at(folder: Path) -> dict[str, tuple[str, str]]:
    """Mode and content of everything in a folder that git can hold."""
    return {row.path: (row.mode, blob_id(folder, row, "sha1")) for row in walk(folder) if not row.special}


def test_lines_are_counted_and_renames_name_both_paths(bench: Workbench, spec: Checkout) -> None:
    put("a.txt", "one\nTWO\nthree\n")(spec.path)
    put("bin.dat", b"\0x")(spec.path)
    rename("long.txt", "moved.txt")(spec.path)
    put("moved.txt", TEXT + "one more\n")(spec.path)
    found = {change.path: change for change in bench.capture(spec).changes}
    assert found["a.txt"] == Change(path="a.txt", kind="modified", added=2, deleted=1)
    assert found["bin.dat"] == Change(path="bin.dat", kind="modified", binary=True)
    assert found["moved.txt"] == Change(path="moved.txt", kind="renamed", old_path="long.txt", added=1)
    assert found["moved.txt"].paths == ("moved.txt", "long.txt")


def test_an_attribute_of_the_agent_hides_no_lines(bench: Workbench, spec: Checkout) -> None:
    put(".gitattributes", "* binary -diff\n")(spec.path)
    put("a.txt", "x\n")(spec.path)
    found = {change.path: change for change in bench.capture(spec).changes}
    assert (found["a.txt"].added, found["a.txt"].deleted, found["a.txt"].binary) == (1, 2, False)


def test_a_forged_time_hides_no_edit(bench: Workbench, spec: Checkout, kinds: Kinds) -> None:
    target = spec.path / "a.txt"
    before = target.stat()
    target.write_text("oNe\ntwo\n")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert kinds(bench.capture(spec)) == {"a.txt": "modified"}


def test_an_edit_in_the_moment_after_the_tree_was_made_is_seen(bench: Workbench, kinds: Kinds) -> None:
    bench.commit(BASE)
    for attempt in range(2, 8):
        spec = bench.attempt(attempt=attempt)
        descriptor = os.open(spec.path / "a.txt", os.O_WRONLY)
        before = os.fstat(descriptor)
        os.pwrite(descriptor, b"oNe", 0)
        os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.close(descriptor)
        assert kinds(bench.capture(spec)) == {"a.txt": "modified"}


def test_an_ignored_file_that_the_scope_names_is_taken(bench: Workbench, spec: Checkout, kinds: Kinds) -> None:
    for path in ("out/wanted.txt", "out/other.txt", "x.log"):
        put(path)(spec.path)
    changes = bench.capture(spec, "out/wanted.txt", "*.log")
    assert kinds(changes) == {"out/wanted.txt": "added", "x.log": "added", "out/other.txt": "byproduct"}
    assert set(bench.content(changes.commit)) & {"out/wanted.txt", "x.log", "out/other.txt"} == {
        "out/wanted.txt",
        "x.log",
    }


def test_an_ignored_file_that_is_tracked_is_a_change_like_any_other(bench: Workbench, kinds: Kinds) -> None:
    bench.write(".gitignore", "*.log\n")
    bench.write("kept.log", "old\n")
    bench.git("add", "-f", "kept.log")
    bench.commit()
    spec = bench.attempt()
    put("kept.log", "new\n")(spec.path)
    assert kinds(bench.capture(spec)) == {"kept.log": "modified"}


def test_the_archive_holds_what_was_refused_under_a_name_that_git_takes(bench: Workbench, spec: Checkout) -> None:
    for path, data in {
        ".git/config": "planted",
        ".git/objects/aa": "object",
        "d/.git": "gitdir",
        "d/.GIT/x": "loud",
        "dot-git/config": "honest",
        "git~1": "short",
        "x.log": "by-product",
    }.items():
        put(path, data)(spec.path)
    os.link(spec.path / "a.txt", spec.path / "hard.txt")
    changes = bench.capture(spec)
    held = bench.archived(spec)
    assert held["dot-git/config"] == b"honest"
    assert held["dot-git~/config"] == b"planted"
    assert held["dot-git~/objects/aa"] == b"object"
    assert held["d/dot-git"] == b"gitdir"
    assert held["d/dot-GIT/x"] == b"loud"
    assert held["dot-git~1"] == b"short"
    assert held["x.log"] == b"by-product"
    assert held["hard.txt"] == b"one\ntwo\n"
    written = bench.root.with_name("again")
    write_tree(bench.repository, bench.git("rev-parse", f"{archive_ref(spec)}^{{tree}}"), written)
    assert regular(written) == {path: data for path, data in held.items() if path != "link"}
    assert set(bench.content(changes.commit)) == {*BASE, "link", "a.txt", "dot-git/config"}


def test_files_inside_a_submodule_are_refused_and_kept(
    bench: Workbench, make_bench: Callable[..., Workbench], kinds: Kinds
) -> None:
    inner = make_bench("inner")
    bench.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.root), "sub")
    bench.commit()
    spec = bench.attempt()
    assert list((spec.path / "sub").iterdir()) == []
    assert kinds(bench.capture(spec)) == {}
    other = bench.attempt(attempt=2)
    put("sub/f.txt", "inside")(other.path)
    changes = bench.capture(other)
    assert kinds(changes) == {"sub/f.txt": "submodule"}
    assert bench.modes(changes.commit)["sub"] == "160000"
    assert bench.archived(other)["sub/f.txt"] == b"inside"
    third = bench.attempt(attempt=3)
    (third.path / "sub").rmdir()
    put("sub", "a file now")(third.path)
    assert kinds(bench.capture(third)) == {"sub": "submodule"}
    gone = bench.attempt(attempt=4)
    (gone.path / "sub").rmdir()
    assert kinds(bench.capture(gone)) == {}


def test_an_attempt_that_goes_on_is_compared_with_the_base(bench: Workbench, spec: Checkout, kinds: Kinds) -> None:
    first = spec
    both(put("a.txt", "first\n"), put("n.txt", "first\n"), drop("empty"))(first.path)
    left = bench.capture(first).commit
    second = bench.attempt(start=left, attempt=2)
    assert kinds(bench.capture(second)) == {"a.txt": "modified", "n.txt": "added", "empty": "deleted"}
    third = bench.attempt(start=left, attempt=3)
    both(put("a.txt", BASE["a.txt"]), drop("n.txt"), put("empty", ""))(third.path)
    assert kinds(bench.capture(third)) == {}


def test_an_interrupted_tree_is_captured_by_its_content(bench: Workbench, spec: Checkout, kinds: Kinds) -> None:
    trees.register(bench.repository, spec, stamps={})
    (spec.path / "a.txt").unlink()
    assert kinds(bench.capture(spec)) == {"a.txt": "deleted"}


def test_what_may_land_stays_reachable_from_the_archive(bench: Workbench, spec: Checkout) -> None:
    put("n.txt")(spec.path)
    changes = bench.capture(spec)
    parents = bench.git("rev-list", "--parents", "-1", archive_ref(spec)).split()[1:]
    assert parents == [spec.base, changes.commit]
    assert bench.git("rev-list", "--parents", "-1", changes.commit).split()[1:] == [spec.base]
    assert bench.git("log", "-1", "--format=%s|%an|%ae", changes.commit) == "a subject|Ada|ada@example.org"
    bench.git("reflog", "expire", "--expire=now", "--all")
    bench.git("gc", "-q", "--prune=now")
    assert bench.content(changes.commit)["n.txt"] == b"new\n"
    bench.git("fsck", "--strict")


def test_what_was_written_after_a_capture_is_archived_by_the_next(bench: Workbench, spec: Checkout) -> None:
    put("n.txt", "early")(spec.path)
    bench.capture(spec)
    put("n.txt", "late")(spec.path)
    bench.capture(spec)
    assert bench.archived(spec)["n.txt"] == b"late"
    assert bench.content(f"{archive_ref(spec)}@{{1}}")["n.txt"] == b"early"


def test_a_captured_tree_can_be_discarded(bench: Workbench, spec: Checkout) -> None:
    put(".git/x")(spec.path)
    bench.capture(spec)
    discard(bench.repository, spec)
    assert not spec.path.exists()
    assert trees.registered(bench.repository) == []


def test_the_worktree_and_index_of_the_person_are_left_alone(bench: Workbench, spec: Checkout) -> None:
    bench.write("a.txt", "dirty\n")
    bench.write("staged.txt", "x")
    bench.git("add", "staged.txt")
    before = bench.git("status", "--porcelain"), (bench.root / ".git" / "index").read_bytes()
    put("a.txt", "agent\n")(spec.path)
    bench.capture(spec)
    assert bench.git("status", "--porcelain") == before[0]
    assert bench.git("rev-parse", "HEAD") == spec.base


def test_evidence_from_outside_is_part_of_the_change_set(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    outside = Change(path="0/elsewhere", kind="outside", note="written outside")
    changes = between(bench.repository, head, head, [outside])
    assert changes.changes == (outside,)
    assert changes.landing == ()


CAPTURE = """
import resource, sys
from pathlib import Path
from worktrees.changes import capture
from worktrees.checkout import registered
from worktrees.git import Repository
repository = Repository.find(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(change,) = capture(repository, registered(repository)[0], claims=()).changes
assert change.path == "large.bin", change
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_a_large_file_is_captured_without_holding_it_in_memory(bench: Workbench, spec: Checkout) -> None:
    with (spec.path / "large.bin").open("wb") as stream:
        for _ in range(60):
            stream.write(os.urandom(64) * (1 << 14))
    command = [sys.executable, "-c", CAPTURE, str(bench.root)]
    environment = {**bench.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 30, f"{done.stdout} MiB more"


# random edits

NAMES = st.sampled_from(
    ["a.txt", "d/x.txt", "d/y.txt", "d", "e", "e/f", "e/f/g", "x.log", "out/z", ".git/h", "run.sh", "link"]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "drop", "link", "mode", "move", "hard", "fifo", "touch"]),
        NAMES,
        NAMES,
        st.integers(0, 3),
    ),
    max_size=10,
)


def play(tree: Path, step: tuple[str, str, str, int]) -> None:
    """Do the step as far as the file system lets it."""
    name, one, other, value = step
    target, second = tree / one, tree / other
    actions: dict[str, Callable[[], Any]] = {
        # opening a fifo would wait for a reader
        "write": lambda: (
            put(one, f"value {value}\n" * value)(tree) if target.is_file() or not target.exists() else None
        ),
        "drop": lambda: drop(one)(tree),
        "link": lambda: target.symlink_to(other),
        "mode": lambda: (
            target.chmod(0o755 if value % 2 else 0o644, follow_symlinks=False) if not target.is_symlink() else None
        ),
        "move": lambda: target.rename(second),
        "hard": lambda: os.link(target, second, follow_symlinks=False),
        "fifo": lambda: os.mkfifo(target),
        "touch": lambda: os.utime(target, (value, value), follow_symlinks=False),
    }
    try:
        actions[name]()
    except (OSError, NotImplementedError):
        return


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=STEPS, second=STEPS)
def test_the_captured_commit_is_the_tree_without_what_is_refused(
    first: list[tuple[str, str, str, int]], second: list[tuple[str, str, str, int]], bench: Workbench, filled: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mine = type(bench)(Path(folder) / "repo", bench.home)
        shutil.copytree(filled, mine.root, symlinks=True)
        spec = mine.attempt()
        for number, steps in enumerate((first, second), 2):
            for step in steps:
                play(spec.path, step)
            here, changes = looked_at(spec.path), mine.capture(spec)
            refused = {change.path for change in changes.changes if change.kind not in LANDS}
            archived = set(mine.archived(spec).values())
            assert all(data in archived for data in regular(spec.path).values())
            discard(mine.repository, spec)
            spec = mine.attempt(start=changes.commit, attempt=number)
            wanted = {path: row for path, row in here.items() if path not in refused}
            assert {path: row for path, row in looked_at(spec.path).items() if path not in refused} == wanted
