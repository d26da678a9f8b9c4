"""A seccomp filter as BPF, built without a library: system calls and socket families that no agent and no test needs.

Stdlib only and free of imports from this package: the supervisor loads this file by its place, under `python -I -S`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

TYPE_CHECKING = False  # importing typing costs 3 ms at every start of a supervisor
if TYPE_CHECKING:
    from collections.abc import Iterator

    Instruction = tuple[int, int, int, int]

_X86, _ARM = "x86_64", "aarch64"
_ARCH = {_X86: 0xC000003E, _ARM: 0xC00000B7}
_SOCKET = {_X86: 41, _ARM: 198}
_DENIED = {  # by machine; the same things twice, because each has numbers of its own
    _X86: {
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
        "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "kexec_load": 246, "kexec_file_load": 320,
        "init_module": 175, "finit_module": 313, "delete_module": 176, "mount": 165, "umount2": 166, "pivot_root": 155,
        "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442,
        "setns": 308, "open_by_handle_at": 304, "quotactl": 179, "acct": 163, "swapon": 167, "swapoff": 168, "reboot": 169,
        "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159, "syslog": 103, "chroot": 161,
    },
    _ARM: {
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd": 438,
        "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "kexec_load": 104, "kexec_file_load": 294,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "mount": 40, "umount2": 39, "pivot_root": 41,
        "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442,
        "setns": 268, "open_by_handle_at": 265, "quotactl": 60, "acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142,
        "settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171, "syslog": 116, "chroot": 51,
    },
}  # fmt: skip
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_NUMBER, _MACHINE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets into struct seccomp_data
_X32 = 0x40000000  # the second ABI of x86_64, whose numbers would pass by every line below
_UNIX, _INET, _INET6, _STREAM, _DATAGRAM, _TYPE_MASK = 1, 2, 10, 1, 2, 0xF
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2


def supported() -> bool:
    return sys.platform == "linux" and os.uname().machine in _ARCH


def program(*, unix: bool, datagrams: bool) -> bytes:
    """BPF for this machine, with unix sockets and datagrams where nobody but the tree itself can be behind them.

    A socket file of the system (docker.sock) would otherwise be a door, and Landlock has no say in UDP.
    """
    code = _instructions(os.uname().machine, unix=unix, datagrams=datagrams)
    return b"".join(struct.pack("=HBBI", *one) for one in code)


def _instructions(machine: str, *, unix: bool, datagrams: bool) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, _MACHINE
    yield _EQUAL, 1, 0, _ARCH[machine]
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    if machine == _X86:
        yield _AT_LEAST, 0, 1, _X32
        yield _RETURN, 0, 0, _REFUSE
    for number in _DENIED[machine].values():
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _REFUSE
    yield _EQUAL, 1, 0, _SOCKET[machine]
    yield _RETURN, 0, 0, _ALLOW
    yield _LOAD, 0, 0, _FIRST
    if unix:
        yield _EQUAL, 0, 1, _UNIX
        yield _RETURN, 0, 0, _ALLOW
    yield _EQUAL, 2, 0, _INET
    yield _EQUAL, 1, 0, _INET6
    yield _RETURN, 0, 0, _REFUSE
    yield _LOAD, 0, 0, _SECOND
    yield _AND, 0, 0, _TYPE_MASK
    if datagrams:
        yield _EQUAL, 2, 0, _DATAGRAM
    yield _EQUAL, 1, 0, _STREAM
    yield _RETURN, 0, 0, _REFUSE
    yield _RETURN, 0, 0, _ALLOW


def install(*, unix: bool) -> None:
    """Put the filter on this process and all that come of it; there is no way back."""
    code = program(unix=unix, datagrams=False)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.c_char_p(filter_), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def in_a_file() -> int:
    """Descriptor of the filter for a tree with a network of its own; it survives exec, for bubblewrap to install it."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, program(unix=True, datagrams=True))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
