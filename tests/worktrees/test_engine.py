from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from demo_project import ROOT
from worktrees.changes import between
from worktrees.engine import MergeEngine
from worktrees.git import GitError
from worktrees.locks import remove_stale
from worktrees.longrunning import LongRunning, SilentError
from worktrees.merge import Conflict, Merged, commit_tree, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.worktrees.conftest import Workbench

TEXT = "".join(f"line {number}\n" for number in range(30))
Side = dict[str, str | None]
BASE: Side = {
    "a.txt": TEXT,
    "b.txt": TEXT.upper(),
    "d/x": "x\n" * 20,
    "d/y": "y\n" * 20,
    "tool": "#!/bin/sh\n",
    "odd \n\t\"'\\ü": TEXT,
    "CONFLICT": TEXT,
}
CASES: dict[str, tuple[Side, Side]] = {
    "nothing in common": ({"a.txt": "ours\n"}, {"b.txt": "theirs\n"}),
    "two places of one file": ({"a.txt": "ours\n" + TEXT}, {"a.txt": TEXT + "theirs\n"}),
    "text": ({"a.txt": "ours\n"}, {"a.txt": "theirs\n"}),
    "two texts": ({"a.txt": "ours\n", "b.txt": "ours\n"}, {"a.txt": "theirs\n", "b.txt": "theirs\n"}),
    "renamed on both sides": ({"a.txt": None, "one": TEXT}, {"a.txt": None, "two": TEXT}),
    "edit of a renamed file": ({"a.txt": None, "one": TEXT}, {"a.txt": TEXT + "theirs\n"}),
    "changed and deleted": ({"a.txt": TEXT + "x\n"}, {"a.txt": None}),
    "folder and file": ({"n/f": "x\n"}, {"n": "x\n"}),
    "added twice": ({"n": "ours\n"}, {"n": "theirs\n"}),
    "new file in a moved folder": (
        {"d/x": None, "d/y": None, "e/x": "x\n" * 20, "e/y": "y\n" * 20},
        {"d/new": "new\n"},
    ),
    "odd name": ({"odd \n\t\"'\\ü": "ours\n"}, {"odd \n\t\"'\\ü": "theirs\n"}),
    "a name that git's messages have": ({"CONFLICT": "ours\n"}, {"CONFLICT": "theirs\n"}),
    "mode": ({"tool": "+x"}, {"tool": None}),
    "link": ({"a.txt": "-> b.txt"}, {"a.txt": TEXT + "x\n"}),
    "the same on both sides": ({"a.txt": "same\n"}, {"a.txt": "same\n"}),
}


def apply(bench: Workbench, side: Side) -> None:
    for path, text in side.items():
        if text is None:
            (bench.root / path).unlink()
        elif text == "+x":
            (bench.root / path).chmod(0o755)
        elif text.startswith("-> "):
            (bench.root / path).unlink()
            (bench.root / path).symlink_to(text[3:])
        else:
            bench.write(path, text)


def branch(bench: Workbench, base: str, side: Side) -> str:
    bench.git("checkout", "-q", "--detach", base)
    apply(bench, side)
    return bench.commit()


@pytest.fixture(scope="module")
def sides(
    tmp_path_factory: pytest.TempPathFactory, template: Path, workbench: type[Workbench]
) -> tuple[Workbench, dict[str, tuple[str, str]]]:
    """A repository with two commits for every case; nobody changes it."""
    folder = tmp_path_factory.mktemp("sides")
    shutil.copytree(template, folder / "repo")
    shutil.copy(template.parent / ".gitconfig", folder)
    bench = workbench(folder / "repo", folder)
    apply(bench, BASE)
    base = bench.commit()
    return bench, {name: (branch(bench, base, one), branch(bench, base, other)) for name, (one, other) in CASES.items()}


@pytest.fixture
def engine(bench: Workbench) -> Iterator[MergeEngine]:
    with MergeEngine(bench.repository) as made:
        yield made


def test_every_merge_gives_the_value_that_one_process_gives(
    sides: tuple[Workbench, dict[str, tuple[str, str]]],
) -> None:
    bench, cases = sides
    kinds = set()
    with MergeEngine(bench.repository) as engine:
        for name, (one, other) in cases.items():
            for ours, theirs in ((one, other), (other, one)):
                found = engine.merge(ours, theirs)
                assert found == merge(bench.repository, ours, theirs), name
                kinds.add(type(found))
                assert engine.conflicts([(ours, theirs)]) == [isinstance(found, Conflict)]
        assert len(engine.pids) == 2
    assert kinds == {Merged, Conflict}


