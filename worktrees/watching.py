"""What the supervisor watches and how it ends it: output, harness, processes, disk.

Stdlib only and free of imports from this package: the supervisor loads this file by its place, under `python -I -S`.
"""
# ruff: noqa: PTH110, PTH123, PTH208  # pathlib costs 7 ms at every start of a supervisor

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import sys
import time

TYPE_CHECKING = False  # importing typing costs 3 ms at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from hashlib import sha256
elif sys.version_info >= (3, 12):  # the whole of hashlib costs 5 ms at every start
    from _sha2 import sha256
else:
    from _sha256 import sha256

CHUNK = 2**20
MIN_FREE = 64 * 2**20
SLICE = 0.02  # seconds of measuring the disk before the output gets its turn
INTERVAL, SHARE = 0.25, 10  # pause between two measures: at least so many seconds, and so many times what one took
CROWD_INTERVAL = 0.05  # a fork bomb is quick
SHELL_SIGNAL = 128
PAGE = os.sysconf("SC_PAGE_SIZE")
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Output:
    """Log of what the tree prints: the first part, the last part, and how much was left out between."""

    def __init__(self, path: str, keep: int) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.head, self.tail_size = keep - keep // 2, keep // 2
        self.tail = bytearray()
        self.total = self.written = 0
        self.trouble = ""
        self.digest = sha256()

    def take(self, data: bytes) -> None:
        self.total += len(data)
        self.digest.update(data)
        first = data[: max(0, self.head - self.written)]
        self._write(first)
        self.tail += data[len(first) :]
        if len(self.tail) > self.tail_size + CHUNK:
            self._trim()

    def close(self) -> None:
        self._trim()
        left_out = self.total - self.written - len(self.tail)
        if left_out:
            self._write(f"\n[... {left_out} bytes left out ...]\n".encode())
        self._write(bytes(self.tail))
        os.close(self.fd)

    def _trim(self) -> None:
        del self.tail[: max(0, len(self.tail) - self.tail_size)]

    def _write(self, data: bytes) -> None:
        while data and not self.trouble:
            try:
                done = os.write(self.fd, data)
            except OSError as error:
                self.trouble = f"its log could not be written: {error.strerror}"
                return
            self.written += done
            data = data[done:]


