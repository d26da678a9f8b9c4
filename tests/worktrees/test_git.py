from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo_project import ROOT
from tickets.errors import InputError
from worktrees import git as door
from worktrees.checkout import write_tree
from worktrees.git import Entry, GitError, Repository, quoted
from worktrees.merge import Merged, merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worktrees.conftest import Workbench

    MakeBench = Callable[..., Workbench]


@pytest.mark.parametrize("place", ["", "sub", "sub/deep"])
def test_a_repository_is_found_from_any_folder_of_it(place: str, make_bench: MakeBench) -> None:
    bench = make_bench("with a space, ü and 'quotes'")
    (bench.root / "sub" / "deep").mkdir(parents=True)
    found = Repository.find(bench.root / place)
    assert (found.root, found.here, found.common, found.state) == (
        bench.root,
        bench.root,
        bench.root / ".git",
        bench.root / ".orchestrate",
    )


def test_a_folder_with_a_line_break_in_its_name_is_refused_not_mistaken(make_bench: MakeBench) -> None:
    bench = make_bench("two\nlines")
    with pytest.raises(InputError, match="line break in its name"):
        Repository.find(bench.root)


def test_a_repository_is_found_from_a_linked_worktree(bench: Workbench) -> None:
    linked = bench.root.with_name("linked tree")
    bench.git("worktree", "add", "-q", str(linked), "-b", "other")
    (linked / "sub").mkdir()
    found = Repository.find(linked / "sub")
    assert (found.root, found.here, found.common) == (bench.root, linked, bench.root / ".git")


def test_a_bare_repository_is_refused_with_what_to_do(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "b.git")], check=True)
    with pytest.raises(InputError, match=r"bare repository.*git clone"):
        Repository.find(tmp_path / "b.git")


def test_no_repository_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not inside a git repository \(git init"):
        Repository.find(tmp_path)


@pytest.mark.parametrize("name", ["gone", "file"])
def test_what_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        Repository.find(tmp_path / name)


def test_a_missing_git_is_told(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.home))
    with pytest.raises(InputError, match="git was not found on the PATH"):
        Repository.find(bench.root)


LEAKS = {
    "GIT_DIR": "/nonexistent",
    "GIT_WORK_TREE": "/nonexistent",
    "GIT_INDEX_FILE": "/nonexistent/index",
    "GIT_OBJECT_DIRECTORY": "/nonexistent",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nonexistent",
    "GIT_COMMON_DIR": "/nonexistent",
    "GIT_NAMESPACE": "elsewhere",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "user.name",
    "GIT_CONFIG_VALUE_0": "Mallory",
    "GIT_CONFIG_KEY_1": "core.bare",
    "GIT_CONFIG_VALUE_1": "true",
    "GIT_CONFIG_PARAMETERS": "'core.bare'='true'",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TRACE": "1",
    "GIT_REPLACE_REF_BASE": "refs/evil",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_EXTERNAL_DIFF": "false",
}