def test_every_change_set_is_the_one_that_one_process_gives(
    sides: tuple[Workbench, dict[str, tuple[str, str]]],
) -> None:
    bench, cases = sides
    with MergeEngine(bench.repository) as engine:
        for one, other in cases.values():
            for base, commit in ((one, other), (one, one), (f"{bench.git('rev-parse', f'{one}^')}", other)):
                assert engine.changes(base, commit) == between(bench.repository, base, commit)


def test_a_commit_is_byte_for_byte_what_git_writes(bench: Workbench, engine: MergeEngine) -> None:
    one = bench.git("rev-parse", "HEAD")
    two = bench.commit({"n": "x"})
    tree = engine.tree(two)
    messages = [
        "title\n\nTicket: T-0001\n",
        "",
        "no end",
        "\n\n",
        "ünïcode ☃ 🚂\n",
        "ends in blanks  \n\n\n",
        "\ufdd0 \ufffe",
    ]
    lines = ((), (one,), (one, two), (two, one, two))
    for parents, message in (*((line, "title\n") for line in lines), *(((one,), message) for message in messages)):
        made = engine.commit(tree, parents=parents, message=message)
        moment = bench.git("show", "-s", "--format=%ad", "--date=raw", made)
        env = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment, **bench.repository.identity().environment()}
        assert made == commit_tree(bench.repository, tree, parents=parents, message=message, env=env)
    assert bench.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Asia/Kathmandu"])
