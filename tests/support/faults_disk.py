"""A disk whose power can be cut: what its block device had received at that instant is what the next start finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FICLONE = 0x40049409
STORE_MIB, DISK_MIB = 1600, 600
COMMIT_S = 60
"""How long ext4 may keep what nobody asked it to write: long, so that a forgotten sync is seen."""
PATIENCE_S = 20.0


@cache
def trouble() -> str:
    """Say why power cannot be cut here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can mount a disk image"
    if missing := [name for name in ("mkfs.ext4", "mkfs.xfs", "mount", "umount") if not shutil.which(name)]:
        return f"{', '.join(missing)} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    try:
        with tempfile.TemporaryDirectory() as scratch, power(Path(scratch)) as disk:
            disk.cut()
    except subprocess.CalledProcessError as error:
        return f"a disk image cannot be used here: {error.stderr.decode(errors='replace').strip()}"
    except OSError as error:
        return f"a disk image cannot be cloned here: {error}"
    return ""


@cache
def no_small_disk() -> str:
    """Say why no small file system can be mounted here; empty where one can."""
    try:
        with tempfile.TemporaryDirectory() as scratch, small(Path(scratch) / "disk", mib=1):
            return ""
    except subprocess.CalledProcessError as error:
        return f"a small file system cannot be mounted here: {error.stderr.decode(errors='replace').strip()}"
    except OSError as error:
        return f"a small file system cannot be mounted here: {error}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass(kw_only=True)
class Disk:
    """An ext4 file system in an image that lies on a file system which can clone a file in an instant."""

    store: Path
    at: Path
    number: int = 0

    @property
    def image(self) -> Path:
        return self.store / f"{self.number}.img"

    def mount(self) -> None:
        _run("mount", "-o", f"loop,commit={COMMIT_S}", str(self.image), str(self.at))

    def unmount(self) -> None:
        """Wait for those that were just killed to let go of it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return _run("umount", str(self.at))
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def freeze(self) -> None:
        """Keep what the device has received until now as the next image; a write is in it wholly or not at all."""
        import fcntl

        with self.image.open("rb") as now, self.image.with_name(f"{self.number + 1}.img").open("wb") as later:
            fcntl.ioctl(later.fileno(), FICLONE, now.fileno())

    def thaw(self) -> None:
        """Go on from the frozen image: the power is back. Whoever used the disk has to be dead."""
        self.unmount()
        self.image.unlink()
        self.number += 1
        self.mount()

    def settle(self) -> None:
        """Write everything out."""
        _run("sync", "--file-system", str(self.at))

    def cut(self) -> None:
        self.freeze()
        self.thaw()


@contextmanager
def power(folder: Path) -> Iterator[Disk]:
    """Make a disk below the folder, mounted at `disk`."""
    store, at, big = folder / "store", folder / "disk", folder / "store.img"
    store.mkdir()
    at.mkdir()
    _sparse(big, STORE_MIB)
    _run("mkfs.xfs", "-q", str(big))
    _run("mount", "-o", "loop", str(big), str(store))
    disk = Disk(store=store, at=at)
    try:
        _sparse(disk.image, DISK_MIB)
        _run("mkfs.ext4", "-q", "-F", "-J", "size=8", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(disk.image))
        disk.mount()
        yield disk
    finally:
        with suppress(subprocess.CalledProcessError):
            disk.unmount()
        _run("umount", "-l", str(store))


def _sparse(file: Path, mib: int) -> None:
    with file.open("wb") as stream:
        stream.truncate(mib << 20)


@contextmanager
def small(folder: Path, *, mib: int, inodes: int = 0) -> Iterator[Path]:
    """Mount a small file system in memory at the folder."""
    folder.mkdir()
    options = f"size={mib}m" + (f",nr_inodes={inodes}" if inodes else "")
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "-l", str(folder))
