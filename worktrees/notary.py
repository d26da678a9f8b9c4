"""Modes, owners, times and attributes: Landlock has no say in them, so the supervisor sets them itself, inside the tree only.

The filter stops such a system call and tells the supervisor, which finds the file, holds it by a descriptor, looks where it
really is, and does what was asked, or refuses. Links and renames in between change nothing: the descriptor stays.
Stdlib only and free of imports from this package: the supervisor loads this file by its place, under `python -I -S`.
"""
# ruff: noqa: PTH115  # pathlib costs 7 ms at every start of a supervisor

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False  # importing typing costs 3 ms at every start of a supervisor
if TYPE_CHECKING:
    from collections.abc import Sequence

_RECEIVE, _ANSWER, _VALID = 0xC0502100, 0xC0182101, 0x40082102
_HERE, _NO_FOLLOW, _EMPTY, _PATH_BYTES, _VALUE_BYTES = -100, 0x100, 0x1000, 4096, 65536
_BY_NAME = {  # by machine; the same things twice, because each has numbers of its own
    "x86_64": {
        "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
        "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189,
        "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    },
    "aarch64": {
        "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54, "utimensat": 88, "setxattr": 5, "lsetxattr": 6,
        "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    },
}  # fmt: skip
_NEW = {"fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469}
_KNOWN = {number: name for name, number in (*_BY_NAME.get(os.uname().machine, {}).items(), *_NEW.items())}
NUMBERS = tuple(_KNOWN)


class Notary:
    """Answers the calls that the filter stopped, one at a time."""

    def __init__(self, listener: int, roots: Sequence[str]) -> None:
        self.listener, self.roots = listener, tuple(roots)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def serve(self) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, asked)
        except OSError:  # who asked is gone
            return
        id_, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", asked)
        try:
            self._do(_KNOWN[number], arguments, pid=pid, id_=id_)
            error = 0
        except OSError as trouble:
            error = trouble.errno or errno.EPERM
        try:
            fcntl.ioctl(self.listener, _ANSWER, struct.pack("QqiI", id_, 0, -error, 0))
        except OSError:  # it was ended meanwhile
            return

    def _do(self, name: str, arguments: list[int], *, pid: int, id_: int) -> None:
        target, rest = self._target(name, arguments, pid)
        try:
            fcntl.ioctl(self.listener, _VALID, struct.pack("Q", id_))  # or another process has this number by now
            real = os.readlink(f"/proc/self/fd/{target}")
            if not any(real == root or real.startswith(f"{root}/") for root in self.roots):
                raise OSError(errno.EPERM, real)
            self._act(name, target, rest, pid)
        finally:
            os.close(target)

    def _target(self, name: str, arguments: list[int], pid: int) -> tuple[int, list[int]]:
        """Hold the file by a descriptor; give that and the arguments behind those that name it."""
        if name not in _FORMS:
            raise OSError(errno.ENOSYS, name)  # an old or a new spelling, which callers know to do without
        form, flags_at = _FORMS[name]
        if form == "fd":
            return os.open(f"/proc/{pid}/fd/{_signed(arguments[0])}", os.O_PATH), arguments[1:]
        start, path_at, rest = (
            (_HERE, arguments[0], arguments[1:]) if form == "path" else (_signed(arguments[0]), *_split(arguments))
        )
        flags = arguments[flags_at] if flags_at else 0
        path = _text(pid, path_at, _PATH_BYTES) if path_at else b""
        if not path and (flags & _EMPTY or not path_at):
            return os.open(f"/proc/{pid}/fd/{start}", os.O_PATH), rest
        follow = not (name.startswith("l") or flags & _NO_FOLLOW)
        return _open(pid, start, path, follow=follow), rest

    def _act(self, name: str, target: int, rest: list[int], pid: int) -> None:
        place = b"/proc/self/fd/%d" % target
        if "chmod" in name:
            self._check(self.libc.chmod(place, ctypes.c_uint(rest[0])))
        elif "chown" in name:
            self._check(self.libc.fchownat(target, b"", ctypes.c_uint(rest[0]), ctypes.c_uint(rest[1]), _EMPTY))
        elif name == "utimensat":
            times = _bytes(pid, rest[0], 32) if rest[0] else None
            self._check(self.libc.utimensat(target, b"", times, _EMPTY))
        else:
            self._attribute(name, place, rest, pid)

    def _attribute(self, name: str, place: bytes, rest: list[int], pid: int) -> None:
        label = _text(pid, rest[0], 256)
        if not label.startswith(
            (b"user.", b"system.posix_acl_")
        ):  # a program with capabilities is nobody's to make here
            raise OSError(errno.EPERM, os.fsdecode(label))
        if "remove" in name:
            self._check(self.libc.removexattr(place, label))
            return
        if rest[2] > _VALUE_BYTES:
            raise OSError(errno.E2BIG, name)
        value = _bytes(pid, rest[1], rest[2])
        self._check(
            self.libc.setxattr(place, label, value, ctypes.c_size_t(rest[2]), ctypes.c_int(rest[3] & 0xFFFFFFFF))
        )

    def _check(self, outcome: int) -> None:
        if outcome:
            raise OSError(ctypes.get_errno(), "")


_FORMS = {  # how the file is named, and which argument holds flags
    "chmod": ("path", 0), "fchmod": ("fd", 0), "fchmodat": ("at", 0), "fchmodat2": ("at", 3), "chown": ("path", 0),
    "lchown": ("path", 0), "fchown": ("fd", 0), "fchownat": ("at", 4), "utimensat": ("at", 3), "setxattr": ("path", 0),
    "lsetxattr": ("path", 0), "fsetxattr": ("fd", 0), "removexattr": ("path", 0), "lremovexattr": ("path", 0),
    "fremovexattr": ("fd", 0),
}  # fmt: skip


def _split(arguments: list[int]) -> tuple[int, list[int]]:
    return arguments[1], arguments[2:]


def _signed(number: int) -> int:
    return (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)


def _open(pid: int, start: int, path: bytes, *, follow: bool) -> int:
    """Open what the process means by the path: from its own folder, and its own /proc/self."""
    for own in (b"/proc/self/", b"/proc/thread-self/", b"/dev/fd/"):
        if path.startswith(own):
            path = (b"/proc/%d/fd/" if own == b"/dev/fd/" else b"/proc/%d/") % pid + path[len(own) :]
    place = f"/proc/{pid}/cwd" if start == _HERE else f"/proc/{pid}/fd/{start}"
    folder = os.open(place, os.O_PATH | os.O_DIRECTORY) if not path.startswith(b"/") else None
    try:
        return os.open(path, os.O_PATH | (0 if follow else os.O_NOFOLLOW), dir_fd=folder)
    finally:
        if folder is not None:
            os.close(folder)


def _text(pid: int, at: int, most: int) -> bytes:
    """Read a string of the process, up to the end of its memory there."""
    text = b""
    while b"\0" not in text and len(text) < most:
        page = 4096 - (at + len(text)) % 4096
        text += _bytes(pid, at + len(text), page)
    found, end, _ = text.partition(b"\0")
    if not end:
        raise OSError(errno.ENAMETOOLONG, "")
    return found


def _bytes(pid: int, at: int, count: int) -> bytes:
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        data = os.pread(memory, count, at)
    except OverflowError as error:
        raise OSError(errno.EFAULT, "") from error
    finally:
        os.close(memory)
    if len(data) < count:
        raise OSError(errno.EFAULT, "")
    return data
