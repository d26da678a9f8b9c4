"""Merges, commits and change sets for a train of changes: nothing is checked out, and one more costs next to nothing.

Each kind of question has one git process that goes on answering; commits are written by `worktrees.objects`.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

from worktrees.changes import compared
from worktrees.footprints import Footprint
from worktrees.git import GitError, Identity
from worktrees.longrunning import LongRunning, SilentError
from worktrees.merge import Conflict, Merged, commit_tree, conflict, merge
from worktrees.objects import Head, commit_body, parse_commit, write_commit, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worktrees.changes import Change, ChangeSet
    from worktrees.footprints import Pair
    from worktrees.git import Repository
    from worktrees.longrunning import Stream

PROBE_S = 5.0
"""A merge of a commit with itself is answered in a millisecond, or kept back for ever."""
REHEARSING = Identity(name="Signalbox", email="signalbox@localhost")
KNOWN = 10_000
Key = TypeVar("Key")
Value = TypeVar("Value")
# trees of predicted heads are soon garbage: packing them costs more than the merge
MERGE = ("-c", "core.looseCompression=0", "merge-tree", "--stdin", "--name-only")
OBJECT_READER = ("cat-file", "--batch")
DIFF = ("-r", "-M", "--raw", "--numstat", "-z")
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class MergeEngine:
    """Merges and writes commits for one repository; a context manager, safe to use from several threads.

    Commits are named by their full ids. A process that dies is started anew, and its question asked again.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._merging = LongRunning(repository, *MERGE)
        self._trying = LongRunning(repository, *MERGE, "--no-messages")
        self._reading = LongRunning(repository, *OBJECT_READER)
        self._comparing = LongRunning(repository, "diff-tree", "--stdin", *DIFF)
        self._processes = (self._merging, self._trying, self._reading, self._comparing)
        self._heads: _Memory[str, Head] = _Memory()
        self._footprints: _Memory[Pair, Footprint] = _Memory()
        self._conflicts: _Memory[Pair, bool] = _Memory()
        self._probing = threading.Lock()
        self._answers_at_once: bool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; a later question starts new ones."""
        for process in self._processes:
            process.close()

    @property
    def pids(self) -> list[int]:
        """The processes that are at work for it now."""
        return [process.pid for process in self._processes if process.pid]

    def merge(self, ours: str, theirs: str) -> Merged | Conflict:
        """Merge two commits in memory; a conflict is a value."""
        question = f"{_full(ours)} {_full(theirs)}\n".encode()
        if not self._interactive(theirs):
            return merge(self.repository, ours, theirs)
        return self._merging.ask(question, _merge_answer)

    def _interactive(self, commit: str) -> bool:
        """Find out whether this git answers at once, or keeps answers back until its buffer is full."""
        with self._probing:
            if self._answers_at_once is None:
                question = f"{commit} {commit}\n".encode()
                try:
                    self._merging.ask(question, _merge_answer, timeout_s=PROBE_S)
                    self._answers_at_once = True
                except SilentError:
                    self._answers_at_once = False
            return self._answers_at_once

    def commit(self, tree: str, *, parents: tuple[str, ...], message: str, rehearsal: bool = False) -> str:
        """Write a commit object; no ref moves. As a rehearsal, equal content gives the equal id whenever it is written."""
        if rehearsal:
            # not a date from long ago: git walks history by date, and would go through all of it to find this one
            date = max((self.head(parent).date for parent in parents), default=0)
            person, zone = REHEARSING, "+0000"
        else:
            date, person = int(time.time()), self.repository.identity()
            zone = zone_of(date)
        head = Head(_full(tree), date, tuple(_full(parent) for parent in parents))
        body = commit_body(head, message, person=person, zone=zone)
        if body is None:
            moments = {"GIT_AUTHOR_DATE": f"{date} {zone}", "GIT_COMMITTER_DATE": f"{date} {zone}"}
            env = {**person.environment(), **moments}
            return commit_tree(self.repository, tree, parents=parents, message=message, env=env)
        oid = write_commit(self.repository, body, digits=len(tree))
        self._heads.keep(oid, head)
        return oid

    def head(self, commit: str) -> Head:
        """Give tree, date and parents of a commit."""
        return self.heads([commit])[0]

    def heads(self, commits: Sequence[str]) -> list[Head]:
        """Give tree, date and parents of many commits."""
        return self._heads.of(commits, self._read_heads)

    def _read_heads(self, commits: Sequence[str]) -> list[Head]:
        answers = self._reading.ask_all([f"{_full(commit)}\n".encode() for commit in commits], object_answer)
        return [_head_of(commit, answer) for commit, answer in zip(commits, answers, strict=True)]

    def tree(self, commit: str) -> str:
        return self.head(commit).tree

    def changes(self, base: str, commit: str, evidence: Iterable[Change] = ()) -> ChangeSet:
        """Compare two commits; `evidence` are changes that are not in the commit."""
        tree = self.tree(commit)
        raw = self._compare(self.tree(base), tree)
        return compared(raw, base=base, commit=commit, tree=tree, evidence=evidence)

    def footprints(self, pairs: Sequence[Pair]) -> list[Footprint]:
        """Give the paths that may conflict with what lies between two commits of the target; each is read once."""
        return self._footprints.of(pairs, lambda new: [Footprint.of(self.changes(*pair).changes) for pair in new])

    def conflicts(self, pairs: Sequence[Pair]) -> list[bool]:
        """Say of each two commits whether they cannot be merged; every pair is merged once."""
        return self._conflicts.of(pairs, self._conflicting)

    def _conflicting(self, pairs: Sequence[Pair]) -> list[bool]:
        questions = [f"{_full(ours)} {_full(theirs)}\n".encode() for ours, theirs in pairs]
        if pairs and not self._interactive(pairs[0][0]):
            return [isinstance(self.merge(ours, theirs), Conflict) for ours, theirs in pairs]
        return self._trying.ask_all(questions, _conflict_answer)

    def _compare(self, old: str, new: str) -> bytes:
        """Compare two trees; a line that names no object is given back by git, and ends the answer."""
        question, end = f"{old} {new}\n".encode(), f"end {secrets.token_hex(8)}\n".encode()
        answer = self._comparing.ask(question + end, lambda stream: stream.field(end))
        if not answer.startswith(question):  # git says nothing at all of a tree that it cannot read
            raise GitError(("diff-tree", old, new), "one of the trees cannot be read")
        return answer[len(question) :]


class _Memory(dict[Key, Value]):
    """What is known for good; all of it is dropped once it is much. Any thread may use it."""

    def keep(self, key: Key, value: Value) -> None:
        if len(self) >= KNOWN:
            self.clear()
        self[key] = value

    def of(self, keys: Sequence[Key], ask: Callable[[list[Key]], Sequence[Value]]) -> list[Value]:
        """Give the value of each key; `ask` is asked for those that are not known."""
        found = {key: value for key in keys if (value := self.get(key)) is not None}
        new = [key for key in dict.fromkeys(keys) if key not in found]
        for key, value in zip(new, ask(new), strict=True):
            found[key] = value
            self.keep(key, value)
        return [found[key] for key in keys]


def _full(oid: str) -> str:
    if not _ID.fullmatch(oid):
        raise GitError(("merge-tree",), f"{oid!r} is not the full id of an object")
    return oid


def _merge_answer(stream: Stream) -> Merged | Conflict:
    clean = stream.field() == b"1"
    tree = stream.field().decode()
    if clean:
        stream.field()
        return Merged(tree=tree)
    paths = []
    while path := stream.field():
        paths.append(os.fsdecode(path))
    messages: list[str] = []
    while fields := _message(stream):
        messages += fields
    return conflict(tree, paths=paths, messages=messages)


def _message(stream: Stream) -> list[str]:
    """Take one message: a count, so many paths, its kind, its text; nothing where the answer ends."""
    count = stream.field()
    return [os.fsdecode(stream.field()) for _ in range(int(count) + 2)] if count else []


def _conflict_answer(stream: Stream) -> bool:
    """Take the answer of a merge that is to tell only whether it goes; tree and paths in conflict are read past."""
    clean = stream.field() == b"1"
    while stream.field():
        pass
    return not clean


def _head_of(commit: str, answer: tuple[str, bytes] | None) -> Head:
    if answer is None:
        raise GitError(("cat-file", commit), "there is no such object")
    kind, body = answer
    if kind != "commit":
        raise GitError(("cat-file", commit), f"it is a {kind}, not a commit")
    return parse_commit(body)


def object_answer(stream: Stream) -> tuple[str, bytes] | None:
    """Take kind and bytes of an object; None where there is none."""
    head = stream.field(b"\n").decode().split()
    if len(head) != 3:  # noqa: PLR2004 - id, kind, size; `missing` has no size
        return None
    body = stream.exactly(int(head[2]))
    stream.exactly(1)
    return head[1], body
