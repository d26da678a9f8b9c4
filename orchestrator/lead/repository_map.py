"""A map of the repository for the lead: files with sizes and symbols, tests, shared interfaces; sized, and saying what it leaves out.

What is dear, reading and parsing the files, is kept in the state folder under the hash of the tree; which of it fits into a brief is
decided for each request: what its words touch comes first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from memory.lessons import words
from orchestrator.lead.symbols import speaks, symbols_of
from tickets.globs import matches
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.workspace import Workspace
    from worktrees.git import Entry, Repository

VERSION = 1
"""Raised when a map of the same tree would read otherwise."""
CHARACTERS = 24_000
PARSED_FILES = 4_000
PARSED_BYTES = 48 << 20
LARGEST = 1 << 20
"""A larger file is listed, and not read."""
FOLDERS = 20
"""Folders that are named where files are left out."""
KEPT = 8
"""Maps of older trees that are kept."""
REGULAR = frozenset({"100644", "100755"})
_TEST = re.compile(r"(^|/)(tests?/|test_[^/]*$|[^/]*(_test|\.test|\.spec|Test)\.\w+$)")


@dataclass(frozen=True, kw_only=True)
class MappedFile:
    path: str
    size: int
    """Bytes; -1 for what is no regular file."""
    symbols: tuple[str, ...]
    """A line each: what it defines at its top."""
    read: bool
    """Whether they were looked for."""

    @property
    def is_test(self) -> bool:
        return bool(_TEST.search(self.path))


def mapped(workspace: Workspace, commit: str, request: str) -> str:
    """Give the map of the commit's tree as text, with what the request speaks of in the most detail."""
    files = _files(workspace, workspace.repository.tree(commit))
    return rendered(files, request=request, interfaces=workspace.policy.scope.shared_interfaces)


# reading, once for each tree


def _files(workspace: Workspace, tree: str) -> tuple[MappedFile, ...]:
    kept = workspace.state / "maps" / f"{tree}-{VERSION}.json"
    if (known := _kept(kept)) is not None:
        return known
    found = tuple(_read(workspace.repository, workspace.repository.entries(tree)))
    write_durably(kept, json.dumps([asdict(file) for file in found]).encode())
    _tidy(kept.parent)
    return found


def _kept(file: Path) -> tuple[MappedFile, ...] | None:
    """Give what is kept; None where there is nothing, or nothing that can be used: it is only a cache."""
    try:
        rows = json.loads(file.read_bytes())
        return tuple(MappedFile(**{**row, "symbols": tuple(row["symbols"])}) for row in rows)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tidy(folder: Path) -> None:
    for old in sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)


def _read(repository: Repository, entries: Sequence[Entry]) -> Iterator[MappedFile]:
    sizes = _sizes(repository, [entry.oid for entry in entries if entry.mode in REGULAR])
    wanted, room = set[str](), PARSED_BYTES
    for entry in entries:
        size = sizes.get(entry.oid, -1)
        if 0 <= size <= min(LARGEST, room) and speaks(entry.path) and len(wanted) < PARSED_FILES:
            wanted.add(entry.oid)
            room -= size
    texts = _texts(repository, sorted(wanted))
    for entry in entries:
        symbols = symbols_of(entry.path, texts[entry.oid]) if entry.oid in texts else ()
        size = sizes.get(entry.oid, -1) if entry.mode in REGULAR else -1
        yield MappedFile(path=entry.path, size=size, symbols=symbols, read=entry.oid in texts)


