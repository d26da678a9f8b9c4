"""Git objects, and refs of ours, that a power cut left empty or half there.

Git names an object as soon as it is written and syncs it later, if ever. One that is torn counts as present: its content
would never be written again, and every command that meets it fails.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees.locks import SLACK_S, made_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worktrees.git import Repository

FOLDER = "torn"
"""Where their remains are put, below the state folder."""
_FAN = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{38}|[0-9a-f]{62}")
_CHUNK = 1 << 20
OURS = ("refs/orchestrate", "refs/notes/orchestrate", "refs/heads/tickets")
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\n?|ref: [^\n]+\n?")


def put_aside(repository: Repository, *, since: float) -> list[str]:
    """Take torn objects made since our last journalled step out of git's sight; give their ids.

    `since` is in seconds since the epoch. What is older has been synced by us, or is not ours.
    """
    torn = [path for path in _recent(repository.common / "objects", since - SLACK_S) if _is_torn(path)]
    for path in torn:
        aside = repository.state / FOLDER / _name(path)
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)
    return [_name(path) for path in torn]


def refs_put_aside(repository: Repository, *, since: float) -> list[str]:
    """Take refs of ours that hold no id out of git's sight; give their names. What they were to hold was never acknowledged."""
    torn = [path for path in _refs(repository.common, since - SLACK_S) if not _ID.fullmatch(_text(path))]
    names = [path.relative_to(repository.common).as_posix() for path in torn]
    for path, name in zip(torn, names, strict=True):
        aside = repository.state / FOLDER / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)
    return names


def _refs(common: Path, oldest: float) -> Iterator[Path]:
    for place in (common / name for name in OURS):
        files = place.rglob("*") if place.is_dir() else (place,)
        yield from (path for path in files if path.is_file() and path.suffix != ".lock" and made_at(path) >= oldest)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace")
    except FileNotFoundError:
        return "ref: gone"


def _recent(objects: Path, oldest: float) -> Iterator[Path]:
    """Look only where something was made since: a folder bears the time of its newest entry."""
    for row in os.scandir(objects) if objects.is_dir() else ():
        if _FAN.fullmatch(row.name) and row.stat(follow_symlinks=False).st_mtime >= oldest:
            inner = (Path(row.path, name) for name in os.listdir(row.path) if _REST.fullmatch(name))  # noqa: PTH208 - names alone are wanted, of thousands of files
            yield from (path for path in inner if made_at(path) >= oldest)


def _name(path: Path) -> str:
    return path.parent.name + path.name


def _is_torn(path: Path) -> bool:
    """Say whether the file is not the object that its name promises."""
    name = _name(path)
    digest = hashlib.sha256() if len(name) == hashlib.sha256().digest_size * 2 else hashlib.sha1(usedforsecurity=False)
    unpacker = zlib.decompressobj()
    try:
        with path.open("rb") as stream:
            while data := stream.read(_CHUNK):
                digest.update(unpacker.decompress(data))
    except FileNotFoundError:
        return False
    except zlib.error:
        return True
    return digest.hexdigest() != name
