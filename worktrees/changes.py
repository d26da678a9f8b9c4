"""The complete change set: what an attempt did, computed by the harness against the recorded base commit."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal

from tickets.globs import matches
from worktrees import files
from worktrees.checkout import Checkout, archive_ref, stamps_of
from worktrees.ignored import Ignored
from worktrees.layer import contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from worktrees.git import Entry, Repository

Kind = Literal[
    "added", "modified", "deleted", "renamed", "mode", "symlink", "submodule", "special", "git", "byproduct", "outside"
]
LANDS: frozenset[str] = frozenset({"added", "modified", "deleted", "renamed", "mode", "symlink", "submodule"})
SUBMODULE, SYMLINK = "160000", "120000"
HOLES = 8 << 20
"""Bytes of holes that one file may have: what is on disk is bounded while an attempt runs, what only seems to be is not."""


@dataclass(frozen=True, kw_only=True)
class Change:
    path: str
    kind: Kind
    """`byproduct` is new and ignored by git at the base, `special` is neither file nor link, `git` a planted
    repository, `outside` was written outside the tree. None of these four lands; all are evidence."""
    added: int = 0
    deleted: int = 0
    """Lines; 0 for binary files."""
    old_path: str = ""
    """Where a renamed file came from."""
    binary: bool = False
    note: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the change touches: a rename also deletes."""
        return (self.path, self.old_path) if self.old_path else (self.path,)


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    base: str
    commit: str
    """The commit that would land: the base and what may be taken of the attempt."""
    tree: str
    changes: tuple[Change, ...]

    @cached_property
    def landing(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind in LANDS)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ChangeSet:
        return cls(**{**data, "changes": tuple(Change(**change) for change in data["changes"])})


def between(repository: Repository, base: str, commit: str, evidence: Iterable[Change] = ()) -> ChangeSet:
    """Compare two commits; `evidence` are changes that are not in the commit."""
    raw = repository.plumb("diff-tree", "-r", "-M", "--raw", "--numstat", "-z", "--no-commit-id", base, commit).out
    return compared(raw, base=base, commit=commit, tree=repository.tree(commit), evidence=evidence)


def compared(raw: bytes, *, base: str, commit: str, tree: str, evidence: Iterable[Change]) -> ChangeSet:
    """Make a change set of what `git diff-tree --raw --numstat -z` says."""
    ordered = tuple(sorted((*_parsed(raw), *evidence), key=lambda change: change.path))
    return ChangeSet(base=base, commit=commit, tree=tree, changes=ordered)


def _parsed(raw: bytes) -> Iterator[Change]:
    fields = iter(os.fsdecode(raw).split("\0"))
    kinds: dict[str, tuple[Kind, str]] = {}
    for field in fields:
        if field.startswith(":"):
            old_mode, new_mode, _, _, status = field[1:].split(" ")
            old_path = next(fields) if status[0] in "RC" else ""
            kinds[next(fields)] = (_kind(old_mode, new_mode, status[0]), old_path if status[0] == "R" else "")
        elif field:
            added, deleted, path = field.split("\t", 2)
            if not path:
                next(fields)
                path = next(fields)
            kind, old_path = kinds[path]
            binary = added == "-"
            lines = (0, 0) if binary else (int(added), int(deleted))
            yield Change(path=path, kind=kind, old_path=old_path, binary=binary, added=lines[0], deleted=lines[1])


def _kind(old_mode: str, new_mode: str, status: str) -> Kind:
    modes = {old_mode, new_mode}
    if SUBMODULE in modes:
        return "submodule"
    if SYMLINK in modes:
        return "symlink"
    named: dict[str, Kind] = {"A": "added", "C": "added", "D": "deleted", "R": "renamed"}
    if status in named:
        return named[status]
    return "modified" if old_mode == new_mode else "mode"


