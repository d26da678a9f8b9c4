"""Starts one process tree, keeps its output, ends all of it, and tells what happened.

Stands alone on the standard library, loaded by its place: `python -I -S -c ... <orders fd> <result fd>`. Orders and answer
are marshalled, which needs no import; the pipe of the orders then stays open, and its end means that the harness is gone or wants to stop: everything dies.
Fd 0 becomes the standard input of the tree; after the orders, each byte on their pipe is a signal that the tree is to get. One thread only: a tree tied to a thread would die with that thread.
"""
# ruff: noqa: PTH100, PTH113, PTH116, PTH118, PTH120, PTH123  # pathlib costs 7 ms at every start

from __future__ import annotations

import _socket  # socket itself costs 5 ms at every start
import ctypes
import errno
import marshal
import os
import resource
import signal
import stat
import struct
import sys
import time
from importlib.machinery import SourceFileLoader
from types import ModuleType

TYPE_CHECKING = False  # importing typing costs 3 ms at every start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from worktrees import landlock, notary, overlay, seccomp, watching
else:

    def _beside(name: str) -> ModuleType:
        """Load the neighbour of this file: -I keeps its folder off the path, and with it every module of a tree."""
        module = ModuleType(name)
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
        SourceFileLoader(name, path).exec_module(module)
        return module

    landlock, notary, overlay, seccomp, watching = map(
        _beside, ("landlock", "notary", "overlay", "seccomp", "watching")
    )

LENGTH = 8
GRACE = 0.1  # seconds that children of an ended program have to end by themselves
LOCKED_BYTES = 64 << 20  # memory that cannot be swapped out
STUBBORN = 10.0  # seconds after which a process that survives SIGKILL (a dead network disk, another user) is reported
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_DEFAULT = (*watching.STOPS, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT)  # Python ignores two


class NotStartedError(Exception):
    """One sentence for a person: why there is no program, and what was expected."""


# ---- the child: from fork to exec


def become(orders: dict[str, Any], output: int, desk: int) -> None:
    """Turn this forked child into the program; returns never, raises NotStartedError."""
    os.setsid()
    os.dup2(output if orders["talk"] is None else orders["talk"], 1)
    os.dup2(output, 2)
    for number in _DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(orders)
    if not orders["layers"]:  # a layer is mounted there first
        _enter(orders["cwd"])
    program = _program(orders)
    command = [*_confined(orders, desk), *orders["command"]]
    try:
        # a list, no shell: that is the point
        os.execve(command[0] if orders["wrapper"] else program, command, orders["env"])  # noqa: S606
    except (OSError, ValueError) as error:
        raise NotStartedError(_explain(orders["wrapper"][0] if orders["wrapper"] else program, error)) from error


def _program(orders: dict[str, Any]) -> str:
    """Path of the program, if it can be seen from where it is to run."""
    name = str(orders["command"][0])
    if orders["layers"] and "/" in name and _below(os.path.join(orders["cwd"], name), orders["visible"][:1]):
        return name  # it is in the layer, which is not mounted yet
    program = _find(name, orders["env"])
    if orders["wrapper"] and not _below(os.path.realpath(program), orders["visible"]):
        raise NotStartedError(_explain(program, PermissionError(errno.EACCES, "")))
    return program


def _below(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _limit(orders: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _bound(resource.RLIMIT_FSIZE, orders["file_bytes"])
    if orders["level"] != "none":
        _bound(resource.RLIMIT_MEMLOCK, LOCKED_BYTES)
    if sys.platform == "linux":
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)  # should somebody kill the supervisor, the program goes with it


def _bound(limit: int, value: int | None) -> None:
    if value is not None:
        hard = resource.getrlimit(limit)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (bound, bound))


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise NotStartedError(f"the working folder '{cwd}' can not be entered: {error.strerror}") from error


