"""From one exact tree to another: what differs, taken from git's objects, and written by our own hand. No index is involved."""

from __future__ import annotations

import atexit
import os
import secrets
import stat
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from worktrees.engine import OBJECT_READER, object_answer
from worktrees.git import GitError
from worktrees.longrunning import LongRunning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from worktrees.git import Repository
    from worktrees.longrunning import Stream

FOLDER, SUBMODULE, SYMLINK, NOTHING = "040000", "160000", "120000", "000000"
TOGETHER = 64
"""Objects that are held in memory at once."""
PATCH = (
    *("-c", "core.bigFileThreshold=512k", "diff-tree", "--stdin", "-r", "-M", "--raw", "-p", "-z", "-U3"),
    *("--no-color", "--no-ext-diff", "--no-textconv"),
)
"""Files from half a megabyte on git only names: reading them for a diff costs more memory than a report is worth."""
MOST_OPEN = 2
"""Repositories for which processes of git are kept."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What differs between two trees."""

    gone: Mapping[str, str]
    """Paths that are not there any more, folders included, with the mode that they had."""
    made: Mapping[str, tuple[str, str]]
    """Paths that are new or different, folders included, with their mode and git's id of their content."""

    @property
    def files(self) -> dict[str, tuple[str, str]]:
        """What is to be written, without the folders that come with it."""
        return {path: one for path, one in self.made.items() if one[0] != FOLDER}

    @property
    def hidden(self) -> Iterator[str]:
        """The topmost paths that vanish without anything in their place."""
        for path in self.gone:
            if path not in self.made and not any(str(parent) in self.gone for parent in PurePosixPath(path).parents):
                yield path

    def __len__(self) -> int:
        return len(self.gone) + len(self.made)


NOTHING_DIFFERS = Delta(gone={}, made={})


class Trees:
    """Differences and contents of one repository, read by processes of git that stay; any thread may ask."""

    _opened: ClassVar[dict[Repository, Trees]] = {}
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._comparing = LongRunning(repository, "diff-tree", "--stdin", "-r", "-t", "-z", "--no-renames")
        self._reading = LongRunning(repository, *OBJECT_READER)
        self._showing = LongRunning(repository, *PATCH)

    @classmethod
    def of(cls, repository: Repository) -> Trees:
        """Give the ones of this process; those of a repository that was not used for longest end."""
        with cls._opening:
            found = cls._opened.pop(repository, None) or cls(repository)
            cls._opened[repository] = found
            if len(cls._opened) > MOST_OPEN:
                cls._opened.pop(next(iter(cls._opened))).close()
        return found

    @classmethod
    def close_all(cls) -> None:
        with cls._opening:
            while cls._opened:
                cls._opened.popitem()[1].close()

    def close(self) -> None:
        """End the processes; a later question starts new ones."""
        for process in (self._comparing, self._reading, self._showing):
            process.close()

    def difference(self, old: str, new: str) -> Delta | None:
        """Compare two trees; None where one of them is not to be had."""
        if old == new:
            return NOTHING_DIFFERS
        answer = _compared(self._comparing, old, new)
        return None if answer is None else _parsed(answer)

    def patch(self, old: str, new: str) -> bytes | None:
        """Compare two trees: names as `diff-tree --raw -z` gives them, then hunks; None where one of them is not to be had."""
        return _compared(self._showing, old, new)

    def read(self, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Give the bytes of files of a commit; what is no file there is left out."""
        plain = [path for path in paths if "\n" not in path]
        found: dict[str, bytes] = {}
        for start in range(0, len(plain), TOGETHER):
            some = plain[start : start + TOGETHER]
            questions = [os.fsencode(f"{commit}:{path}\n") for path in some]
            answers = self._reading.ask_all(questions, _named_answer)
            found |= {path: data for path, data in zip(some, answers, strict=True) if data is not None}
        odd = {path: self._repository.read(commit, path) for path in paths if "\n" in path}
        return found | {path: data for path, data in odd.items() if data is not None}

    def contents(self, oids: Sequence[str]) -> Iterator[bytes]:
        """Give the bytes of each object, in their order."""
        for oid, found in zip(oids, self.objects(oids), strict=True):
            if found is None:
                raise GitError(OBJECT_READER, f"the object {oid} is missing")
            yield found[1]

    def objects(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes] | None]:
        """Give kind and bytes of each object, in their order; None where there is none."""
        for start in range(0, len(oids), TOGETHER):
            some = oids[start : start + TOGETHER]
            yield from self._reading.ask_all([f"{oid}\n".encode() for oid in some], object_answer)


atexit.register(Trees.close_all)


def _compared(process: LongRunning, old: str, new: str) -> bytes | None:
    pair = f"{old} {new}\n".encode()
    end = f"end {secrets.token_hex(8)}\n".encode()  # what names no object is said again, after the answer
    answer = process.ask(pair + end, lambda stream: stream.field(end))
    return answer[len(pair) :] if answer.startswith(pair) else None


def _named_answer(stream: Stream) -> bytes | None:
    """Take the file that a name leads to; where there is none the name is said again, blanks and all."""
    head = stream.field(b"\n")
    if head.endswith((b" missing", b" ambiguous", b" submodule")):
        return None
    _, kind, size = head.split(b" ")
    data = stream.exactly(int(size))
    stream.exactly(1)
    return data if kind == b"blob" else None


def _parsed(data: bytes) -> Delta:
    gone, made = dict[str, str](), dict[str, tuple[str, str]]()
    words = data.split(b"\0")
    for head, name in zip(words[::2], words[1::2], strict=False):
        was, mode, _, oid, _ = os.fsdecode(head).removeprefix(":").split()
        path = os.fsdecode(name)
        if mode == NOTHING:
            gone[path] = was
        if mode != NOTHING:
            made[path] = (mode, oid)
    return Delta(gone=gone, made=made)


def write_layer(repository: Repository, delta: Delta, upper: Path) -> None:
    """Write the delta into an empty layer: a deletion becomes a whiteout."""
    for path in delta.hidden:
        whiteout(upper / path)
    write_files(repository, delta.files, upper)


def whiteout(place: Path) -> None:
    """Hide what the layers below have here."""
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(0, 0))


def write_into(repository: Repository, delta: Delta, folder: Path) -> None:
    """Turn a folder that holds exactly the old tree into one that holds the new one."""
    for path, mode in delta.gone.items():
        if mode not in {FOLDER, SUBMODULE}:
            (folder / path).unlink(missing_ok=True)
    for path in sorted(delta.gone, key=len, reverse=True):  # inner folders before outer ones
        if delta.gone[path] in {FOLDER, SUBMODULE}:
            (folder / path).rmdir()
    write_files(repository, delta.files, folder)


def write_files(repository: Repository, wanted: Mapping[str, tuple[str, str]], folder: Path) -> None:
    """Write files with their mode and content, in the place of other files where there are any."""
    for parent in {str(PurePosixPath(path).parent) for path in wanted}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    real = {path: one for path, one in wanted.items() if one[0] != SUBMODULE}
    contents = Trees.of(repository).contents([oid for _, oid in real.values()])
    for path in wanted.keys() - real.keys():
        (folder / path).mkdir(exist_ok=True)  # as git does for a submodule that nobody asked for
    for (path, (mode, _)), data in zip(real.items(), contents, strict=True):
        target = folder / path
        target.unlink(missing_ok=True)
        if mode == SYMLINK:
            target.symlink_to(os.fsdecode(data))
        else:
            _write(target, data, 0o777 if int(mode, 8) & stat.S_IXUSR else 0o666)


def _write(target: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
