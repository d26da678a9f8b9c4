"""Folders of logs that become one compressed file each: written, read back and compared, and only then removed."""

from __future__ import annotations

import hashlib
import os
import tarfile
from io import BytesIO
from typing import IO, TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from worktrees import files
from worktrees.checkout import remove
from worktrees.durable import sync

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".tar.gz"


def pack(folder: Path, archive: Path) -> None:
    """Move what is in the folder into the archive; raise EnvironmentFailure, and leave it, where that cannot hold all of it.

    What an earlier archive of that name holds is unpacked first, so that nothing in it is lost.
    """
    found = {one.path: one for one in files.walk(folder)}
    if special := sorted(path for path, one in found.items() if one.special):
        raise EnvironmentFailure(f"{folder} stays as it is: no archive holds {special[0]!r}")
    if archive.is_file():
        unpack(archive, folder)
    archive.parent.mkdir(parents=True, exist_ok=True)
    ready = archive.with_name(f"{archive.name}.{os.getpid()}.tmp")
    try:
        with tarfile.open(ready, "w:gz", compresslevel=6) as target:
            target.add(folder, arcname=".")  # links as links
        if _held(ready) != _standing(folder):
            raise EnvironmentFailure(f"{folder} changed while it was packed; it stays as it is")
        ready.replace(archive)
    except OSError as error:
        raise EnvironmentFailure(f"{folder} could not be packed: {error}") from error
    finally:
        ready.unlink(missing_ok=True)
    sync(archive.parent)
    remove(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Put back what the archive holds, beside what is in the folder now; a file that is there stays as it is.

    Each file comes whole or not at all: it is written elsewhere, and moved.
    """
    scratch = archive.with_name(f"{archive.name}.unpacked.{os.getpid()}.tmp")
    remove(scratch)
    with tarfile.open(archive, "r:gz") as source:
        source.extractall(scratch, filter="tar")
    for one in files.walk(scratch):
        target = folder / one.path
        if not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch / one.path).rename(target)
    sync(folder.parent)
    remove(scratch)


def _held(archive: Path) -> dict[str, str]:
    with tarfile.open(archive, "r:gz") as source:
        return {os.path.normpath(one.name): _content(source, one) for one in source if not one.isdir()}


def _content(source: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = source.extractfile(member) if member.isreg() else None
    return _digest(stream or BytesIO(os.fsencode(member.linkname)))


def _standing(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in files.walk(folder):
        with files.opened(folder, one) as stream:
            found[one.path] = _digest(stream)
    return found


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(files.CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