def _find(name: str, env: dict[str, str]) -> str:
    """Path of the program. Relative entries of PATH are skipped: the tree could plant a `git` in its own folder."""
    if "/" in name:
        return _runnable(name)
    path = env.get("PATH", os.defpath)
    for folder in filter(os.path.isabs, path.split(os.pathsep)):
        candidate = os.path.join(folder, name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise NotStartedError(f"program '{name}' was not found on PATH ({path})")


def _runnable(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise NotStartedError(f"program '{path}' can not be run: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise NotStartedError(f"program '{path}' is {kind}; an executable file was expected")
    if not os.access(path, os.X_OK):
        raise NotStartedError(f"program '{path}' is not executable (chmod +x was expected)")
    return path


def _confined(orders: dict[str, Any], desk: int) -> list[str]:
    """Give up what the tree may not have; what is to be put before its command."""
    try:
        if orders["level"] == "landlock":
            landlock.restrict(orders["rules"], ports=orders["ports"])
            listener = seccomp.install(unix=orders["unix"], told=notary.NUMBERS)
            if listener is not None:
                _hand_over(desk, listener)
        if orders["level"] == "bubblewrap":
            return _wrapped(orders)
    except OSError as error:
        raise NotStartedError(f"the confinement could not be set up, so nothing was started: {error}") from error
    return []


def _hand_over(desk: int, listener: int) -> None:
    """Give the supervisor the end where it hears of calls that only it may make; the tree must not have that."""
    link = _socket.socket(fileno=desk)
    link.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", listener))])
    link.close()
    os.close(listener)


def _take_over(desk: int) -> int | None:
    link = _socket.socket(fileno=desk)
    _, messages, _, _ = link.recvmsg(1, _socket.CMSG_SPACE(4))
    link.close()
    return struct.unpack("i", messages[0][2])[0] if messages else None


def _wrapped(orders: dict[str, Any]) -> list[str]:
    for path in (*orders["write"], *(folder for layer in orders["layers"] for folder in layer)):
        os.lstat(path)
        if os.path.realpath(path) != path:  # an earlier run may have put a link here that leads to a home folder
            real = os.path.realpath(path)
            raise OSError(0, f"{path} leads to {real}; what may be written must be named by its real path")
    if orders["layers"]:
        overlay.enter(orders["layers"])
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)  # forgotten when the user namespace was entered
    program, *words = orders["wrapper"]
    return [program, "--seccomp", str(seccomp.in_a_file()), *words]


def _explain(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return f"program '{program}' was given arguments or an environment that no program can take: {error}"
    known = {
        errno.ENOENT: "names an interpreter that does not exist in its first line",
        errno.ENOEXEC: "has no format this system runs; a binary or a first line with #! was expected",
        errno.EACCES: "or its interpreter may not be run here, or lies outside what its confinement lets it read",
    }
    return f"program '{program}' {known.get(error.errno or 0, f'could not be started: {error.strerror}')}"


# ---- the supervisor


def start(orders: dict[str, Any], output: int) -> tuple[int, int | None]:
    """Pid of the started program, and where its calls are heard of that only we may make."""
    trouble, report = os.pipe()  # closed by exec
    ours, theirs = (end.detach() for end in _socket.socketpair())
    pid = os.fork()
    if pid == 0:
        _in_child(orders, output, (report, theirs))
    os.close(report)
    os.close(theirs)
    with open(trouble, "rb") as file:
        reason = file.read().decode(errors="replace")
    listener = _take_over(ours)
    if reason:
        os.waitpid(pid, 0)
        raise NotStartedError(reason)
    return pid, listener


def _in_child(orders: dict[str, Any], output: int, ends: tuple[int, int]) -> None:
    report, desk = ends
    try:
        become(orders, output, desk)
    except Exception as error:  # noqa: BLE001  # the edge of a process: the parent tells it
        plain = isinstance(error, NotStartedError)
        os.write(report, (str(error) if plain else f"the start failed: {error!r}").encode(errors="replace"))
    finally:
        os._exit(127)


def supervise(orders: dict[str, Any], channel: int) -> dict[str, Any]:
    reaper = sys.platform == "linux" and _prctl(_SET_CHILD_SUBREAPER, 1) == 0
    output = watching.Output(orders["log"], orders["output_bytes"])
    source, sink = os.pipe()
    pump = watching.Pump(source, output, channel)
    disk = watching.Disk([*orders["write"], *(upper for _, upper, *_ in orders["layers"])], orders["disk_bytes"])
    crowd = watching.Crowd(orders["processes"], orders["memory_bytes"])
    begun = time.monotonic()
    try:
        main, listener = start(orders, sink)
    except NotStartedError as error:
        output.close()
        return {"ending": "not-started", "reason": str(error), **_printed(output)}
    os.close(sink)
    _hang_up(orders)
    tree = watching.Tree(main, reaper=reaper, wrappers=2 if orders["wrapper"] else 0)
    if listener is not None:
        pump.hear(listener, notary.Notary(listener, orders["write"]).serve)
    ending, reason = _watch(tree, pump, (disk, crowd), timeout=orders["timeout_s"])
    _end_main(tree, pump, patience=0.0 if ending == "interrupted" else orders["patience_s"])
    seconds = time.monotonic() - begun
    survivors, left = _end_rest(tree, pump)
    pump.drain()
    output.close()
    reason = f"{reason}; {left} processes could not be ended".removeprefix("; ") if left else reason
    measured = {"exit": tree.status, "seconds": seconds, "survivors": survivors, "confinement": orders["level"]}
    return {"ending": ending, "reason": reason, **measured, **_printed(output)}


def _hang_up(orders: dict[str, Any]) -> None:
    """Leave the talk to the program: the harness must see when it ends, and when it reads no more."""
    if orders["talk"] is not None:
        os.close(orders["talk"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _printed(output: watching.Output) -> dict[str, Any]:
    return {"output_sha256": output.digest.hexdigest(), "output_bytes": output.total}


def _watch(
    tree: watching.Tree, pump: watching.Pump, bounds: tuple[watching.Disk, watching.Crowd], *, timeout: float
) -> tuple[str, str]:
    """Stay until the program ended or has to: how, and why."""
    deadline = time.monotonic() + timeout
    while True:
        tree.reap()
        if tree.status is not None:
            return "exited", ""
        if pump.stopped:
            return "interrupted", pump.stopped
        while pump.wishes:
            tree.tell(pump.wishes.pop(0))
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout", f"it was still running after {timeout:g} seconds, its limit"
        for bound in bounds:
            if breach := bound.breach():
                return bound.ending, breach
        pump.turn(min(left, *(bound.pause() for bound in bounds)))


def _end_main(tree: watching.Tree, pump: watching.Pump, *, patience: float) -> None:
    """SIGTERM to its group, then SIGKILL; nothing to do when it ended by itself."""
    if tree.status is None and patience:
        tree.ask()
        _until(lambda: tree.status is not None or bool(pump.stopped), tree, pump, seconds=patience)
    if tree.status is None:
        tree.kill_main()
        _until(lambda: tree.status is not None, tree, pump, seconds=STUBBORN)


def _end_rest(tree: watching.Tree, pump: watching.Pump) -> tuple[int, int]:
    """How many were alive and ended by us, and how many live on in spite of it."""
    if not pump.stopped:
        _until(lambda: bool(pump.stopped), tree, pump, seconds=GRACE)
    hit: set[int] = set()
    limit = time.monotonic() + STUBBORN
    while not tree.reap() and time.monotonic() < limit:
        hit |= tree.kill()
        pump.turn(0.001)
    return len(hit), 0 if tree.reap() else len(tree.kill())


def _until(done: Callable[[], bool], tree: watching.Tree, pump: watching.Pump, *, seconds: float) -> None:
    """Go on listening until `done`, until nobody is left, or until the time is up."""
    limit = time.monotonic() + seconds
    while not tree.reap() and not done() and (left := limit - time.monotonic()) > 0:
        pump.turn(min(left, 0.01))


def _prctl(option: int, value: int) -> int:
    return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0))


def _orders(channel: int) -> dict[str, Any] | None:
    """What the harness says, with its length before it; None when it ended before it had said all."""
    data = b""
    while len(data) < LENGTH or len(data) < LENGTH + int.from_bytes(data[:LENGTH], "big"):
        more = os.read(channel, watching.CHUNK)
        if not more:
            return None
        data += more
    orders: dict[str, Any] = marshal.loads(data[LENGTH:])  # noqa: S302 - from the harness, which is the same Python
    return orders


def main() -> None:
    channel, result = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(channel, False)
    os.set_inheritable(result, False)
    orders = _orders(channel)
    if orders is None:
        return
    if orders["talk"] is not None:
        os.set_inheritable(orders["talk"], False)
    try:
        answer = supervise(orders, channel)
    except Exception as error:  # noqa: BLE001  # the edge of a process: nobody but the harness can be told
        answer = {"ending": "interrupted", "reason": f"the supervisor failed: {error!r}"}
        watching.end_all()
    try:
        os.write(result, marshal.dumps(answer))
    except BrokenPipeError:
        return  # the harness is gone, and so is the tree by now
