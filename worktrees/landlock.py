"""Landlock through ctypes: the mechanism only; which folders are open to a tree is decided in `confinement.py`.

Stdlib only and free of imports from this package: the supervisor loads this file by its place, under `python -I -S`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

TYPE_CHECKING = False  # importing typing costs 3 ms at every start of a supervisor
if TYPE_CHECKING:
    from collections.abc import Iterable

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_BLOCK = 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
ON_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the other rights mean something on folders only
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
SHARED_MEMORY = READ_FILE | WRITE_FILE | READ_DIR | MAKE_REG | REMOVE_FILE | TRUNCATE
# A device node made in a writable folder would be a door to the whole disk for root.
WRITE = ((1 << 15) - 1) & ~(MAKE_CHAR | MAKE_BLOCK)

_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # by ABI; from 5 on IOCTL_DEV too
_ABI_NET, ABI_SCOPE = 4, 6
_BIND, _CONNECT, _PORT_RULE, _ABSTRACT_SOCKET_SIGNAL = 1, 2, 2, 3
_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture we support
_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_FILE_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID


class LandlockError(OSError):
    """The kernel refused a step; the tree must then not start."""


def abi() -> int:
    """Version of Landlock in the running kernel; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def restrict(rules: Iterable[tuple[str, int]], *, ports: Iterable[int]) -> None:
    """Take everything from this process and its children but `rules` (path, rights); there is no way back.

    TCP connections are left to `ports` alone, whatever the address: Landlock knows ports only.

    Also gives up every capability but those over ownership and modes of files: root could otherwise raise its own hard
    limits (SYS_RESOURCE), load modules or reboot, and Landlock has no say in these. no_new_privs keeps them away.
    """
    version = abi()
    if not version:
        raise LandlockError(0, "this kernel offers no Landlock")
    handled = _HANDLED.get(version, (1 << 16) - 1)
    ruleset = _new_ruleset(version, handled=handled)
    for path, rights in rules:
        _allow(ruleset, path, rights & handled)
    for port in ports if version >= _ABI_NET else ():
        rule = struct.pack("=QQ", _CONNECT, port)
        _check(_libc().syscall(_ADD_RULE, ruleset, _PORT_RULE, rule, 0), f"rule for port {port}")
    _check(_libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities()
    _check(_libc().syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _new_ruleset(version: int, *, handled: int) -> int:
    net = _BIND | _CONNECT if version >= _ABI_NET else 0
    scoped = _ABSTRACT_SOCKET_SIGNAL if version >= ABI_SCOPE else 0
    size = 24 if version >= ABI_SCOPE else 16 if version >= _ABI_NET else 8
    attributes = struct.pack("QQQ", handled, net, scoped)[:size]
    return _check(_libc().syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0)), "ruleset")


def _allow(ruleset: int, path: str, rights: int) -> None:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        real = os.readlink(f"/proc/self/fd/{target}")  # noqa: PTH115  # pathlib costs 7 ms at every start of a supervisor
        if real != path and rights & MAKE_DIR:  # an earlier run may have put a link here that leads to a home folder
            raise LandlockError(0, f"{path} leads to {real}; what may be written must be named by its real path")
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= ON_A_FILE
        _check(_libc().syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, target), 0), f"rule for {path}")
    finally:
        os.close(target)


def _drop_capabilities() -> None:
    """Keep of the capabilities only those over files; an ordinary user has none to lose."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    _check(_libc().capget(header, held), "capget")
    effective, permitted = struct.unpack("6I", held.raw)[:2]
    keep = struct.pack("6I", effective & _FILE_CAPABILITIES, permitted & _FILE_CAPABILITIES, 0, 0, 0, 0)
    _check(_libc().capset(header, keep), "capset")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(outcome: int, step: str) -> int:
    if outcome < 0:
        error = ctypes.get_errno()
        raise LandlockError(error, f"{step}: {os.strerror(error)}")
    return outcome


def _prove(folder: str) -> int:
    """Exit code 0 when, inside `folder`, a listed place stays writable and its neighbour is refused."""
    restrict([(f"{folder}/inside", WRITE)], ports=())
    os.close(os.open(f"{folder}/inside/file", os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        os.close(os.open(f"{folder}/file", os.O_WRONLY | os.O_CREAT, 0o600))
    except PermissionError:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(_prove(sys.argv[1]))