def test_nothing_of_the_caller_leaks_into_git(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    head = bench.git("rev-parse", "HEAD")
    for name, value in LEAKS.items():
        monkeypatch.setenv(name, value)
    repository = Repository.find(bench.root)
    repository.state.mkdir()
    assert repository.root == bench.root
    assert repository.commit("HEAD") == head
    assert [entry.path for entry in repository.entries(head)] == ["a.txt"]
    assert repository.read(head, "a.txt") == b"one\ntwo\n"
    assert repository.identity() == door.Identity(name="Ada", email="ada@example.org")
    assert repository.move("refs/heads/x", new=head, old=None, reason="x")
    assert set(door.environment()) & set(LEAKS) == set()


def test_a_person_may_be_named_by_the_environment(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "grace@example.org")
    assert bench.repository.identity() == door.Identity(name="Grace", email="grace@example.org")


def test_nobody_to_write_commits_as_is_told(bench: Workbench) -> None:
    (bench.home / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    with pytest.raises(InputError, match=r"user\.name and user\.email"):
        bench.repository.identity()


def test_nothing_planted_runs_for_plumbing(bench: Workbench, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{touched}'\ncat\n")
    trap.chmod(0o755)
    hooks = bench.root / ".git" / "hooks"
    for name in ("reference-transaction", "post-checkout", "post-index-change", "pre-commit", "fsmonitor-watchman"):
        (hooks / name).write_text(trap.read_text())
        (hooks / name).chmod(0o755)
    base = bench.git("rev-parse", "HEAD")
    tree = {".gitattributes": "* filter=evil diff=evil merge=evil text eol=crlf ident\n", "b.txt": "one $Id$\n"}
    for path, data in tree.items():
        bench.write(path, data)
    index = {"GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_WORK_TREE": str(bench.root)}
    bench.repository.git(
        "-c", "core.attributesFile=/dev/null", "add", "-A", "--", ".", ":(exclude).orchestrate", env=index
    )
    tree_id = bench.repository.git("write-tree", env=index).text
    names = [
        ("core.hooksPath", str(hooks)),
        ("core.fsmonitor", str(trap)),
        ("filter.evil.clean", str(trap)),
        ("filter.evil.smudge", str(trap)),
        ("filter.evil.process", str(trap)),
        ("filter.evil.required", "true"),
        ("diff.evil.textconv", str(trap)),
        ("diff.external", str(trap)),
        ("merge.evil.driver", f"{trap} %O %A %B"),
        ("core.pager", str(trap)),
        ("core.sshCommand", str(trap)),
        ("credential.helper", str(trap)),
        ("gpg.program", str(trap)),
        ("commit.gpgSign", "true"),
        ("core.alternateRefsCommand", str(trap)),
    ]
    for where in ("--local", "--global"):
        for key, value in names:
            bench.git("config", where, key, value)
    (bench.root / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    touched.unlink(missing_ok=True)
    repository = bench.repository
    commit = repository.plumb(
        "commit-tree", tree_id, "-p", base, stdin=b"x", env=repository.identity().environment()
    ).text
    write_tree(repository, tree_id, tmp_path / "out")
    repository.plumb("diff-tree", "-r", "-p", base, commit)
    assert isinstance(merge(repository, base, commit), Merged)
    assert repository.move("refs/heads/x", new=commit, old=None, reason="x")
    assert repository.entries(commit)
    assert repository.worktrees()
    assert not touched.exists(), touched.read_text()
    assert (tmp_path / "out" / "b.txt").read_bytes() == repository.read(commit, "b.txt")


@pytest.mark.parametrize("init", [(), ("--object-format=sha256",)])
def test_both_id_formats_of_git_work_throughout(
    init: tuple[str, ...], make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(init=init)
    monkeypatch.setenv("HOME", str(bench.home))
    head = bench.git("rev-parse", "HEAD")
    assert len(head) == (64 if init else 40)
    spec = bench.attempt()
    assert (spec.path / "a.txt").read_bytes() == b"one\ntwo\n"
    (spec.path / "a.txt").write_text("changed\n")
    (spec.path / "b.txt").write_text("new\n")
    changes = bench.capture(spec)
    assert [(change.path, change.kind) for change in changes.changes] == [("a.txt", "modified"), ("b.txt", "added")]
    assert isinstance(merge(bench.repository, head, changes.commit), Merged)
    assert bench.repository.move("refs/heads/x", new=changes.commit, old=None, reason="x")
    bench.git("fsck", "--strict")


@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_clone_is_as_good(depth: int, bench: Workbench, make_bench: MakeBench) -> None:
    for number in range(4):
        bench.commit({"a.txt": f"{number}\n"})
    clone = make_bench("clone")
    clone.git("fetch", "-q", f"--depth={depth}", bench.root.as_uri(), "main")
    clone.git("checkout", "-q", "-f", "-B", "main", "FETCH_HEAD")
    base = clone.git("rev-parse", "HEAD")
    ours = clone.commit({"ours.txt": "x\n"})
    clone.git("checkout", "-q", "-b", "other", base)
    theirs = clone.commit({"theirs.txt": "x\n"})
    repository = clone.repository
    assert isinstance(merge(repository, ours, theirs), Merged)
    assert repository.is_ancestor(base, ours)
    assert not repository.is_ancestor(ours, theirs)
    spec = clone.attempt()
    (spec.path / "new.txt").write_text("x")
    assert [change.path for change in clone.capture(spec).changes] == ["new.txt"]


def test_packed_refs_and_objects_are_found(bench: Workbench) -> None:
    for number in range(3):
        bench.commit({f"{number}.txt": "x\n"})
        bench.git("branch", f"b{number}")
    bench.git("gc", "-q")
    repository = bench.repository
    head = bench.git("rev-parse", "HEAD")
    assert repository.commit("refs/heads/b2") == head
    assert set(repository.refs("refs/heads")) == {f"refs/heads/{name}" for name in ("b0", "b1", "b2", "main")}
    assert repository.move("refs/heads/b0", new=head, old=repository.commit("refs/heads/b0"), reason="x")
    assert len(repository.entries(head)) == 4


def test_a_repository_that_borrows_objects_works(bench: Workbench, tmp_path: Path) -> None:
    clone = tmp_path / "borrower"
    bench.git("clone", "-q", "--shared", str(bench.root), str(clone))
    repository = Repository.find(clone)
    repository.state.mkdir()
    assert [entry.path for entry in repository.entries(repository.commit("HEAD") or "")] == ["a.txt"]


def test_a_revision_that_is_none_is_none(bench: Workbench) -> None:
    repository = bench.repository
    blob = bench.git("rev-parse", "HEAD:a.txt")
    for revision in ("gone", "--all", "-h", "", "HEAD:a.txt", blob, "HEAD^{blob}", "0" * 40):
        assert repository.commit(revision) is None


def test_entries_have_modes_and_odd_names(bench: Workbench) -> None:
    names = ["new\nline", 'quo"te', "back\\slash", "tab\there", "caf\udce9", "ü", " space ", "-dash", ":colon"]
    for name in names:
        bench.write(name, name.encode(errors="surrogateescape"))
    (bench.root / "link").symlink_to("a.txt")
    bench.write("run", "x").chmod(0o755)
    head = bench.commit()
    found = bench.repository.entries(head)
    assert {entry.path for entry in found} == {*names, "a.txt", "link", "run"}
    assert bench.modes(head)["link"] == "120000"
    assert bench.modes(head)["run"] == "100755"
    for name in names:
        assert bench.repository.read(head, name) == name.encode(errors="surrogateescape")
    assert bench.repository.read(head, "link") == b"a.txt"
    assert bench.repository.read(head, "gone") is None
    assert quoted(names[4:5]) == b"caf\xe9\0"
    assert isinstance(found[0], Entry)


def test_a_ref_moves_only_from_where_it_was_expected(bench: Workbench) -> None:
    repository = bench.repository
    one, two = bench.git("rev-parse", "HEAD"), bench.commit({"b": "x"})
    assert repository.move("refs/heads/x", new=one, old=None, reason="r")
    assert not repository.move("refs/heads/x", new=two, old=None, reason="r")
    assert not repository.move("refs/heads/x", new=one, old=two, reason="r")
    assert repository.commit("refs/heads/x") == one
    assert repository.move("refs/heads/x", new=two, old=one, reason="the reason")
    assert "the reason" in bench.git("reflog", "show", "refs/heads/x")


def test_a_ref_below_another_one_cannot_be_made(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    assert not bench.repository.move("refs/heads/main/x", new=head, old=None, reason="r")


def test_a_ref_that_is_locked_for_good_is_an_error_not_a_lost_race(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "LOCK_PAUSES_S", (0.01,))
    one, two = bench.git("rev-parse", "HEAD"), bench.commit({"b": "x"})
    bench.git("update-ref", "refs/heads/x", one)
    (bench.root / ".git" / "refs" / "heads" / "x.lock").touch()
    with pytest.raises(GitError, match=r"update-ref.*lock"):
        bench.repository.move("refs/heads/x", new=two, old=one, reason="r")


def test_a_ref_that_is_locked_for_a_moment_is_waited_for(bench: Workbench) -> None:
    one, two = bench.git("rev-parse", "HEAD"), bench.commit({"b": "x"})
    bench.git("update-ref", "refs/heads/x", one)
    lock = bench.root / ".git" / "refs" / "heads" / "x.lock"
    lock.touch()
    with subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(0.4); os.unlink({str(lock)!r})"]):
        assert bench.repository.move("refs/heads/x", new=two, old=one, reason="r")


def test_git_that_does_not_answer_is_given_up(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    repository = bench.repository
    monkeypatch.setattr(door, "TIMEOUT_S", 0.3)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    begun = time.monotonic()
    with pytest.raises(GitError, match="no answer within"):
        repository.commit("HEAD")
    assert time.monotonic() - begun < 20


def test_a_failed_command_says_which_and_why(bench: Workbench) -> None:
    with pytest.raises(GitError, match=r"^git rev-parse --verify gone: .*Needed a single revision"):
        bench.repository.git("rev-parse", "--verify", "gone")


def test_worktrees_are_listed_with_what_they_have_checked_out(bench: Workbench) -> None:
    linked, detached, gone = (bench.root.with_name(name) for name in ("linked\ntree", "detached", "gone"))
    bench.git("worktree", "add", "-q", str(linked), "-b", "other")
    bench.git("worktree", "add", "-q", "--detach", str(detached))
    bench.git("worktree", "add", "-q", str(gone), "-b", "third")
    bench.git("worktree", "lock", str(detached))
    for path in sorted(gone.rglob("*"), reverse=True):
        path.unlink()
    gone.rmdir()
    assert sorted(bench.repository.worktrees()) == sorted(
        [(bench.root, "refs/heads/main"), (linked, "refs/heads/other"), (detached, "")]
    )


PLUMB = """
import sys
from pathlib import Path
from worktrees.git import Repository
repository = Repository.find(Path(sys.argv[1]))
repository.state.mkdir(exist_ok=True)
for _ in range(4):
    assert [entry.path for entry in repository.entries(sys.argv[2])] == ["a.txt"]
"""


def test_processes_that_meet_an_own_git_folder_half_made_do_no_harm(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    command = [sys.executable, "-c", PLUMB, str(bench.root), head]
    started = [
        subprocess.Popen(command, env={**bench.environment, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()


def test_an_own_git_folder_of_an_earlier_version_is_renewed(bench: Workbench) -> None:
    repository = bench.repository
    head = bench.git("rev-parse", "HEAD")
    repository.read(head, "a.txt")
    attributes = repository.state / "git" / "info" / "attributes"
    attributes.write_text("* -text -merge\n")
    repository.read(head, "a.txt")
    assert attributes.read_text() == door.RAW
    assert Path(repository.state / "git" / "HEAD").read_text() == "ref: refs/heads/none\n"
