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
    from collections.abc import Iterable, Iterator, Sequence

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
# What namespaces of its own keep apart, and Landlock does not: objects of System V and queues, which belong to the user ...
_SHARED = {
    _X86: {
        "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220,
        "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
    },
    _ARM: {
        "shmget": 194, "shmctl": 195, "shmat": 196, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193,
        "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "mq_open": 180, "mq_unlink": 181,
    },
}  # fmt: skip
# ... limits and priorities of other processes, and connections that are opened by sending: number, and what must hold of
# its arguments (which one, the bits that are looked at, their value)
_WHOLE, _FAST_OPEN, _PROCESS = 0xFFFFFFFF, 0x20000000, 1
_ITSELF, _NO_FAST_OPEN = (0, _WHOLE, 0), (_FAST_OPEN, 0)
_ONLY: dict[str, dict[int, tuple[tuple[int, int, int], ...]]] = {
    _X86: {
        302: (_ITSELF,), 203: (_ITSELF,), 144: (_ITSELF,), 142: (_ITSELF,), 314: (_ITSELF,),  # prlimit64, sched_set*
        141: ((0, _WHOLE, 0), (1, _WHOLE, 0)), 251: ((0, _WHOLE, _PROCESS), (1, _WHOLE, 0)),  # setpriority, ioprio_set
        44: ((3, *_NO_FAST_OPEN),), 46: ((2, *_NO_FAST_OPEN),), 307: ((3, *_NO_FAST_OPEN),),  # sendto, sendmsg, sendmmsg
    },
    _ARM: {
        261: (_ITSELF,), 122: (_ITSELF,), 119: (_ITSELF,), 118: (_ITSELF,), 274: (_ITSELF,),
        140: ((0, _WHOLE, 0), (1, _WHOLE, 0)), 30: ((0, _WHOLE, _PROCESS), (1, _WHOLE, 0)),
        206: ((3, *_NO_FAST_OPEN),), 211: ((2, *_NO_FAST_OPEN),), 269: ((3, *_NO_FAST_OPEN),),
    },
}  # fmt: skip
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _TELL, _REFUSE = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000 | errno.EPERM
_NUMBER, _MACHINE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # offsets into struct seccomp_data
_X32 = 0x40000000  # the second ABI of x86_64, whose numbers would pass by every line below
_UNIX, _INET, _INET6, _STREAM, _DATAGRAM, _TYPE_MASK, _TCP = 1, 2, 10, 1, 2, 0xF, 6
_SET_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_SECCOMP = {_X86: 317, _ARM: 277}


def supported() -> bool:
    return sys.platform == "linux" and os.uname().machine in _ARCH


def program(*, unix: bool, datagrams: bool, told: Iterable[int] = ()) -> bytes:
    """BPF for this machine, with unix sockets and datagrams where nobody but the tree itself can be behind them.

    A socket file of the system (docker.sock) would otherwise be a door, and Landlock has no say in UDP.
    Calls whose numbers are `told` wait for the answer of whoever listens.
    """
    code = [
        *_head(os.uname().machine),
        *_asked(told),
        *_instructions(os.uname().machine, unix=unix, datagrams=datagrams),
    ]
    return b"".join(struct.pack("=HBBI", *one) for one in code)


def _asked(numbers: Iterable[int]) -> Iterator[Instruction]:
    for number in numbers:
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _TELL


def _head(machine: str) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, _MACHINE
    yield _EQUAL, 1, 0, _ARCH[machine]
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    if machine == _X86:
        yield _AT_LEAST, 0, 1, _X32
        yield _RETURN, 0, 0, _REFUSE


def _instructions(machine: str, *, unix: bool, datagrams: bool) -> Iterator[Instruction]:
    for number in _DENIED[machine].values():
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _REFUSE
    if not datagrams:
        yield from _kept_apart(machine)
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
    if not datagrams:  # Landlock's rules are about TCP: not about multipath TCP, SMC, SCTP
        yield _LOAD, 0, 0, _THIRD
        yield _EQUAL, 2, 0, 0
        yield _EQUAL, 1, 0, _TCP
        yield _RETURN, 0, 0, _REFUSE
    yield _RETURN, 0, 0, _ALLOW


def _kept_apart(machine: str) -> Iterator[Instruction]:
    """Refuse what reaches other processes of the user, for a tree that has no namespaces of its own."""
    for number in _SHARED[machine].values():
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _REFUSE
    for number, conditions in _ONLY[machine].items():
        yield _EQUAL, 0, 3 * len(conditions) + 2, number
        for left, (argument, bits, value) in zip(range(len(conditions) - 1, -1, -1), conditions, strict=True):
            yield _LOAD, 0, 0, _FIRST + 8 * argument
            yield _AND, 0, 0, bits
            yield _EQUAL, 0, 3 * left + 1, value
        yield _RETURN, 0, 0, _ALLOW
        yield _RETURN, 0, 0, _REFUSE


def install(*, unix: bool, told: Sequence[int]) -> int | None:
    """Put the filter on this process and all that come of it; there is no way back. Give the listener's descriptor."""
    code = program(unix=unix, datagrams=False, told=told)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    flags = _NEW_LISTENER if told else 0
    listener = libc.syscall(_SECCOMP[os.uname().machine], _SET_FILTER, flags, ctypes.c_char_p(filter_))
    if listener >= 0:
        return int(listener) if told else None
    number = ctypes.get_errno()
    if told and number == errno.EBUSY:  # a sandbox around this one listens already, and answers for its tree
        return install(unix=unix, told=())
    raise OSError(number, f"seccomp: {os.strerror(number)}")


def in_a_file() -> int:
    """Descriptor of the filter for a tree with a network of its own; it survives exec, for bubblewrap to install it."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, program(unix=True, datagrams=True))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