def _sizes(repository: Repository, oids: Sequence[str]) -> dict[str, int]:
    asked = "".join(f"{oid}\n" for oid in oids).encode()
    rows = repository.plumb("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked).text.splitlines()
    return {oid: int(size) for oid, _, size in (row.partition(" ") for row in rows) if size.isdigit()}


def _texts(repository: Repository, oids: Sequence[str]) -> dict[str, str]:
    """Read many blobs with one process."""
    out = repository.plumb("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode()).out
    found, place = {}, 0
    for oid in oids:
        start = out.index(b"\n", place) + 1
        end = start + int(out[place:start].split()[-1])
        found[oid] = out[start:end].decode(errors="replace")
        place = end + 1
    return found


# writing, for each request


def rendered(
    files: Sequence[MappedFile], *, request: str, interfaces: Sequence[str] = (), room: int = CHARACTERS
) -> str:
    """Write as much as fits: every file by its name first, then symbols where the request points to, then details."""
    shared = {file.path for file in files if matches(file.path, interfaces)}
    ranked = _ranked(files, request, shared)
    head = _head(files, shared)
    shown, left = _fitting(ranked, shared, room - len(head))
    lines = [shown[file.path] for file in files if file.path in shown]
    return "\n".join([head, "", *lines, *_left_out(files, shown, left)])


def _head(files: Sequence[MappedFile], shared: set[str]) -> str:
    tests = sum(file.is_test for file in files)
    unread = sum(not file.read and file.size >= 0 and speaks(file.path) for file in files)
    said = [f"{len(files)} files, {tests} of them tests (marked t), {len(shared)} shared interfaces (marked i)."]
    said += [f"{unread} source files are too large or too many to look into."] if unread else []
    return " ".join(said)


def _ranked(files: Sequence[MappedFile], request: str, shared: set[str]) -> list[MappedFile]:
    """Put first what shares words with the request, then interfaces, then code before its tests; names decide the rest."""
    wanted = words(request)

    def rank(file: MappedFile) -> tuple[int, bool, bool, int, str]:
        common = 3 * len(wanted & words(file.path)) + len(wanted & words(" ".join(file.symbols)))
        return -common, file.path not in shared, file.is_test, file.path.count("/"), file.path

    return sorted(files, key=rank)


def _fitting(ranked: Sequence[MappedFile], shared: set[str], room: int) -> tuple[dict[str, str], int]:
    """Give a line for each file that has a place, and how many of them had no place for all of their symbols."""
    shown: dict[str, str] = {}
    for detail in (0, 1, 2):
        kept = room // 8 if detail == 0 else 0  # some room for symbols, however many names there are
        for file in ranked:
            line = _line(file, shared, detail)
            more = len(line) + 1 - (len(shown[file.path]) + 1 if file.path in shown else 0)
            if (file.path in shown) == bool(detail) and more <= room - kept:
                shown[file.path] = line
                room -= more
    return shown, sum(shown[file.path] != _line(file, shared, 2) for file in ranked if file.path in shown)


def _line(file: MappedFile, shared: set[str], detail: int) -> str:
    mark = ("i" if file.path in shared else "") + ("t" if file.is_test else "")
    name = file.path if file.path.isprintable() else repr(file.path)
    head = f"{mark + ' ' if mark else ''}{name} ({_size(file.size)})"
    symbols = [line if detail > 1 else _bare(line) for line in file.symbols] if detail else []
    return f"{head}: {'; '.join(symbols)}" if symbols else head


def _bare(symbol: str) -> str:
    """Leave parameters, bases and methods out."""
    return re.split(r"[(:]", symbol, maxsplit=1)[0].strip()


def _size(size: int) -> str:
    if size < 0:
        return "a link or a submodule"
    return f"{size} B" if size < 1024 else f"{size / 1024:.0f} KiB"  # noqa: PLR2004 - bytes of a KiB


def _left_out(files: Sequence[MappedFile], shown: dict[str, str], shortened: int) -> Iterable[str]:
    missing = [file for file in files if file.path not in shown]
    folders = Counter(file.path.rpartition("/")[0] or "." for file in missing)
    if missing or shortened:
        yield ""
    if shortened:
        yield f"Left out for want of room: some or all symbols of {shortened} files."
    if missing:
        most = ", ".join(f"{folder} ({number})" for folder, number in folders.most_common(FOLDERS))
        more = f", and {len(folders) - FOLDERS} more folders" if len(folders) > FOLDERS else ""
        yield f"Left out for want of room: {len(missing)} files, in {most}{more}."
