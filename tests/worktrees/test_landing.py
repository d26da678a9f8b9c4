from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from worktrees.landing import Step, land, verify_landing
from worktrees.objects import object_id

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worktrees.conftest import Workbench


def chain(bench: Workbench, length: int = 3) -> tuple[list[str], list[str]]:
    """Commits that are no branch's, the first of which main stands on; and the trees of all but that."""
    bench.git("checkout", "-q", "--detach")
    heads = [bench.git("rev-parse", "HEAD")]
    for number in range(length):
        bench.git("checkout", "-q", "-b", f"side{number}", heads[0])
        side = bench.commit({f"d/n{number}": f"{number}\n"}, f"side {number}")
        bench.git("checkout", "-q", "--detach", heads[-1])
        bench.git("merge", "-q", "--no-ff", "-m", f"land {number}", side)
        heads.append(bench.git("rev-parse", "HEAD"))
    return heads, [bench.git("rev-parse", f"{head}^{{tree}}") for head in heads[1:]]


def steps(heads: list[str]) -> list[Step]:
    return [Step(old=old, new=new, reason=f"land {new[:7]}") for old, new in pairwise(heads)]


def place(bench: Workbench, oid: str) -> Path:
    return bench.root / ".git" / "objects" / oid[:2] / oid[2:]


def test_each_step_has_its_line_in_the_reflog(bench: Workbench) -> None:
    heads, trees = chain(bench)
    assert land(bench.repository, "main", steps(heads)) == 3
    assert bench.git("rev-parse", "main") == heads[-1]
    lines = bench.git("reflog", "show", "--format=%H %gs", "main").splitlines()
    assert lines[:3] == [f"{head} land {head[:7]}" for head in reversed(heads[1:])]
    assert verify_landing(bench.repository, old=heads[0], new=heads[-1], trees=trees) == ""


def test_a_landing_ends_where_somebody_else_moved_the_branch(bench: Workbench) -> None:
    heads, trees = chain(bench)
    other = bench.commit({"mine": "x\n"})
    assert land(bench.repository, "main", steps([heads[0], heads[1], other, heads[3]])) == 3
    bench.git("update-ref", "refs/heads/main", heads[2])
    assert land(bench.repository, "main", steps(heads)) == 0
    assert land(bench.repository, "main", [steps(heads)[2], steps(heads)[1]]) == 1
    assert bench.git("rev-parse", "main") == heads[3]
    assert verify_landing(bench.repository, old=heads[2], new=heads[3], trees=trees[2:]) == ""


def test_no_step_moves_nothing(bench: Workbench) -> None:
    head = bench.git("rev-parse", "main")
    assert land(bench.repository, "main", []) == 0
    assert verify_landing(bench.repository, old=head, new=head, trees=[]) == ""


def test_trees_that_were_not_judged_are_found(bench: Workbench) -> None:
    heads, trees = chain(bench)
    other = bench.git("rev-parse", f"{heads[0]}^{{tree}}")
    for wrong in (trees[:2], trees[1:], [*trees, other], [trees[0], other, trees[2]], trees[::-1], []):
        assert "not the" in verify_landing(bench.repository, old=heads[0], new=heads[-1], trees=wrong)


def test_a_line_that_does_not_begin_at_the_old_head_is_found(bench: Workbench) -> None:
    heads, trees = chain(bench)
    stranger = bench.git("commit-tree", "-m", "x", trees[0])
    rootless = bench.git("commit-tree", "-m", "x", "-p", stranger, trees[1])
    for new, judged in ((stranger, trees[:1]), (rootless, trees[:2])):
        assert "does not stand on" in verify_landing(bench.repository, old=heads[0], new=new, trees=judged)


@pytest.mark.parametrize(
    "what", ["{head}", "{head}^2", "{head}^{{tree}}", "{head}:d", "{head}:d/n2", "{head}^2^{{tree}}"]
)
@pytest.mark.parametrize("how", ["missing", "other content", "torn"])
def test_an_object_that_is_gone_or_damaged_is_found(what: str, how: str, bench: Workbench) -> None:
    heads, trees = chain(bench)
    oid = bench.git("rev-parse", what.format(head=heads[-1]))
    file = place(bench, oid)
    kind, body = bench.git("cat-file", "-t", oid), zlib.decompress(file.read_bytes()).partition(b"\0")[2]
    file.chmod(0o644)
    if how == "missing":
        file.unlink()
    elif how == "other content":
        file.write_bytes(zlib.compress(object_id(kind, swapped(body), digits=40)[1]))
    else:
        file.write_bytes(file.read_bytes()[:-6])
    assert verify_landing(bench.repository, old=heads[0], new=heads[-1], trees=trees) != ""


def swapped(body: bytes) -> bytes:
    """The same with another last byte: still an object of its kind."""
    return body[:-1] + bytes([body[-1] ^ 1])


def test_what_was_there_before_is_not_looked_at_again(bench: Workbench) -> None:
    old = bench.git("rev-parse", "HEAD:a.txt")
    heads, trees = chain(bench)
    file = place(bench, old)
    file.chmod(0o644)
    file.unlink()
    assert verify_landing(bench.repository, old=heads[0], new=heads[-1], trees=trees) == ""