class Pump:
    """Everything the supervisor listens to: output of the tree, the harness, ended children, signals."""

    def __init__(self, source: int, output: Output, orders: int) -> None:
        self.source, self.output, self.orders = source, output, orders
        self.bell, ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if sys.platform == "linux" else _plain_pipe()
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        for number in (*STOPS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        os.set_blocking(source, False)
        self.ears = select.poll()
        for fd in (source, orders, self.bell):
            self.ears.register(fd, select.POLLIN)
        self.stopped = ""
        self.wishes = bytearray()  # signals that the harness wants sent
        self.answers: dict[int, Callable[[], None]] = {}

    def hear(self, fd: int, answer: Callable[[], None]) -> None:
        """Call `answer` whenever there is something to read."""
        self.answers[fd] = answer
        self.ears.register(fd, select.POLLIN)

    def turn(self, seconds: float) -> bool:
        """Wait for news at most so long and take it in; true when something was printed."""
        printed = False
        for fd, what in self.ears.poll(max(0.0, seconds) * 1000):
            if fd in self.answers:
                self._answer(fd, what)
            elif fd == self.source:
                printed = self._take()
            elif fd == self.orders:
                self._obey()
            elif fd == self.bell and set(os.read(fd, CHUNK)) & set(STOPS):
                self.stopped = self.stopped or "the supervisor was told to stop by a signal"
        return printed

    def _obey(self) -> None:
        wishes = os.read(self.orders, CHUNK)
        self.wishes += wishes
        if not wishes:
            self.ears.unregister(self.orders)
            self.stopped = self.stopped or "the harness stopped this run or ended itself"

    def _answer(self, fd: int, what: int) -> None:
        if what & select.POLLIN:
            self.answers[fd]()
        else:  # nobody is left who could ask
            self.ears.unregister(fd)

    def drain(self) -> None:
        """Take what is still in the pipe; a stranger who was handed its other end can not hold us."""
        limit = time.monotonic() + 1
        while time.monotonic() < limit and self.turn(0):
            pass

    def _take(self) -> bool:
        try:
            data = os.read(self.source, CHUNK)
        except BlockingIOError:
            return False
        if data:
            self.output.take(data)
            self.stopped = self.stopped or self.output.trouble
        else:
            self.ears.unregister(self.source)
        return bool(data)


def _plain_pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


class Tree:
    """The program and all of its descendants. Where we are a subreaper, every orphan becomes our child: no escape."""

    def __init__(self, main: int, *, reaper: bool, wrappers: int = 0) -> None:
        self.main, self.reaper, self.wrappers = main, reaper, wrappers
        self.status: int | None = None

    def reap(self) -> bool:
        """Collect the dead; true when nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self.reaper or not self._to_group(0)
            if pid == 0:
                return False
            if pid == self.main:
                self.status = self._plain(os.waitstatus_to_exitcode(status))

    def _plain(self, code: int) -> int:
        """A wrapper reports death by a signal as shells do; say it as everywhere else."""
        return SHELL_SIGNAL - code if self.wrappers and SHELL_SIGNAL < code <= SHELL_SIGNAL + signal.NSIG else code

    def ask(self) -> None:
        if not self.wrappers:
            self._to_group(signal.SIGTERM)
            return
        for pid in self._wrapped():
            _signal(pid, signal.SIGTERM)

    def tell(self, number: int) -> None:
        """Send a signal to the group of the program, as a terminal does."""
        if not self.wrappers:
            self._to_group(number)
        for pid in self._wrapped() if self.wrappers else ():
            if _group(pid) == self.main:
                _signal(pid, number)

    def _wrapped(self) -> set[int]:
        """Everybody but the wrappers: one would die at once, and take all with it before they could be polite."""
        inner = [self.main]
        for _ in range(self.wrappers):
            inner = [child for pid in inner for child in children(pid)]
        return {one for start in inner for one in (start, *descendants(start))}

    def kill_main(self) -> None:
        if self.status is None:
            os.kill(self.main, signal.SIGKILL)

    def kill(self) -> set[int]:
        """One blow at everything alive, and whom it hit; to be repeated while new ones come up."""
        if not self.reaper:
            return {self.main} if self._to_group(signal.SIGKILL) else set()
        return {pid for pid in descendants(os.getpid()) if _strike(pid)}

    def _to_group(self, number: int) -> bool:
        try:
            os.killpg(self.main, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS says so of a group of zombies
            return sys.platform == "linux"
        return True


def end_all() -> None:
    """The last resort of a supervisor that failed itself: no descendant outlives it."""
    limit = time.monotonic() + 1
    while time.monotonic() < limit and sum(_strike(pid) for pid in descendants(os.getpid())):
        time.sleep(0.001)


def descendants(pid: int) -> Iterator[int]:
    """Children are read before their parent is handed out: it may be ended on sight."""
    todo = children(pid)
    while todo:
        child = todo.pop()
        todo += children(child)
        yield child


def children(pid: int) -> list[int]:
    found: list[int] = []
    if sys.platform != "linux":
        return found
    if not _KERNEL_LISTS_CHILDREN:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:  # gone meanwhile
        return []
    return found


_KERNEL_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # needs CONFIG_PROC_CHILDREN


def _stat(pid: int | str) -> list[bytes]:
    """State, parent and so on; the name before them may hold blanks and brackets. Empty when it is gone."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _parent(pid: str) -> int:
    return int((_stat(pid) or [b"", b"0"])[1])


def _group(pid: int) -> int:
    return int((_stat(pid) or [b"", b"", b"0"])[2])


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _strike(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], [b"Z"], [b"X"]) and _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:  # gone meanwhile, or another user's
        return False
    return True


