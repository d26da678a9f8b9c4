"""What nobody knows is archived as a commit and moved to a trash folder; the trash is emptied of what git holds."""

from __future__ import annotations

import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from worktrees import files
from worktrees.changes import archive_names, is_hollow, quoted_path, write_blob
from worktrees.checkout import remove
from worktrees.durable import sync

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worktrees.git import Repository

RESCUED = "refs/orchestrate/rescue"
TRASH = ".trash"
LEFT_OUT = "left out: "
"""Begins the lines of a rescue's message that name what no commit can hold."""


@dataclass(frozen=True, kw_only=True)
class Rescued:
    """What nobody knew."""

    ref: str
    """Its files, as a commit; empty where they could not be written as one."""
    trash: Path
    """Where it is itself now."""
    left_out: tuple[str, ...]
    """What no commit holds: sockets, pipes, folders that cannot be read. It is in the trash alone."""


STRANGE = "found where nobody knew of it"


def put_away(repository: Repository, path: Path, *, worktrees: Path, why: str = STRANGE) -> Rescued:
    """Move a folder, file or link to the trash of the trees and archive it as a commit. Nothing is deleted, no link followed.

    Raise EnvironmentFailure where it cannot be moved; it then stays as it is.
    """
    name = f"{_safe(path.name)}-{time.strftime('%Y%m%dT%H%M%S')}-{time.monotonic_ns() % 10**6:06d}"
    trash = worktrees / TRASH / name
    try:
        trash.parent.mkdir(exist_ok=True)
        if _is_folder(path) and not os.access(path, os.W_OK):
            path.chmod(0o700)  # one that is closed to its owner cannot be moved
        path.rename(trash)
    except OSError as error:
        raise EnvironmentFailure(f"{str(path)!r} cannot be moved to {TRASH}: {error.strerror}") from error
    return _archived(repository, trash, said=f"{str(path)!r}, {why}")


def _archived(repository: Repository, trash: Path, *, said: str) -> Rescued:
    ref = f"{RESCUED}/{trash.name}"
    found = tuple(files.walk(trash)) if _is_folder(trash) else (files.found(trash.name, trash.lstat()),)
    folder = trash if _is_folder(trash) else trash.parent
    left_out = tuple(one.path for one in found if one.special or is_hollow(one))
    taken = [one for one in found if not (one.special or is_hollow(one))]
    lines = [said, "", *(f"{LEFT_OUT}{path!r}" for path in left_out), ""]
    try:
        commit = _commit(repository, folder, taken, message="\n".join(lines).encode())
    except OSError as error:
        return Rescued(ref="", trash=trash, left_out=(*left_out, f"{error.filename}: {error.strerror}"))
    sync(repository.common)
    repository.move(ref, new=commit, old=None, reason=said)
    return Rescued(ref=ref, trash=trash, left_out=left_out)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _safe(name: str) -> str:
    """Make the name of a ref of any name of a file."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)[:80].strip("-") or "_"


def _commit(repository: Repository, folder: Path, taken: Sequence[files.Found], *, message: bytes) -> str:
    """Write a commit without parents that holds exactly these files."""
    identity = repository.identity()
    who = f"{identity.name} <{identity.email}> {int(time.time())} +0000"
    with tempfile.TemporaryDirectory(dir=repository.state, prefix=f"index-{os.getpid()}-") as scratch:
        marks, orders = Path(scratch, "marks"), Path(scratch, "orders")
        with orders.open("w+b") as stream:
            for number, found in enumerate(taken, 2):
                write_blob(stream, folder, found, number)
            head = f"commit refs/scratch/rescue\nmark :1\ncommitter {who}\ndata {len(message)}\n"
            stream.write(head.encode() + message + b"\n")
            rows = enumerate(zip(taken, archive_names(taken), strict=True), 2)
            stream.writelines(b"M %s :%d %s\n" % (f.mode.encode(), n, quoted_path(path)) for n, (f, path) in rows)
            stream.write(b"\n")
            stream.seek(0)
            repository.plumb("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=stream)
        return dict(line.split() for line in marks.read_text().splitlines())[":1"]


# the trash


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """One thing in the trash."""

    path: Path
    age_s: float
    obstacle: str
    """Why it may not be deleted; empty where git holds all of it."""


def trash(repository: Repository, worktrees: Path) -> list[Discarded]:
    """List what is in the trash, and whether its files are all in git."""
    place = worktrees / TRASH
    if not place.is_dir() or place.is_symlink():
        return []
    told = _messages(repository)
    return [_discarded(path, told) for path in sorted(place.iterdir())]


def _messages(repository: Repository) -> dict[str, str]:
    listing = repository.git("for-each-ref", "--format=%(refname)%00%(contents)%00", RESCUED).out
    fields = os.fsdecode(listing).split("\0")
    return {ref.strip(): message for ref, message in zip(fields[::2], fields[1::2], strict=False)}


def _discarded(path: Path, told: dict[str, str]) -> Discarded:
    message = told.get(f"{RESCUED}/{path.name}")
    if message is None:
        obstacle = f"no commit {RESCUED}/{path.name} holds it"
    else:
        missing = sum(line.startswith(LEFT_OUT) for line in message.splitlines())
        obstacle = f"{missing} of its entries are in no commit" if missing else ""
    return Discarded(path=path, age_s=time.time() - path.lstat().st_ctime, obstacle=obstacle)


def empty(found: Sequence[Discarded]) -> list[Path]:
    """Delete what git holds."""
    gone = [one.path for one in found if not one.obstacle]
    for path in gone:
        remove(path)
    return gone
