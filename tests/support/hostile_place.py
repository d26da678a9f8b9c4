"""What stands in the lab: a repository, a person's home, a victim, services, secrets, and another's things."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hostile_watch import KEYS, SHARED, victim_marks
from worktrees.checkout import remove
from worktrees.git import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE_BRANCH = "refs/heads/main"
SECRET = "Hush-7Qx2-" + secrets.token_hex(8)  # made up anew in each run: nothing can hold it by chance
BASE = {
    "src/app.py": "def add(a, b):\n    return a - b\n",
    "src/other.py": "LIMIT = 3\n",
    "tests/test_app.py": "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "scripts/gate.sh": "#!/bin/sh\nexit 1\n",
    "data/keep/one.txt": "one\n",
    "data/keep/two.txt": "two\n",
    "orchestrate.toml": "version = 1\n",
    ".gitignore": "*.log\nbuild/\n",
    "README.md": "# Demo\n",
}
AROUND = {
    "outside/target.txt": "a target\n",
    "outside/folder/inner.txt": "inner\n",
    "outside/run.sh": "#!/bin/sh\necho ran\n",
    "outside/secret.txt": f"{SECRET}\n",
    "person/.ssh/id_rsa": f"-----BEGIN KEY-----\n{SECRET}\n",
    "person/.bashrc": "# nothing\n",
    "person/.gitconfig": "[user]\n\tname = Ada\n\temail = ada@example.org\n",
    "person/.netrc": f"machine example.org password {SECRET}\n",
    "repo/.orchestrate/state.db": f"the state {SECRET}\n",
    "repo/.orchestrate/tickets/T-0001-fix.md": "# a ticket\n",
    "repo/.orchestrate/logs/T-0001/agent.log": "",
    "repo-wt/.homes/T-0002-1/desk/report.md": f"another's report {SECRET}\n",
    "repo-wt/.homes/T-0002-1/tmp/scratch": "another's\n",
}


@dataclass(kw_only=True)
class Place:
    root: Path
    victim: subprocess.Popen[bytes]
    port: int = 0
    token: str = field(default_factory=lambda: f"sblab{secrets.token_hex(6)}")
    visits: dict[str, int] = field(default_factory=dict)
    """How often each service was called."""

    @property
    def repo(self) -> Path:
        return self.root / "repo"

    @property
    def worktrees(self) -> Path:
        return self.root / "repo-wt"

    @property
    def repository(self) -> Repository:
        return Repository.find(self.repo)

    @property
    def log(self) -> Path:
        return self.repo / ".orchestrate" / "logs" / "T-0001" / "agent.log"

    @property
    def shared_key(self) -> int:
        """Key of a segment of System V memory that somebody else uses."""
        return int(self.token[-6:], 16) | 1 << 28

    def variables(self) -> dict[str, str]:
        """What an attacker could find out or guess, told right away."""
        return {
            "PY": sys.executable,
            "TOKEN": self.token,
            "OUTSIDE": str(self.root / "outside"),
            "PERSON": str(self.root / "person"),
            "REPO": str(self.repo),
            "STATE": str(self.repo / ".orchestrate"),
            "WT": str(self.worktrees),
            "OTHER": str(self.worktrees / ".homes" / "T-0002-1"),
            "VICTIM": str(self.victim.pid),
            "KEY": str(self.shared_key),
            "PORT": str(self.port),
            "SOCKET": str(self.root / "outside" / "s"),
        }

    def revive(self) -> None:
        """Start another victim when the last one was hurt."""
        if self.victim.poll() is None and victim_marks(self.victim.pid).get("State") == "S":
            return
        end(self.victim)
        self.victim = victim()


def victim() -> subprocess.Popen[bytes]:
    """Start a process of the person, with a secret in its environment; wait until it sleeps."""
    process = subprocess.Popen(["/bin/sleep", "3600"], env={"VICTIMS_KEY": SECRET}, cwd="/")
    while victim_marks(process.pid).get("State") != "S":
        time.sleep(0.001)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextmanager
def laboratory(root: Path, template: Path) -> Iterator[Place]:
    """Open a lab in the folder, a copy of the furnished template."""
    shutil.copytree(template, root, symlinks=True)
    place = Place(root=root.resolve(), victim=victim())
    os.environ["HARNESS_SECRET"] = SECRET
    with ExitStack() as stack:
        stack.callback(os.environ.pop, "HARNESS_SECRET", None)
        stack.callback(lambda: end(place.victim))
        _serve(place, stack)
        stack.callback(_sweep, place.token)
        for folder in ("/dev/shm", "/tmp"):
            Path(folder, f"{place.token}-other").write_text("somebody else's\n", encoding="ascii")
        _share(place, stack)
        yield place


def _sweep(token: str) -> None:
    for folder in SHARED:
        with suppress(OSError):
            for left in Path(folder).glob(f"*{token}*"):
                remove(left)


def _share(place: Place, stack: ExitStack) -> None:
    """Make a segment of System V memory that belongs to somebody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.shmget(place.shared_key, 4096, 0o1600) >= 0
    stack.callback(_unshare, libc, range(place.shared_key, place.shared_key + KEYS))
    stack.callback(ctypes.CDLL("librt.so.1").mq_unlink, f"/{place.token}".encode())


def _unshare(libc: ctypes.CDLL, keys: range) -> None:
    for key in keys:
        if (found := libc.shmget(key, 0, 0)) >= 0:
            libc.shmctl(found, 0, None)
        if (found := libc.semget(key, 0, 0)) >= 0:
            libc.semctl(found, 0, 0)
        if (found := libc.msgget(key, 0)) >= 0:
            libc.msgctl(found, 0, None)


def _serve(place: Place, stack: ExitStack) -> None:
    """Open a service of each kind; whoever calls is counted."""
    tcp = socket.create_server(("127.0.0.1", 0))
    place.port = int(tcp.getsockname()[1])
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", place.port))
    path, hidden = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    path.bind(str(place.root / "outside" / "s"))
    hidden.bind(f"\0{place.token}")
    for one in (tcp, path, hidden):
        one.listen()
    for name, one in (("tcp", tcp), ("udp", udp), ("unix", path), ("abstract", hidden)):
        place.visits[name] = 0
        stack.callback(one.close)
        thread = threading.Thread(target=_count, args=(place, name, one), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(_wake, one)


def _count(place: Place, name: str, one: socket.socket) -> None:
    """Count who calls until the socket is shut down: that ends `accept` with an error, and `recv` with nothing."""
    with suppress(OSError):
        while True:
            if one.type == socket.SOCK_STREAM:
                one.accept()[0].close()
            elif not one.recv(1):
                return
            place.visits[name] += 1


def _wake(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def furnish(root: Path) -> None:
    """Write the repository, a person's home, a place outside, and another attempt."""
    for path, text in ({f"repo/{path}": text for path, text in BASE.items()} | AROUND).items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    repo = root / "repo"
    environment = {"PATH": os.environ["PATH"], "HOME": str(root / "person")}
    steps = (
        "init -q -b main --template=",
        f"config remote.origin.url https://ada:{SECRET}@192.0.2.1/x.git",
        "config user.name Ada",
        "config user.email ada@example.org",
        "add -A -- :(exclude).orchestrate",
        "commit -qm base",
        "branch other",
    )
    for step in steps:
        subprocess.run(["git", *step.split()], cwd=repo, env=environment, check=True, capture_output=True)
    for folder in ("info", "hooks"):
        (repo / ".git" / folder).mkdir()
    (repo / ".git" / "info" / "exclude").write_text("/.orchestrate/\n", encoding="ascii")