# capturing an attempt


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What stands in the tree, sorted by what becomes of it."""

    taken: tuple[files.Found, ...]
    byproducts: tuple[files.Found, ...]
    refused: tuple[Change, ...]
    evidence: tuple[files.Found, ...]
    """Files and links among the refused: they never land, and their bytes are kept."""
    deleted: tuple[str, ...]
    kept: tuple[Entry, ...] = ()
    """What the start has besides the base and nobody touched: git knows its bytes already."""


def capture(
    repository: Repository, spec: Checkout, *, claims: Sequence[str], outside: Iterable[Change] = ()
) -> ChangeSet:
    """Archive everything the attempt wrote and give its change set; repeating it gives the same.

    `claims` are the globs of the ticket's scope: what they name is taken even where git ignores it.
    """
    survey = _survey(repository, spec, claims)
    archive, commit = _import(repository, spec, survey)
    commit = _archived(repository, spec, archive=archive, commit=commit)
    dropped = (
        Change(path=found.path, kind="byproduct", note="ignored by git at the base; kept in the archive")
        for found in survey.byproducts
    )
    return between(repository, spec.base, commit, (*survey.refused, *dropped, *outside))


def _archived(repository: Repository, spec: Checkout, *, archive: str, commit: str) -> str:
    """Point the attempt's ref at the archive, whose second parent is what may land; give that."""
    ref = archive_ref(spec)
    before = repository.commit(ref)
    if before is not None:
        landing = repository.commit(f"{ref}^2")
        same = repository.tree(before) == repository.tree(archive)
        if landing and same and repository.tree(landing) == repository.tree(commit):
            return landing
    repository.move(ref, new=archive, old=before, reason=f"attempt {spec.attempt} of {spec.ticket}")
    return commit


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """What stands in the tree: all of it where it was written out, what differs from the start where it is a layer."""

    found: tuple[files.Found, ...]
    kept: tuple[Entry, ...]
    """Entries of the start that stand as they were, of a layer alone."""
    gone: frozenset[str]
    """Paths of the base that are not there."""


def _stand(spec: Checkout, base: dict[str, Entry], start: dict[str, Entry]) -> _Stand:
    if spec.layer is None:
        found = tuple(files.walk(spec.path))
        return _Stand(found=found, kept=(), gone=frozenset(base) - {one.path for one in found})
    seen = contents(spec.layer)
    standing = {path: entry for path, entry in start.items() if not seen.hides(path)}
    gone = frozenset(base) - standing.keys() - {one.path for one in seen.written}
    kept = tuple(entry for path, entry in standing.items() if entry != base.get(path))
    return _Stand(found=seen.written, kept=kept, gone=gone)


def _survey(repository: Repository, spec: Checkout, claims: Sequence[str]) -> _Survey:
    base = {entry.path: entry for entry in repository.entries(spec.base)}
    start = base if spec.start == spec.base else {entry.path: entry for entry in repository.entries(spec.start)}
    stamps = stamps_of(repository, spec)
    algorithm = "sha1" if len(spec.base) == 40 else "sha256"  # noqa: PLR2004 - hex digits of the two id formats
    taken, refused, evidence = [], [], []
    stand = _stand(spec, base, start)
    for found in stand.found:
        untouched = stamps.get(found.path) == found.stamp
        if untouched and (found.path not in start or start[found.path] == base.get(found.path)):
            continue  # as it was written, or brought along by `copy`, `link` and `setup`
        if reason := _refusal(found, base):
            refused.append(reason)
            evidence += [] if found.special or is_hollow(found) else [found]
        elif _same(spec, found, base.get(found.path), algorithm):
            continue
        else:
            taken.append(found)
    rules = [path for path, entry in base.items() if entry.mode != SYMLINK]  # git follows no link to rules either
    new = [found.path for found in taken if found.path not in base and not matches(found.path, claims)]
    ignored = Ignored(repository, spec.base, rules).among(new) if new else set()
    return _Survey(
        taken=tuple(found for found in taken if found.path not in ignored),
        byproducts=tuple(found for found in taken if found.path in ignored),
        refused=tuple(refused),
        evidence=tuple(evidence),
        deleted=tuple(path for path in stand.gone if base[path].mode != SUBMODULE),
        kept=stand.kept,
    )


_DOT_GIT = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)
_LINK_REFUSED = re.compile(r"\.gitmodules[ .]*(?::.*)?$|gi.*~[0-9]+$", re.IGNORECASE | re.DOTALL)
_UNSEEN = dict.fromkeys((*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF))


def _stands_for_git(part: str) -> bool:
    """Say whether a name is `.git` on some system, so that git itself would not check out a tree that has it."""
    return any(_DOT_GIT.fullmatch(piece) for piece in part.translate(_UNSEEN).split("\\"))


def _refusal(found: files.Found, base: dict[str, Entry]) -> Change | None:
    """Say why a thing in the tree can never be taken, whatever the scope says."""
    parts = PurePosixPath(found.path).parts
    if any(_stands_for_git(part) for part in parts):
        return Change(path=found.path, kind="git", note="a git repository or its files inside the tree")
    if found.mode == SYMLINK and any(_LINK_REFUSED.match(part) for part in parts):
        return Change(path=found.path, kind="git", note="a symlink with a name that git refuses for symlinks")
    if note := _unfit(found):
        return Change(path=found.path, kind="special", note=note)
    for depth in range(1, len(parts)):
        entry = base.get("/".join(parts[:depth]))
        if entry and entry.mode == SUBMODULE:
            return Change(path=found.path, kind="submodule", note=f"inside the submodule {entry.path}")
    return None


