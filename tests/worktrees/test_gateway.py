from __future__ import annotations

import json
import os
import socket
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from worktrees.confinement import Confinement, Level
from worktrees.gateway import Rules, Way, gateway
from worktrees.levels import trouble
from worktrees.process import Bounds, Launch, run

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = """
    import os, socket, sys
    from urllib.parse import urlsplit
    def through(target):
        proxy = urlsplit(os.environ["HTTPS_PROXY"])
        line = socket.create_connection((proxy.hostname, proxy.port), 10)
        head = f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n"
        if proxy.username:
            import base64
            head += "Proxy-Authorization: Basic " + base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode() + "\\r\\n"
        line.sendall((head + "\\r\\n").encode())
        answer = b""
        while b"\\r\\n\\r\\n" not in answer:
            answer += line.recv(1000)
        return line, answer.decode()
"""


@contextmanager
def service(host: str) -> Iterator[int]:
    """A service that says in capitals what it was told."""
    with socket.create_server((host, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    while data := client.recv(1 << 16):
                        client.sendall(data.upper())

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(
    params=[
        pytest.param(level, marks=pytest.mark.skipif(bool(trouble(level)), reason=trouble(level)))
        for level in ("bubblewrap", "landlock")
    ]
)
def level(request: pytest.FixtureRequest) -> Level:
    chosen: Level = request.param
    return chosen


def inside(folder: Path, level: Level, way: Way, code: str) -> str:
    confinement = Confinement(level=level, write=(folder,), opening=way.opening)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **way.variables}
    program = textwrap.dedent(CLIENT) + textwrap.dedent(code)
    launch = Launch(command=[sys.executable, "-c", program], cwd=folder, env=env, confinement=confinement)
    receipt = run(launch, log=folder.parent / "log", bounds=Bounds(timeout_s=60))
    return Path(receipt.log).read_text()


def noted(folder: Path) -> list[tuple[str, bool]]:
    file = folder / "network.log"
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else []
    return [(line["target"], line["allowed"]) for line in lines]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def test_a_port_of_this_machine_is_carried(tmp_path: Path, tree: Path, level: Level) -> None:
    with service("127.0.0.1") as port, gateway([f"127.0.0.1:{port}"], level=level, log=tmp_path / "network.log") as way:
        code = f"""
            line = socket.create_connection(("127.0.0.1", {port}), 10)
            sent = b"x" * 300_000
            import threading
            threading.Thread(target=lambda: (line.sendall(sent), line.shutdown(socket.SHUT_WR))).start()
            answer = b""
            while data := line.recv(1 << 16):
                answer += data
            print(len(answer), set(answer) == {{ord("X")}})
        """
        assert inside(tree, level, way, code) == "300000 True\n"
    if level == "bubblewrap":
        assert noted(tmp_path) == [(f"127.0.0.1:{port}", True)]


def test_a_named_host_is_reached_through_the_proxy_and_no_other(tmp_path: Path, tree: Path, level: Level) -> None:
    with service("127.0.0.2") as port, gateway([f"127.0.0.2:{port}"], level=level, log=tmp_path / "network.log") as way:
        code = f"""
            line, answer = through("127.0.0.2:{port}")
            print(answer.split()[1])
            line.sendall(b"hello")
            print(line.recv(5))
            print(through("127.0.0.2:{port + 1}")[1].split()[1], through("api.example.org:443")[1].split()[1])
        """
        assert inside(tree, level, way, code) == "200\nb'HELLO'\n403 403\n"
    target = f"127.0.0.2:{port}"
    assert noted(tmp_path) == [(target, True), (f"127.0.0.2:{port + 1}", False), ("api.example.org:443", False)]


def test_a_name_that_leads_into_this_machine_is_not_followed(tmp_path: Path, tree: Path, level: Level) -> None:
    with service("127.0.0.1") as port, gateway([f"*:{port}"], level=level, log=tmp_path / "network.log") as way:
        code = f'print(through("localhost:{port}")[1].split()[1], through("LOCALHOST.:{port}")[1].split()[1])'
        assert inside(tree, level, way, code) == "502 502\n"


def test_nothing_but_connect_is_served(tmp_path: Path, tree: Path, level: Level) -> None:
    with gateway(["api.example.org"], level=level, log=tmp_path / "network.log") as way:
        code = """
            from urllib.request import urlopen
            from urllib.error import HTTPError
            try:
                urlopen("http://api.example.org/", timeout=10)
            except HTTPError as error:
                print(error.code, error.read().decode().strip())
        """
        assert inside(tree, level, way, code) == "405 only CONNECT is served: use https\n"


def test_a_proxy_that_everybody_can_reach_wants_its_password(tmp_path: Path) -> None:
    with gateway(["api.example.org"], level="landlock", log=tmp_path / "network.log") as way:
        assert way.opening is not None
        with socket.create_connection(("127.0.0.1", way.opening.ports[0]), 10) as line:
            line.sendall(b"CONNECT api.example.org:443 HTTP/1.1\r\n\r\n")
            assert line.recv(1000).startswith(b"HTTP/1.1 407 ")
    assert noted(tmp_path) == []


def test_a_loopback_address_alone_opens_nothing(tmp_path: Path, level: Level) -> None:
    with gateway(["127.0.0.1", "localhost"], level=level, log=tmp_path / "network.log") as way:
        assert way == Way()


def test_the_gateway_is_gone_with_its_block(tmp_path: Path, level: Level) -> None:
    threads = threading.active_count()
    with gateway(["api.example.org", "127.0.0.1:9"], level=level, log=tmp_path / "network.log") as way:
        assert way.opening is not None
        folder = way.opening.sockets
    assert not folder.exists()
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        ("api.example.org", ("api.example.org", 443), ("api.example.org", 80)),
        ("api.example.org:8443", ("API.example.org.", 8443), ("api.example.org", 443)),
        ("*.example.org", ("a.b.example.org", 443), ("example.org.evil.net", 443)),
        ("*.example.org", ("a.example.org", 443), ("example.org", 443)),
        ("*", ("anything.net", 443), ("anything.net", 22)),
        ("[2001:db8::1]:8443", ("2001:db8::1", 8443), ("2001:db8::2", 8443)),
    ],
)
def test_what_an_entry_covers(entry: str, allowed: tuple[str, int], refused: tuple[str, int]) -> None:
    rules = Rules.of([entry])
    assert rules.allows(*allowed)
    assert not rules.allows(*refused)
