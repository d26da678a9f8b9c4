from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from demo_project import ROOT
from tickets.errors import InputError
from worktrees.following import follow, followers
from worktrees.git import GitError
from worktrees.landing import Step, land
from worktrees.merge import Conflict, Merged, commit_tree, merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worktrees.conftest import Workbench

TEXT = "".join(f"line {number}\n" for number in range(30))
FILES: dict[str, bytes | str] = {
    "a.txt": TEXT,
    "b.txt": TEXT.upper(),
    "bin": b"\0\1" * 500,
    "d/x": "x\n",
    "keep": "kept\n",
}


def diverge(bench: Workbench, ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[str, str]:
    """Two commits on one base, made by two functions that change the worktree."""
    base = bench.commit(FILES)
    ours()
    one = bench.commit()
    bench.git("checkout", "-q", "-b", "other", base)
    theirs()
    other = bench.commit()
    bench.git("checkout", "-q", "main")
    return one, other


def test_changes_of_different_files_merge(bench: Workbench) -> None:
    one, other = diverge(bench, lambda: bench.write("a.txt", "ours\n"), lambda: bench.write("n.txt", "theirs\n"))
    merged = merge(bench.repository, one, other)
    assert isinstance(merged, Merged)
    commit = commit_tree(bench.repository, merged.tree, parents=(one, other), message="both\n")
    assert bench.content(commit) == {
        **{k: v.encode() if isinstance(v, str) else v for k, v in FILES.items()},
        "a.txt": b"ours\n",
        "n.txt": b"theirs\n",
    }


def test_changes_of_different_places_in_one_file_merge(bench: Workbench) -> None:
    one, other = diverge(
        bench,
        lambda: bench.write("a.txt", TEXT.replace("line 2\n", "ours\n")),
        lambda: bench.write("a.txt", TEXT.replace("line 27\n", "theirs\n")),
    )
    merged = merge(bench.repository, one, other)
    assert isinstance(merged, Merged)
    commit = commit_tree(bench.repository, merged.tree, parents=(one,), message="x\n")
    assert bench.content(commit)["a.txt"].decode() == TEXT.replace("line 2\n", "ours\n").replace(
        "line 27\n", "theirs\n"
    )


def test_an_edit_follows_a_rename(bench: Workbench) -> None:
    one, other = diverge(
        bench,
        lambda: bench.git("mv", "a.txt", "moved.txt"),
        lambda: bench.write("a.txt", TEXT.replace("line 27\n", "theirs\n")),
    )
    merged = merge(bench.repository, one, other)
    assert isinstance(merged, Merged)
    commit = commit_tree(bench.repository, merged.tree, parents=(one,), message="x\n")
    assert b"theirs\n" in bench.content(commit)["moved.txt"]


@pytest.mark.parametrize(
    ("name", "paths", "said"),
    [
        ("content", {"a.txt"}, "Merge conflict in a.txt"),
        ("both add", {"new\nline.txt"}, "Merge conflict in new\nline.txt"),
        ("modify and delete", {"a.txt"}, "deleted in"),
        ("rename and rename", {"a.txt", "one.txt", "two.txt"}, "renamed to one.txt"),
        ("binary", {"bin"}, "Merge conflict in bin"),
        ("folder and file", {"n"}, "n"),
        ("two files", {"a.txt", "b.txt"}, "Merge conflict in b.txt"),
    ],
)
def test_a_conflict_names_its_paths(name: str, paths: set[str], said: str, bench: Workbench) -> None:
    sides: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "content": (lambda: bench.write("a.txt", "ours\n"), lambda: bench.write("a.txt", "theirs\n")),
        "both add": (lambda: bench.write("new\nline.txt", "ours\n"), lambda: bench.write("new\nline.txt", "theirs\n")),
        "modify and delete": (lambda: bench.write("a.txt", TEXT + "x\n"), lambda: bench.git("rm", "-q", "a.txt")),
        "rename and rename": (lambda: bench.git("mv", "a.txt", "one.txt"), lambda: bench.git("mv", "a.txt", "two.txt")),
        "binary": (lambda: bench.write("bin", b"\0ours"), lambda: bench.write("bin", b"\0theirs")),
        "folder and file": (lambda: bench.write("n/f", "x"), lambda: bench.write("n", "x")),
        "two files": (
            lambda: (bench.write("a.txt", "ours\n"), bench.write("b.txt", "ours\n")),
            lambda: (bench.write("a.txt", "theirs\n"), bench.write("b.txt", "theirs\n")),
        ),
    }
    one, other = diverge(bench, *sides[name])
    found = merge(bench.repository, one, other)
    assert isinstance(found, Conflict)
    assert paths <= {path.split("~")[0] for path in found.paths}
    assert len(found.paths) == len(set(found.paths))
    assert said in found.message
    assert "CONFLICT" in found.message