def _unfit(found: files.Found) -> str:
    """Say why this is no file that can be taken in, or give an empty string."""
    if found.special:
        return f"{found.mode}: neither a regular file nor a symlink"
    if found.mode != SYMLINK and found.links > 1:
        return "a hard link: its content may belong to another file"
    if is_hollow(found):
        return f"{found.size} bytes, of which {found.held} are on disk: holes cost their writer nothing, and all others the whole"
    return ""


def is_hollow(found: files.Found) -> bool:
    return found.size > found.held + HOLES


def _same(spec: Checkout, found: files.Found, entry: Entry | None, algorithm: str) -> bool:
    if entry is None or entry.mode != found.mode:
        return False
    return files.blob_id(spec.written, found, algorithm) == entry.oid


def _import(repository: Repository, spec: Checkout, survey: _Survey) -> tuple[str, str]:
    """Write two commits on the base in one go: all that was written, and what may be taken of it."""
    identity = repository.identity()
    who = f"{identity.name} <{identity.email}> {int(time.time())} +0000"
    marks = repository.state / "checkouts" / f"{spec.ticket}-{spec.attempt}.marks"
    ref = f"refs/scratch/{spec.ticket}/{spec.attempt}"
    everything = (*survey.taken, *survey.byproducts, *survey.evidence)
    names = archive_names(everything)
    with tempfile.TemporaryFile(dir=repository.state) as stream:
        for mark, found in enumerate(everything, 10):
            write_blob(stream, spec.written, found, mark)
        for mark, what, count in (
            (2, "what may land", len(survey.taken)),
            (1, "all that was written", len(everything)),
        ):
            message = f"{spec.subject}\n\n{spec.ticket} attempt {spec.attempt}, {what}\n".encode()
            stream.write(f"commit {ref}\nmark :{mark}\ncommitter {who}\n".encode())
            stream.write(b"data %d\n%s" % (len(message), message) + f"from {spec.base}\n".encode())
            stream.write(b"merge :2\n" if mark == 1 else b"")
            stream.writelines(b"D %s\n" % quoted_path(path) for path in survey.deleted)
            stream.writelines(
                b"M %s %s %s\n" % (one.mode.encode(), one.oid.encode(), quoted_path(one.path)) for one in survey.kept
            )
            rows = enumerate(zip(everything[:count], names, strict=False), 10)
            stream.writelines(b"M %s :%d %s\n" % (f.mode.encode(), m, quoted_path(name)) for m, (f, name) in rows)
            stream.write(b"\n")
        stream.seek(0)
        repository.plumb("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=stream)
    ids = dict(line.split() for line in marks.read_text().splitlines())
    marks.unlink()
    return ids[":1"], ids[":2"]


def write_blob(stream: IO[bytes], folder: Path, found: files.Found, mark: int) -> None:
    with files.opened(folder, found) as source:
        stream.write(b"blob\nmark :%d\ndata %d\n" % (mark, source.seek(0, os.SEEK_END)))
        source.seek(0)
        shutil.copyfileobj(source, stream, files.CHUNK)
    stream.write(b"\n")


def archive_names(everything: Sequence[files.Found]) -> list[str]:
    """Give each file the path it has in the archive: its own, with `dot-git` for a `.git` that no tree may hold."""
    taken = {
        str(place) for found in everything for place in (PurePosixPath(found.path), *PurePosixPath(found.path).parents)
    }
    return [_archive_name(PurePosixPath(found.path).parts, taken) for found in everything]


def _archive_name(parts: tuple[str, ...], taken: set[str]) -> str:
    path = ""
    for part in parts:
        name = f"{path}dot-{part.lstrip('.')}" if _stands_for_git(part) else f"{path}{part}"
        while _stands_for_git(part) and name in taken:
            name += "~"
        path = f"{name}/"
    return path.removesuffix("/")


def quoted_path(path: str) -> bytes:
    raw = os.fsencode(path)
    body = b"".join(b"\\%03o" % byte if byte < 0x20 or byte in b'"\\' else bytes([byte]) for byte in raw)  # noqa: PLR2004 - controls
    return b'"%s"' % body
