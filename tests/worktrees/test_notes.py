"""Notes on commits: many at once, and over a ref whose last commit somebody cleaned up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worktrees.git import Repository
from worktrees.notes import attach

if TYPE_CHECKING:
    from demo_project import Demo

REF = "refs/notes/orchestrate"


def note_on(demo: Demo, commit: str) -> str:
    return demo.git("notes", f"--ref={REF}", "show", commit)


def test_each_commit_has_its_text_and_a_later_one_takes_its_place(demo: Demo) -> None:
    repository = Repository.find(demo.root)
    commits = [demo.commit("one", **{"one.txt": "1\n"}), demo.commit("two", **{"two.txt": "2\n"})]
    attach(repository, REF, dict(zip(commits, ("first\n", "second\n"), strict=True)))
    attach(repository, REF, {commits[1]: "later\n"})
    assert [note_on(demo, commit) for commit in commits] == ["first", "later"]
    assert demo.git("fsck", "--no-dangling") == ""


def test_notes_go_on_over_a_ref_whose_last_commit_is_gone(demo: Demo) -> None:
    repository = Repository.find(demo.root)
    commit = demo.commit("one", **{"one.txt": "1\n"})
    attach(repository, REF, {commit: "lost\n"})
    gone = demo.git("rev-parse", REF)
    place = demo.root / ".git" / "objects" / gone[:2] / gone[2:]
    assert place.is_file(), "written as a loose object"
    place.unlink()
    attach(repository, REF, {commit: "again\n"})
    assert note_on(demo, commit) == "again"