def test_a_commit_bears_local_time(
    zone: str, bench: Workbench, engine: MergeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        head = bench.git("rev-parse", "HEAD")
        made = engine.commit(engine.tree(head), parents=(head,), message="x\n")
        seconds, offset = bench.git("show", "-s", "--format=%at %ad", "--date=format:%z", made).split()
        assert offset == time.strftime("%z", time.localtime(int(seconds)))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("name", ["Ada Lovelace", "Ädä ☃", 'o\'Neil "Bob" \\ Smith', "José\udcff"])
def test_a_person_of_any_name_is_written_as_git_writes_them(name: str, bench: Workbench) -> None:
    config = (
        f'[user]\n\tname = "{name.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"\n\temail = a@b\n'
    )
    (bench.home / ".gitconfig").write_bytes(os.fsencode(config))
    head = bench.git("rev-parse", "HEAD")
    repository = bench.repository
    with MergeEngine(repository) as engine:
        made = engine.commit(engine.tree(head), parents=(head,), message="x\n")
    written = commit_tree(repository, repository.tree(head), parents=(head,), message="x\n")
    shown = [bench.git("cat-file", "commit", one).splitlines()[:4] for one in (made, written)]
    assert [line.rpartition("> ")[0] for line in shown[0]] == [line.rpartition("> ")[0] for line in shown[1]]
    assert "> " in shown[0][2]


@pytest.mark.slow
def test_a_rehearsal_has_the_same_id_whenever_it_is_written(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    found = set()
    for _ in range(2):
        with MergeEngine(bench.repository) as engine:
            found.add(engine.commit(engine.tree(head), parents=(head,), message="x\n", rehearsal=True))
        threading.Event().wait(1.1)
    (made,) = found
    # history is walked by date: a rehearsal must not be older than what it stands on
    assert bench.git("show", "-s", "--format=%ct", made) == bench.git("show", "-s", "--format=%ct", head)


def test_a_chain_of_cars_is_what_git_merge_makes(bench: Workbench, engine: MergeEngine) -> None:
    base = bench.commit({f"f{number}": TEXT for number in range(8)})
    cars = [branch(bench, base, {f"f{number}": TEXT + "car\n", f"new{number}": "x\n"}) for number in range(8)]
    head = base
    for car in cars:
        merged = engine.merge(head, car)
        assert isinstance(merged, Merged)
        head = engine.commit(merged.tree, parents=(head, car), message="rehearsal\n", rehearsal=True)
    bench.git("checkout", "-q", "--detach", base)
    for car in cars:
        bench.git("merge", "-q", "--no-edit", car)
    assert bench.git("rev-parse", "HEAD^{tree}") == engine.tree(head)


def test_a_repository_of_sha256_ids(make_bench: Callable[..., Workbench]) -> None:
    bench = make_bench(init=("-b", "main", "--object-format=sha256"))
    base = bench.commit({"a.txt": TEXT})
    three: list[Side] = [{"a.txt": "ours\n"}, {"a.txt": "theirs\n"}, {"n": "n\n"}]
    one, other, third = (branch(bench, base, side) for side in three)
    with MergeEngine(bench.repository) as engine:
        assert engine.merge(one, other) == merge(bench.repository, one, other)
        merged = engine.merge(one, third)
        assert isinstance(merged, Merged)
        made = engine.commit(merged.tree, parents=(one, third), message="x\n")
        assert len(made) == 64
        assert engine.changes(base, made) == between(bench.repository, base, made)
    assert bench.git("fsck", "--strict", "--no-dangling") == ""
    assert bench.content(made)["a.txt"] == b"ours\n"


def test_a_commit_that_cannot_be_written_is_an_error(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    tree = engine.tree(head)
    made = engine.commit(tree, parents=(head,), message="x\n", rehearsal=True)
    objects = bench.root / ".git" / "objects"
    (objects / made[:2] / made[2:]).unlink()
    shutil.rmtree(objects / made[:2])
    (objects / made[:2]).write_text("a file where git has a folder\n")
    with pytest.raises(GitError, match="hash-object"):
        engine.commit(tree, parents=(head,), message="x\n", rehearsal=True)


@pytest.mark.parametrize("name", ["HEAD", "main", "", "0" * 39, "A" * 40, "0" * 40 + "\n" + "0" * 40, "-" * 40])
def test_only_full_ids_are_asked_for(name: str, bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    with pytest.raises(GitError):
        engine.merge(head, name)
    with pytest.raises(GitError):
        engine.tree(name)
    assert engine.merge(head, head) == Merged(tree=engine.tree(head))


def test_what_is_missing_is_an_error_and_the_next_question_is_answered(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    tree = bench.git("rev-parse", "HEAD^{tree}")
    for _ in range(2):
        with pytest.raises(GitError, match="merge-tree"):
            engine.merge(head, "0" * 40)
        with pytest.raises(GitError, match="no such object"):
            engine.tree("0" * 40)
        with pytest.raises(GitError, match="not a commit"):
            engine.tree(tree)
        assert engine.merge(head, head) == Merged(tree=tree)


def test_a_tree_that_is_missing_is_not_taken_for_an_empty_change(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    made = engine.commit("1" * 40, parents=(head,), message="x\n")
    with pytest.raises(GitError, match="cannot be read"):
        engine.changes(head, made)


def test_a_rehearsal_of_words_that_git_converts_has_the_same_id_too(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    made = engine.commit(engine.tree(head), parents=(head,), message="\ufdd0\n", rehearsal=True)
    lines = bench.git("cat-file", "commit", made).splitlines()
    date = bench.git("show", "-s", "--format=%ct", head)
    assert lines[2:4] == [f"{role} Signalbox <signalbox@localhost> {date} +0000" for role in ("author", "committer")]


# processes that die


def test_a_killed_process_is_started_anew(bench: Workbench, engine: MergeEngine) -> None:
    base = bench.git("rev-parse", "HEAD")
    one, other = branch(bench, base, {"a.txt": "ours\n"}), branch(bench, base, {"a.txt": "theirs\n"})
    expected = engine.merge(one, other)
    assert isinstance(expected, Conflict)
    for _ in range(3):
        engine.changes(one, other)
        for pid in engine.pids:
            os.kill(pid, signal.SIGKILL)
        assert engine.merge(one, other) == expected
        assert engine.changes(one, other) == between(bench.repository, one, other)


def test_a_process_killed_in_the_middle_of_a_question_is_asked_again(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    expected = engine.merge(head, head)
    first = engine.pids[0]
    os.kill(first, signal.SIGSTOP)  # it has the question, and does not answer
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(engine.merge, head, head)
        threading.Event().wait(0.1)
        assert not answer.done()
        os.kill(first, signal.SIGKILL)
        assert answer.result(timeout=20) == expected
    assert engine.pids[0] != first


def test_silence_is_an_error_and_the_late_answer_is_taken_for_no_other(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    reader = LongRunning(bench.repository, "cat-file", "--batch-check")
    try:
        expected = reader.ask(f"{head}\n".encode(), lambda stream: stream.field(b"\n"))
        assert reader.pid
        os.kill(reader.pid, signal.SIGSTOP)
        with pytest.raises(SilentError):
            reader.ask(b"HEAD\n", lambda stream: stream.field(b"\n"), timeout_s=0.1)
        assert reader.ask(f"{head}\n".encode(), lambda stream: stream.field(b"\n")) == expected
    finally:
        reader.close()


def test_a_listener_that_fails_leaves_nothing_for_the_next_question(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    reader = LongRunning(bench.repository, "cat-file", "--batch-check")
    with pytest.raises(ZeroDivisionError):
        reader.ask(f"{head}\n".encode(), lambda stream: 1 // (len(stream.exactly(1)) - 1))
    answer = reader.ask(f"{head}\n".encode(), lambda stream: stream.field(b"\n"))
    reader.close()
    assert answer.startswith(f"{head} commit".encode())


def test_git_that_keeps_its_answers_back_is_asked_once_for_each_merge(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `stdbuf`, git before 2.49 answers only when its buffer is full."""
    programs = tmp_path / "bin"
    programs.mkdir()
    git = shutil.which("git")
    assert git
    (programs / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("worktrees.engine.PROBE_S", 0.3)
    base = bench.git("rev-parse", "HEAD")
    one, other = branch(bench, base, {"a.txt": "ours\n"}), branch(bench, base, {"a.txt": "theirs\n"})
    with MergeEngine(bench.repository) as engine:
        assert engine.merge(one, other) == merge(bench.repository, one, other)
        assert engine.merge(one, base) == merge(bench.repository, one, base)


def test_nothing_is_left_running_or_open(bench: Workbench) -> None:
    head = bench.git("rev-parse", "HEAD")
    me = psutil.Process()
    before = me.num_fds()
    with MergeEngine(bench.repository) as engine:
        engine.merge(head, head)
        engine.changes(head, head)
        engine.conflicts([(head, head)])
        pids = engine.pids
        assert len(pids) == 4
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert engine.pids == []
    assert me.num_fds() == before


HOLDER = """
import sys
from pathlib import Path
from worktrees.engine import MergeEngine
from worktrees.git import Repository
repository = Repository.find(Path(sys.argv[1]))
engine = MergeEngine(repository)
head = repository.commit("HEAD")
engine.merge(head, head)
print(*engine.pids, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_killed_harness_leaves_no_process(bench: Workbench) -> None:
    assert bench.repository
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(bench.root)],
        env={**bench.environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        processes = [psutil.Process(int(pid)) for pid in holder.stdout.readline().split()]
        holder.kill()
    assert processes
    assert psutil.wait_procs(processes, timeout=10)[1] == []


# others at work


def test_a_lock_that_a_crash_left_is_removed_while_the_engine_is_at_work(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    engine.merge(head, head)
    lock = bench.root / ".git" / "refs" / "heads" / "main.lock"
    lock.touch()
    assert remove_stale(bench.repository, since=time.time()) == [str(lock)]
    assert engine.pids


def test_two_threads_get_their_own_answers(bench: Workbench, engine: MergeEngine) -> None:
    base = bench.git("rev-parse", "HEAD")
    one = branch(bench, base, {"a.txt": "ours\n"})
    sides: list[Side] = [{"a.txt": f"{number}\n"} if number % 2 else {f"n{number}": "x\n"} for number in range(6)]
    others = [branch(bench, base, side) for side in sides]
    expected = {other: (merge(bench.repository, one, other), between(bench.repository, one, other)) for other in others}
    asked = others * 15

    def ask(other: str) -> bool:
        return (engine.merge(one, other), engine.changes(one, other)) == expected[other]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, asked))
    assert len(engine.pids) == 3


def test_a_person_who_collects_garbage_meanwhile_is_not_noticed(bench: Workbench, engine: MergeEngine) -> None:
    base = bench.commit({f"f{number}": TEXT for number in range(3)})
    head = base
    for number in range(3):
        car = branch(bench, base, {f"f{number}": TEXT + "car\n"})
        bench.git("branch", f"car{number}", car)
        merged = engine.merge(head, car)
        assert isinstance(merged, Merged)
        head = engine.commit(merged.tree, parents=(head, car), message="rehearsal\n", rehearsal=True)
        bench.git("gc", "-q")
    bench.git("branch", "-f", "main", head)
    assert bench.git("rev-list", "--first-parent", "--count", f"{base}..main") == "3"
    assert bench.git("fsck", "--strict", "--no-dangling") == ""
    before = engine.pids
    bench.git("repack", "-adq")
    assert engine.merge(head, base) == Merged(tree=engine.tree(head))
    assert engine.pids == before


def test_what_was_thrown_away_with_all_garbage_is_an_error(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    made = engine.commit(engine.tree(head), parents=(head,), message="x\n", rehearsal=True)
    bench.git("reflog", "expire", "--expire=all", "--all")
    bench.git("gc", "-q", "--prune=now")
    with pytest.raises(GitError):
        engine.merge(head, made)
    assert engine.commit(engine.tree(head), parents=(head,), message="x\n", rehearsal=True) == made
    assert engine.merge(head, made) == Merged(tree=engine.tree(head))


def test_writing_a_commit_again_makes_it_young(bench: Workbench, engine: MergeEngine) -> None:
    head = bench.git("rev-parse", "HEAD")
    made = engine.commit(engine.tree(head), parents=(head,), message="x\n", rehearsal=True)
    place = bench.root / ".git" / "objects" / made[:2] / made[2:]
    os.utime(place, (1, 1))
    assert engine.commit(engine.tree(head), parents=(head,), message="x\n", rehearsal=True) == made
    bench.git("prune", "--expire=1.day.ago")
    assert place.is_file()
    assert place.stat().st_mode & 0o777 == 0o444