class Crowd:
    """How many processes the tree has, and how much memory they hold together."""

    ending = "limits"

    def __init__(self, processes: int | None, memory: int | None) -> None:
        self.processes, self.memory = processes, memory
        self.due = 0.0

    def breach(self) -> str:
        """A sentence once a limit is passed, "" until then."""
        if (self.processes is None and self.memory is None) or time.monotonic() < self.due:
            return ""
        begun = time.monotonic()
        everybody = list(descendants(os.getpid()))
        if self.processes is not None and len(everybody) > self.processes:
            return f"it had {len(everybody)} processes at once; {self.processes} were allowed"
        held = sum(map(_memory, everybody)) if self.memory is not None else 0
        if self.memory is not None and held > self.memory:
            return f"its processes held {held >> 20} MiB of memory; {self.memory >> 20} were allowed"
        self.due = time.monotonic() + max(CROWD_INTERVAL, SHARE * (time.monotonic() - begun))
        return ""

    def pause(self) -> float:
        """Seconds until there is something to measure."""
        return 3600.0 if self.processes is None and self.memory is None else max(0.0, self.due - time.monotonic())


def _memory(pid: int) -> int:
    """Bytes that are the process's own: what it shares with others (code, mapped files) is not counted twice."""
    fields = _read(f"/proc/{pid}/statm").split()
    return (int(fields[1]) - int(fields[2])) * PAGE if fields else 0


class Disk:
    """Growth of the writable folders, measured in slices so that output and harness are never kept waiting."""

    ending = "disk"

    def __init__(self, folders: Sequence[str], limit: int | None) -> None:
        self.folders, self.limit = folders, limit
        self.before = sum(_sizes(folders)) if limit is not None else 0
        self.due, self.suspect = 0.0, False
        self._begin()

    def breach(self) -> str:
        """Measure on for one slice; a sentence once the limit is passed, "" until then."""
        if self.limit is None or time.monotonic() < self.due:
            return ""
        try:
            return self._slice(self.limit)
        except OSError as error:
            return f"the disk use could not be measured: {error}"

    def pause(self) -> float:
        """Seconds until there is something to measure."""
        return 3600.0 if self.limit is None else max(0.0, self.due - time.monotonic())

    def _slice(self, limit: int) -> str:
        begun = time.monotonic()
        for size in self.walk:
            self.sum += size
            if time.monotonic() - begun > SLICE:
                self.took += time.monotonic() - begun
                return self._scarce()
        self.took += time.monotonic() - begun
        grown = self.sum - self.before
        if grown > limit and self.suspect:
            return f"its folders grew by {grown} bytes on disk; {limit} were allowed"
        # One more look before the verdict: a folder that was moved while we walked is counted twice.
        self.suspect = grown > limit
        self.due = 0.0 if self.suspect else time.monotonic() + max(INTERVAL, SHARE * self.took)
        self._begin()
        return self._scarce()

    def _begin(self) -> None:
        self.walk, self.sum, self.took = _sizes(self.folders), 0, 0.0

    def _scarce(self) -> str:
        for folder in filter(os.path.exists, self.folders):  # the tree may have removed one
            room = os.statvfs(folder)
            if room.f_bavail * room.f_frsize < MIN_FREE:
                return f"less than {MIN_FREE // 2**20} MiB are free on the file system of {folder}"
        return ""


def _sizes(paths: Sequence[str]) -> Iterator[int]:
    """Bytes on disk, entry by entry; links and overlapping folders count once."""
    seen: set[tuple[int, int]] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        try:
            info = os.lstat(path)
            if stat.S_ISDIR(info.st_mode) or info.st_nlink > 1:
                if (info.st_dev, info.st_ino) in seen:
                    continue
                seen.add((info.st_dev, info.st_ino))
            if stat.S_ISDIR(info.st_mode):
                todo += [f"{path}/{name}" for name in os.listdir(path)]
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # a hiding place below it would never be counted
                raise
            continue
        yield info.st_blocks * 512
