from __future__ import annotations

from typing import TYPE_CHECKING

from worktrees.conflicts import SHOWN_LINES, hunks, meanwhile
from worktrees.merge import Conflict, merge

if TYPE_CHECKING:
    from tests.worktrees.conftest import Workbench

TEXT = "".join(f"line {number}\n" for number in range(60))


def clash(bench: Workbench, ours: str, theirs: str, *, message: str = "ours") -> tuple[str, str, Conflict]:
    base = bench.commit({"a.txt": TEXT, "b.txt": "untouched\n"})
    bench.write("a.txt", ours)
    one = bench.commit(message=message)
    bench.git("checkout", "-q", "-b", "other", base)
    bench.write("a.txt", theirs)
    found = merge(bench.repository, one, bench.commit())
    assert isinstance(found, Conflict)
    return base, one, found


def test_only_the_lines_in_conflict_are_shown(bench: Workbench) -> None:
    ours, theirs = TEXT.replace("line 30\n", "mine\n"), TEXT.replace("line 30\n", "yours\n")
    _, _, conflict = clash(bench, ours, theirs)
    lines = hunks(bench.repository, conflict).splitlines()
    assert lines[0] == "--- a.txt"
    assert {"mine", "yours", "line 27", "line 33"} <= set(lines)
    assert not {"line 26", "line 34", "line 0"} & set(lines)
    assert lines[1] == "@@ line 28"


def test_a_file_that_one_side_deleted_has_no_lines(bench: Workbench) -> None:
    base = bench.commit({"a.txt": TEXT})
    bench.write("a.txt", TEXT + "more\n")
    one = bench.commit()
    bench.git("checkout", "-q", "-b", "other", base)
    bench.git("rm", "-q", "a.txt")
    found = merge(bench.repository, one, bench.commit())
    assert isinstance(found, Conflict)
    assert found.paths == ("a.txt",)
    assert hunks(bench.repository, found) == ""


def test_a_conflict_of_thousands_of_lines_is_cut_and_says_so(bench: Workbench) -> None:
    many = [str(number) for number in range(3000)]
    _, _, conflict = clash(bench, "\n".join(f"a{line}" for line in many), "\n".join(f"b{line}" for line in many))
    lines = hunks(bench.repository, conflict).splitlines()
    assert len(lines) == SHOWN_LINES + 1
    assert lines[-1].endswith("more lines in conflict)")


def test_who_landed_on_the_same_files_is_named_by_ticket(bench: Workbench) -> None:
    message = "Tune it\n\nbecause\n\nTicket: T-0007\nFeature: F-0001\n"
    base, head, conflict = clash(bench, TEXT.replace("30", "x"), TEXT.replace("30", "y"), message=message)
    (landed,) = meanwhile(bench.repository, base=base, head=head, paths=conflict.paths)
    assert (landed.commit, landed.title, landed.ticket) == (head, "Tune it", "T-0007")
    assert meanwhile(bench.repository, base=base, head=head, paths=("b.txt",)) == []


def test_a_landing_by_a_merge_commit_counts_for_the_files_that_it_brought(bench: Workbench) -> None:
    base = bench.commit({"a.txt": TEXT, "b.txt": "b\n"})
    bench.git("checkout", "-q", "-b", "work")
    bench.commit({"a.txt": "changed\n"})
    bench.git("checkout", "-q", "main")
    bench.git("merge", "-q", "--no-ff", "-m", "Land it\n\nTicket: T-0001", "work")
    head = bench.git("rev-parse", "HEAD").strip()
    assert [one.ticket for one in meanwhile(bench.repository, base=base, head=head, paths=("a.txt",))] == ["T-0001"]
