"""A real PostgreSQL server of its own: a free port, a temporary folder, gone at the end."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30


def binaries() -> Path | None:
    """Folder of `initdb` and `postgres`; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda each: int(each.parent.name))


@dataclass
class Server:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://hub@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """URL of an empty database."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def stop(self, *, number: int = signal.SIGQUIT) -> None:
        """SIGQUIT is PostgreSQL's immediate shutdown: as if the machine had failed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=START_SECONDS)

    def start(self) -> None:
        """Again, after `stop`, with the same data and port."""
        self.process = _launch(self.folder, self.port)
        _wait(self)


@contextmanager
def server() -> Iterator[Server]:
    """Raises FileNotFoundError where PostgreSQL is not installed."""
    place = binaries()
    if place is None:
        raise FileNotFoundError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir(mode=0o700)
    owner = _owner()
    if "user" in owner:
        shutil.chown(data, owner["user"])
    command = [str(place / "initdb"), "-D", str(data), "-U", "hub", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **owner)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    running = Server(folder, port, _launch(folder, port))
    try:
        _wait(running)
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody"}


def _launch(folder: Path, port: int) -> subprocess.Popen[bytes]:
    place = binaries()
    assert place is not None
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"]
    return subprocess.Popen(
        [str(place / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **_owner(),
    )


def _wait(running: Server) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(running.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > until or running.process.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return
