from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from worktrees import landlock
from worktrees.confinement import LEVELS, Confinement, Level, Opening, interpreter
from worktrees.levels import available, gaps, trouble
from worktrees.process import Bounds, Launch, Receipt, run

PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
NOBODY = 65534
needs_landlock = pytest.mark.skipif(bool(trouble("landlock")), reason=f"landlock: {trouble('landlock')}")


def needs_abi(version: int) -> pytest.MarkDecorator:
    return pytest.mark.skipif(landlock.abi() < version, reason=f"needs Landlock {version}, found {landlock.abi()}")


class Now:
    """The level that the test at hand runs under."""

    level: Level = "landlock"


def confined(level: Level) -> object:
    """Each level that confines anything; one that this machine has not is skipped, and says why."""
    return pytest.param(level, marks=pytest.mark.skipif(bool(trouble(level)), reason=f"{level}: {trouble(level)}"))


@pytest.fixture(params=[confined(level) for level in LEVELS if level != "none"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only place that may be written; beside it things that must neither be read nor changed."""
    Now.level = request.param
    tmp_path = tmp_path_factory.mktemp("t")  # a short name: the path of a unix socket has 107 characters at most
    inside = tmp_path / "inside"
    (inside / "tmp").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("the secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("the config")
    return inside


def go(
    folder: Path,
    *command: str,
    read: tuple[Path, ...] = (),
    write: tuple[Path, ...] = (),
    opening: Opening | None = None,
    room: Path | None = None,
) -> Receipt:
    confinement = Confinement(level=Now.level, write=(folder, *write), read=read, opening=opening, room=room)
    env = {"PATH": PATH, "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8"}
    launch = Launch(command=command, cwd=folder, env=env, confinement=confinement)
    return run(launch, log=folder.parent / "log", bounds=Bounds(timeout_s=120))


def shell(folder: Path, script: str, *, read: tuple[Path, ...] = (), write: tuple[Path, ...] = ()) -> Receipt:
    return go(folder, "bash", "-c", script, read=read, write=write)


def python(folder: Path, code: str, *, opening: Opening | None = None, room: Path | None = None) -> Receipt:
    return go(folder, sys.executable, "-c", textwrap.dedent(code), opening=opening, room=room)


def only(level: Level) -> None:
    if Now.level != level:
        pytest.skip(f"a question for {level} alone")


def log_of(receipt: Receipt) -> str:
    return Path(receipt.log).read_text()


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(ValueError, match=r"absolute paths, not src, \.\./x"):
        Confinement(level="none", write=(Path("src"),), read=(Path("../x"),))


def test_gaps_are_those_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 3)
    assert gaps("landlock")[0] == "TCP is not restricted"
    monkeypatch.setattr(landlock, "abi", lambda: 7)
    assert not any("TCP is not restricted" in gap for gap in gaps("landlock"))
    assert gaps("bubblewrap") == ()


def test_a_kernel_without_landlock_is_no_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(landlock.LandlockError, match="offers no Landlock"):
        landlock.restrict([], ports=())


def test_a_folder_that_is_missing_stops_the_start(folder: Path) -> None:
    receipt = go(folder, "true", write=(folder / "missing",))
    assert (receipt.ending, receipt.exit) == ("not-started", None)
    assert receipt.reason.startswith("the confinement could not be set up, so nothing was started: ")
    assert "missing" in receipt.reason


def test_a_planted_link_does_not_widen_what_may_be_written(folder: Path) -> None:
    (folder / "src").symlink_to(folder.parent / "outside")
    receipt = go(folder, "true", write=(folder / "src",))
    assert receipt.ending == "not-started"
    assert f"leads to {folder.parent / 'outside'}; what may be written must be named by its real path" in receipt.reason


def test_the_strongest_level_that_is_to_be_had_is_found() -> None:
    assert available() == next(level for level in LEVELS if not trouble(level))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@needs_landlock
def test_an_ordinary_user_is_confined_as_well() -> None:
    python3 = shutil.which("python3", path="/usr/bin:/bin")
    if python3 is None:
        pytest.skip("no Python that every user may run")
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        script = shutil.copy(landlock.__file__, place)
        inside = Path(place, "inside")
        inside.mkdir()
        for path in (inside, Path(place)):
            path.chmod(0o755)
            os.chown(path, NOBODY, NOBODY)
        command = [python3, "-I", "-S", script, str(Path(place).resolve())]
        probe = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, check=False
        )
        assert (probe.returncode, probe.stderr) == (0, b"")
        assert (inside / "file").stat().st_uid == NOBODY


ATTACKS = {
    "new file": "echo x > {out}/new",
    "overwrite": "echo x > {out}/secret",
    "append": "echo x >> {out}/secret",
    "folder": "mkdir {out}/new",
    "remove": "rm -f {out}/secret",
    "remove the folder": "rm -rf {out}",
    "rename into": "echo x > mine; mv mine {out}/new",
    "rename over": "echo x > mine; mv -f mine {out}/secret",
    "rename out of": "mv {out}/secret mine",
    "rename away": "mv {out} {out}-gone",
    "link followed": "ln -s {out}/secret link; echo x > link",
    "link to a folder followed": "ln -s {out} link; echo x > link/new",
    "hard link": "ln {out}/secret mine",
    "hard link into": "echo x > mine; ln mine {out}/new",
    "through /proc": "echo x > /proc/self/cwd/../outside/new",
    "symbolic link": "ln -s /etc {out}/new",
    "device": "cp /dev/null {out}/new",
    "swap": '{python} -c \'import ctypes; raise SystemExit(ctypes.CDLL(None).renameat2(-100, b"tmp", -100, b"{out}", 2))\'',
    "child of a child": "(setsid sh -c 'echo x > {out}/new')",
    "shared memory folder": "mkdir /dev/shm/signalbox-test-folder",
    "temporary folder": "echo x > /tmp/signalbox-test-file",
    "system": "echo x > /etc/signalbox-test-file",
    "second temporary folder": "echo x > /var/tmp/signalbox-test-file",
    "kernel setting": "echo 1 > /proc/sys/vm/drop_caches",
}


LITTER = (
    "/dev/shm/signalbox-test-folder",
    "/tmp/signalbox-test-file",
    "/var/tmp/signalbox-test-file",
    "/etc/signalbox-test-file",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_write_outside_is_refused(folder: Path, attack: str) -> None:
    outside = folder.parent / "outside"
    receipt = shell(folder, ATTACKS[attack].format(out=outside, python=sys.executable))
    assert receipt.ending == "exited"
    assert receipt.exit != 0 or Now.level == "bubblewrap"  # there it happens to things of the sandbox's own
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "the secret"
    assert (outside / "secret").stat().st_nlink == 1
    assert receipt.confinement == Now.level
    assert not any(Path(place).exists() for place in LITTER)


@needs_abi(3)
def test_truncating_outside_is_refused(folder: Path) -> None:
    secret = folder.parent / "outside" / "secret"
    receipt = python(folder, f"import os; os.truncate({str(secret)!r}, 0)")
    assert ("PermissionError" if Now.level == "landlock" else "FileNotFoundError") in log_of(receipt)
    assert secret.read_text() == "the secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make device nodes")
def test_a_device_node_can_not_be_made_inside(folder: Path) -> None:
    receipt = shell(folder, "mknod disk b 254 0 || mknod null c 1 3")
    assert receipt.exit != 0
    assert not (folder / "disk").exists()


@pytest.mark.parametrize(
    "script",
    [
        "cat ../outside/secret",
        "ls ../outside",
        "cat ../.git/config",
        "ls ..",
        "ln -s ../.git/config c; cat c",
        "ls ~root/",
    ],
)
def test_reading_what_is_not_listed_is_refused(folder: Path, script: str) -> None:
    receipt = shell(folder, script)
    assert receipt.exit != 0 or script in {"ls ..", "ls ~root/"}  # of a folder above a mount its name is there
    assert ("Permission denied" in log_of(receipt)) is (Now.level == "landlock")
    assert "the secret" not in log_of(receipt)
    assert "the config" not in log_of(receipt)


def test_environment_of_the_harness_can_not_be_read(folder: Path) -> None:
    only("landlock")  # elsewhere there is no such process to be seen
    receipt = shell(folder, f"cat /proc/{os.getpid()}/environ; cat /proc/$PPID/environ")
    assert log_of(receipt).count("Permission denied") == 2


@needs_abi(6)
def test_processes_outside_can_not_be_signalled(folder: Path) -> None:
    victim = subprocess.Popen(["sleep", "600"])
    receipt = shell(folder, f"kill -9 {victim.pid}; kill -9 $PPID; kill -9 {os.getppid()}")
    still_there = victim.poll() is None
    victim.kill()
    victim.wait()
    assert still_there
    assert receipt.ending == "exited"
    assert receipt.exit != 0


def test_a_listed_folder_can_be_read_and_not_be_written(folder: Path) -> None:
    outside = folder.parent / "outside"
    receipt = shell(folder, "cat ../outside/secret; ls ../outside; echo x > ../outside/new", read=(outside,))
    assert log_of(receipt).startswith("the secretsecret\n")
    assert receipt.exit != 0
    assert not (outside / "new").exists()


def test_a_single_file_can_be_opened_for_writing(folder: Path) -> None:
    secret = folder.parent / "outside" / "secret"
    receipt = shell(folder, "echo x > ../outside/other; echo new > ../outside/secret", write=(secret,))
    assert receipt.exit == 0
    assert not secret.with_name("other").exists()
    assert secret.read_text() == "new\n"


def test_a_program_outside_is_not_started(folder: Path) -> None:
    program = folder.parent / "outside" / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    receipt = go(folder, str(program))
    assert receipt.ending == "not-started"
    assert receipt.reason.endswith("lies outside what its confinement lets it read")


def test_root_keeps_capabilities_over_files_only(folder: Path) -> None:
    receipt = shell(folder, "grep -E 'CapEff|CapPrm|CapAmb|NoNewPrivs' /proc/self/status")
    values = dict(line.split() for line in log_of(receipt).splitlines())
    assert values["NoNewPrivs:"] == "1"
    assert {int(values[name], 16) & ~0b11011 for name in ("CapEff:", "CapPrm:", "CapAmb:")} == {0}


def test_a_limit_can_not_be_raised_again(folder: Path) -> None:
    receipt = shell(folder, "ulimit -H -c unlimited")
    assert receipt.exit != 0


def test_everything_may_be_done_inside(folder: Path) -> None:
    script = """
        set -e
        mkdir -p a/b; echo one > a/file; mv a/file a/b/file; cp a/b/file c; ln c d; ln -s c e
        echo two >> e; rm d; truncate -s 1 a/b/file; mkfifo f; chmod 700 a; touch -d yesterday c
        printf '#!/bin/sh\\necho script $1\\n' > run; chmod +x run; ./run works
        seq 1000 | sort -rn | head -n 1 > /dev/null; cat <(echo process) <<< here; cat <<< here
        echo gone > /dev/stdout; mktemp > /dev/null; rm -r a
    """
    receipt = shell(folder, script)
    assert log_of(receipt) == "script works\nprocess\nhere\ngone\n"
    assert receipt.exit == 0
    assert stat.S_ISFIFO((folder / "f").stat().st_mode)


@pytest.mark.parametrize("allowed", [False, True])
def test_tcp_goes_where_the_opening_leads(folder: Path, *, allowed: bool) -> None:
    if Now.level == "landlock" and landlock.abi() < 4:
        pytest.skip("this Landlock knows no TCP")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = f"""
            import socket
            try:
                socket.create_connection(("127.0.0.1", {port}), 5).close()
                print("open")
            except OSError as error:
                print(type(error).__name__)
        """
        sockets = folder.parent / "s"
        sockets.mkdir()
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(sockets / str(port)))
            door.listen()
            receipt = python(folder, code, opening=Opening(sockets=sockets, ports=(port,) if allowed else ()))
    refusal = "PermissionError" if Now.level == "landlock" else "ConnectionRefusedError"
    assert log_of(receipt) == ("open\n" if allowed else f"{refusal}\n")


def test_a_server_of_the_trees_own_is_for_namespaces(folder: Path) -> None:
    code = """
        import socket, threading
        try:
            server = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=lambda: server.accept()[0].sendall(b"hello")).start()
            print(socket.create_connection(server.getsockname()).recv(5))
        except PermissionError:
            print("refused")
    """
    assert log_of(python(folder, code)) == ("refused\n" if Now.level == "landlock" else "b'hello'\n")


@pytest.mark.parametrize(
    "what",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(40, socket.SOCK_STREAM)",
    ],
)
def test_sockets_that_lead_elsewhere_are_refused(folder: Path, what: str) -> None:
    if Now.level == "bubblewrap" and "SOCK_DGRAM" in what:
        pytest.skip("nobody is behind it in a network of its own")
    receipt = python(folder, f"import socket; {what}")
    assert "Operation not permitted" in log_of(receipt)


def test_a_service_behind_a_unix_socket_is_out_of_reach(folder: Path) -> None:
    door = folder.parent / "outside" / "door"
    code = f"""
        import socket
        try:
            socket.socket(socket.AF_UNIX).connect({str(door)!r})
        except OSError as error:
            print(type(error).__name__)
    """
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(door))
        service.listen()
        told = log_of(python(folder, code))
    assert told == ("PermissionError\n" if Now.level == "landlock" else "FileNotFoundError\n")


@pytest.mark.parametrize(
    "call",
    [
        "ptrace(0, 0, 0, 0)",
        "mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "syscall(425, 1, 0)",
        "syscall(321, 0, 0, 0)",
        "reboot(0)",
        "syscall(164, b'0' * 16, None)",
    ],
)
def test_calls_that_no_agent_needs_are_refused(folder: Path, call: str) -> None:
    code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.{call}, ctypes.get_errno())"
    assert log_of(python(folder, code)) == "-1 1\n"


def test_python_with_children_threads_and_shared_memory_works(folder: Path) -> None:
    code = """
        import multiprocessing, multiprocessing.shared_memory, subprocess, sys, tempfile, threading
        if __name__ == "__main__":
            print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True).stdout)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(abs, [-1, -2]))
            lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
            block = multiprocessing.shared_memory.SharedMemory(create=True, size=4096)
            block.close(); block.unlink()
            tempfile.TemporaryFile().close()
    """
    receipt = python(folder, code)
    assert log_of(receipt) == "b'42\\n'\n[1, 2]\n"
    assert receipt.exit == 0


def test_git_works_in_its_own_folder(folder: Path) -> None:
    script = """
        set -e
        export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        git init -q repo; cd repo; echo one > file; git add file; git commit -qm one; git checkout -qb side
        echo two > file; git commit -qam two; git gc -q; git stash list; git log --format=%s
    """
    receipt = shell(folder, script)
    assert log_of(receipt) == "two\none\n"
    assert receipt.exit == 0


@pytest.mark.parametrize("options", [[], pytest.param(["-n", "2"], marks=pytest.mark.long)])
def test_pytest_works_inside(folder: Path, options: list[str]) -> None:
    (folder / "test_it.py").write_text("def test_one(tmp_path):\n    (tmp_path / 'x').write_text('x')\n")
    receipt = go(folder, sys.executable, "-m", "pytest", "-q", *options)
    assert "1 passed" in log_of(receipt)
    assert (receipt.exit, receipt.survivors) == (0, 0)


@pytest.mark.long
def test_torch_works_inside(folder: Path) -> None:
    pytest.importorskip("torch", reason="the hub's extra is not installed")
    code = """
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        data = DataLoader(TensorDataset(torch.arange(8.0)), batch_size=4, num_workers=1, multiprocessing_context="fork")
        print([batch[0].sum().item() for batch in data])
    """
    receipt = python(folder, code, room=Path("/"))  # services that listen elsewhere on this machine are not asked about
    assert log_of(receipt) == "[6.0, 22.0]\n"
    assert receipt.exit == 0


def test_the_interpreter_is_readable_and_its_home_is_not(folder: Path) -> None:
    assert {sys.prefix, sys.base_prefix} <= set(interpreter())
    home = Path(sys.base_prefix).parent
    receipt = python(folder, f"import os; print(os.listdir({str(home)!r}))")
    if any(home.is_relative_to(system) for system in ("/usr", "/opt", "/bin")):
        pytest.skip("the interpreter is the system's own")
    assert "PermissionError" in log_of(receipt) or Now.level == "bubblewrap"  # there it holds nothing else