def test_what_is_no_commit_cannot_be_merged(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    with pytest.raises(GitError):
        merge(bench.repository, head, "0" * 40)


def test_a_merge_touches_neither_worktree_nor_refs(bench: Workbench) -> None:
    one, other = diverge(bench, lambda: bench.write("a.txt", "ours\n"), lambda: bench.write("b.txt", "x\n"))
    bench.write("keep", "dirty\n")
    repository = bench.repository
    repository.entries(one)  # makes the folder of ours
    before = bench.git("status", "--porcelain"), bench.git("for-each-ref")
    merge(repository, one, other)
    assert (bench.git("status", "--porcelain"), bench.git("for-each-ref")) == before


def test_a_commit_bears_the_name_of_the_person(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    commit = commit_tree(
        bench.repository, bench.repository.tree(head), parents=(head,), message="title\n\nTicket: T-0001\n"
    )
    assert bench.git("log", "-1", "--format=%an|%ae|%cn|%ce|%B", commit).startswith(
        "Ada|ada@example.org|Ada|ada@example.org|title"
    )
    assert bench.git("log", "-1", "--format=%(trailers:key=Ticket,valueonly)", commit) == "T-0001"


# landing

RACER = """
import sys, time
from pathlib import Path
from worktrees.git import Repository
from worktrees.landing import Step, land
from worktrees.merge import commit_tree
repository = Repository.find(Path(sys.argv[1]))
repository.state.mkdir(exist_ok=True)
head = repository.commit("refs/heads/main")
new = commit_tree(repository, repository.tree(head), parents=(head,), message=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(land(repository, "main", [Step(old=head, new=new, reason="race")]))
"""


def test_each_round_of_a_race_has_one_winner(bench: Workbench) -> None:
    environment = {**bench.environment, "PYTHONPATH": str(ROOT)}
    for number in range(3):
        command = [sys.executable, "-c", RACER, str(bench.root)]
        before = bench.git("rev-parse", "main")
        racers = [
            subprocess.Popen(
                [*command, f"racer {racer}"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for racer in range(8)
        ]
        assert [racer.stdout and racer.stdout.readline() for racer in racers] == ["ready\n"] * 8
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = [racer.communicate(timeout=120)[0].strip() for racer in racers]
        assert sorted(said) == ["0"] * 7 + ["1"]
        assert bench.git("rev-parse", "main~1") == before
        assert bench.git("rev-list", "--count", "main") == str(number + 2)
        assert bench.git("log", "-1", "--format=%s", "main") == f"racer {said.index('1')}"


def test_a_branch_that_moved_is_not_moved(bench: Workbench) -> None:
    old = bench.git("rev-parse", "HEAD")
    new = bench.commit({"n": "x"})
    assert not land(bench.repository, "main", [Step(old=old, new=new, reason="late")])
    assert bench.git("rev-parse", "main") == new


# the person's worktrees


def step(bench: Workbench) -> tuple[str, str]:
    """A base that is checked out, and a commit on it that is not: changes a.txt, removes d/x, adds n.txt."""
    old = bench.commit(FILES)
    bench.git("checkout", "-q", "-b", "work")
    bench.write("a.txt", "new\n")
    bench.git("rm", "-q", "d/x")
    bench.write("n.txt", "new\n")
    new = bench.commit()
    bench.git("checkout", "-q", "main")
    return old, new


def landed(bench: Workbench, old: str, new: str) -> str:
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert land(bench.repository, "main", [Step(old=old, new=new, reason="land")])
    return follow(found, old=old, new=new)


def test_a_clean_worktree_follows(bench: Workbench) -> None:
    old, new = step(bench)
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert (found.path, found.changed, found.obstacle) == (bench.root, (), "")
    assert landed(bench, old, new) == ""
    assert bench.git("status", "--porcelain", "--", ".", ":(exclude).orchestrate") == ""
    assert (bench.root / "a.txt").read_text() == "new\n"
    assert not (bench.root / "d").exists()


def test_a_file_that_was_only_touched_is_no_obstacle(bench: Workbench) -> None:
    old, new = step(bench)
    (bench.root / "a.txt").write_text(TEXT)
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert (found.changed, found.obstacle) == ((), "")


def test_a_dirty_worktree_keeps_what_the_landing_does_not_touch(bench: Workbench) -> None:
    old, new = step(bench)
    bench.write("keep", "dirty\n")
    bench.write("b.txt", "staged\n")
    bench.git("add", "b.txt")
    bench.write("b.txt", "staged and more\n")
    bench.write("untracked", "mine\n")
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert (set(found.changed), found.obstacle) == ({"keep", "b.txt"}, "")
    assert landed(bench, old, new) == ""
    assert bench.git("status", "--porcelain", "--", ".", ":(exclude).orchestrate").splitlines() == [
        "MM b.txt",
        " M keep",
        "?? untracked",
    ]
    assert (bench.root / "b.txt").read_text() == "staged and more\n"
    assert bench.git("show", ":b.txt") == "staged"
    assert (bench.root / "a.txt").read_text() == "new\n"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("changed", "a.txt"),
        ("staged", "a.txt"),
        ("removed meanwhile", "d/x"),
        ("untracked", "n.txt"),
        ("ignored", "n.txt"),
        ("ignored folder", "n.txt"),
        ("folder", "n.txt"),
    ],
)
def test_what_the_landing_would_overwrite_is_an_obstacle_and_stays(name: str, path: str, bench: Workbench) -> None:
    old, new = step(bench)
    if name.startswith("ignored"):
        (bench.root / ".git" / "info" / "exclude").write_text("n.txt\n")
    bench.write(f"{path}/inner" if name.endswith("folder") else path, "mine\n")
    if name == "staged":
        bench.git("add", path)
    before = (
        bench.git("status", "--porcelain", "-uall", "--ignored", "--", ".", ":(exclude).orchestrate"),
        bench.git("diff", "HEAD"),
    )
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert path in found.obstacle
    assert follow(found, old=old, new=new) != ""
    assert (
        bench.git("status", "--porcelain", "-uall", "--ignored", "--", ".", ":(exclude).orchestrate"),
        bench.git("diff", "HEAD"),
    ) == before
    assert (bench.root / (f"{path}/inner" if name.endswith("folder") else path)).read_text() == "mine\n"


def test_only_worktrees_that_have_the_branch_follow(bench: Workbench) -> None:
    old, new = step(bench)
    linked, detached = bench.root.with_name("linked"), bench.root.with_name("detached")
    bench.git("worktree", "add", "-q", "--detach", str(detached))
    bench.git("checkout", "-q", "work")
    bench.git("worktree", "add", "-q", str(linked), "main")
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert (found.path, found.obstacle) == (linked, "")
    assert land(bench.repository, "main", [Step(old=old, new=new, reason="x")])
    assert follow(found, old=old, new=new) == ""
    assert (linked / "a.txt").read_text() == "new\n"
    assert bench.git("status", "--porcelain", cwd=linked) == ""
    assert (detached / "a.txt").read_text() == TEXT
    bench.git("worktree", "remove", "--force", str(linked))
    assert followers(bench.repository, "main", old=old, new=new) == []


@pytest.mark.parametrize("where", ["local", "global", "xdg"])
def test_a_worktree_with_line_ends_of_the_persons_choice_follows(where: str, bench: Workbench) -> None:
    old, new = step(bench)
    if where == "local":
        bench.git("config", "core.autocrlf", "true")
    elif where == "global":
        bench.git("config", "--global", "core.autocrlf", "true")
    else:
        config = bench.home / ".config" / "git" / "config"
        config.parent.mkdir(parents=True)
        (bench.home / ".gitconfig").rename(config)
        bench.git("config", "--file", str(config), "core.autocrlf", "true")
    for path in ("a.txt", "b.txt", "keep"):
        (bench.root / path).unlink()
    bench.git("checkout", "-q", "-f", "HEAD", "--", ".")
    assert b"\r\n" in (bench.root / "keep").read_bytes()
    (found,) = followers(bench.repository, "main", old=old, new=new)
    assert (found.changed, found.obstacle) == ((), "")
    assert landed(bench, old, new) == ""
    assert (bench.root / "a.txt").read_bytes() == b"new\r\n"
    assert bench.git("status", "--porcelain", "--", ".", ":(exclude).orchestrate") == ""


def test_no_hook_of_the_person_runs_when_a_worktree_follows(bench: Workbench) -> None:
    old, new = step(bench)
    touched = bench.home / "touched"
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        hook = bench.root / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{touched}'\n")
        hook.chmod(0o755)
    assert landed(bench, old, new) == ""
    assert not touched.exists()


def test_nobody_to_commit_as_is_told_before_anything_moves(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    (bench.home / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    with pytest.raises(InputError):
        commit_tree(bench.repository, bench.repository.tree(head), parents=(head,), message="x")
