"""What stands in a folder that an agent wrote: looked at without following links and without running git there."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    held: int = 0
    """Bytes on disk; far fewer than its size when it is mostly holes."""

    @property
    def special(self) -> bool:
        return not self.mode.isdigit()


def walk(folder: Path) -> Iterator[Found]:
    """Yield everything below the folder that is not itself a folder, symlinks as themselves, in no promised order."""
    todo = [""]
    while todo:
        prefix = todo.pop()
        place = folder / prefix
        try:
            if not os.access(place, os.R_OK | os.X_OK):
                place.chmod(0o700)  # an agent may have closed it; what is in there has to be seen
            rows = list(os.scandir(place))
        except OSError:
            yield Found(path=prefix.rstrip("/"), mode="unreadable", size=0, stamp=(0, 0, 0, 0), links=0)
            continue
        for row in rows:
            path = f"{prefix}{row.name}"
            if row.is_dir(follow_symlinks=False):
                todo.append(f"{path}/")
            else:
                yield found(path, row.stat(follow_symlinks=False))


def found(path: str, status: os.stat_result) -> Found:
    stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Found(
        path=path,
        mode=_mode(status.st_mode),
        size=status.st_size,
        stamp=stamp,
        links=status.st_nlink,
        held=status.st_blocks * 512,
    )


def _mode(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "100755" if mode & stat.S_IXUSR else "100644"
    if stat.S_ISLNK(mode):
        return "120000"
    return {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode), "device")


def opened(folder: Path, found: Found) -> BinaryIO:
    """Open a file, or the target of a symlink; raise OSError when it is neither any more."""
    path = folder / found.path
    if found.mode == "120000":
        return BytesIO(os.fsencode(path.readlink()))
    if not os.access(path, os.R_OK):
        path.chmod(path.lstat().st_mode | stat.S_IRUSR)
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def blob_id(folder: Path, found: Found, algorithm: str) -> str:
    """Compute git's id of a file's bytes without git."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with opened(folder, found) as stream:
        digest.update(b"blob %d\0" % stream.seek(0, os.SEEK_END))
        stream.seek(0)
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
