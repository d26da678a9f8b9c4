"""What stands in a folder that an agent wrote: looked at without following links and without running git there."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Found:
    path: str
    """Relative to the folder, `/`-separated."""
    mode: str
    """Git's mode for files and symlinks; for anything else what it is: `fifo`, `socket`, `device`, `unreadable`."""
    size: int
    stamp: tuple[int, int, int, int]
    """Inode, size, mtime and ctime in nanoseconds. An agent can set the mtime back, but not the ctime."""
    links: int

    @property
    def special(self) -> bool:
        return not self.mode.isdigit()


def walk(folder: Path) -> Iterator[Found]:
    """Yield everything below the folder that is not itself a folder, symlinks as themselves, in no promised order."""
    todo = [""]
    while todo:
        prefix = todo.pop()
        try:
            rows = list(os.scandir(folder / prefix))
        except OSError:
            yield Found(path=prefix.rstrip("/"), mode="unreadable", size=0, stamp=(0, 0, 0, 0), links=0)
            continue
        for row in rows:
            path = f"{prefix}{row.name}"
            if row.is_dir(follow_symlinks=False):
                todo.append(f"{path}/")
            else:
                yield _found(path, row.stat(follow_symlinks=False))


def _found(path: str, status: os.stat_result) -> Found:
    stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Found(path=path, mode=_mode(status.st_mode), size=status.st_size, stamp=stamp, links=status.st_nlink)


def _mode(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "100755" if mode & stat.S_IXUSR else "100644"
    if stat.S_ISLNK(mode):
        return "120000"
    return {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode), "device")


def content(folder: Path, found: Found) -> bytes:
    """Read a file or the target of a symlink; raise OSError when it is neither any more."""
    path = folder / found.path
    if found.mode == "120000":
        return os.fsencode(path.readlink())
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def blob_id(folder: Path, found: Found, algorithm: str) -> str:
    """Compute git's id of a file's bytes without git."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    if found.mode == "120000":
        target = content(folder, found)
        digest.update(b"blob %d\0" % len(target) + target)
        return digest.hexdigest()
    descriptor = os.open(folder / found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        digest.update(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
