"""The only way out of a sandbox: named hosts through one proxy of the harness, named ports of this machine straight through.

`api.example.org` and `api.example.org:8443` go through the proxy (CONNECT; without a port 443), `*.example.org` means every
host below it, `127.0.0.1:8000` is carried to that port of this machine. A loopback address without a port is the tree's own.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import secrets
import socket
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from worktrees.confinement import Opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from worktrees.confinement import Level

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PROXY_PORT, HTTPS_PORT = 3128, 443
HEAD_BYTES, HEAD_S, CONNECT_S, CHUNK = 8192, 10.0, 20.0, 1 << 16


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a process tree needs to use the gateway."""

    opening: Opening | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the configuration opens, sorted by how it is reached."""

    hosts: frozenset[tuple[str, int]]
    """Through the proxy."""
    ports: tuple[int, ...]
    """Of this machine's loopback."""

    @classmethod
    def of(cls, network: Sequence[str]) -> Rules:
        named = [_split(entry) for entry in network]
        hosts = frozenset((host, port or HTTPS_PORT) for host, port in named if host not in LOOPBACK)
        return cls(hosts=hosts, ports=tuple(sorted({port for host, port in named if host in LOOPBACK and port})))

    def reaches(self, host: str, port: int) -> bool:
        """Say whether a process inside gets there, through the proxy or a carried port."""
        return port in self.ports if host.lower() in LOOPBACK else self.allows(host, port)

    def allows(self, host: str, port: int) -> bool:
        plain = host.lower().rstrip(".")
        return any(port == known and _covers(pattern, plain) for pattern, known in self.hosts)


def _split(entry: str) -> tuple[str, int]:
    host, colon, port = entry.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        return entry.strip("[]").lower(), 0
    return host.strip("[]").lower(), int(port)


def _covers(pattern: str, host: str) -> bool:
    return pattern in {host, "*"} or (pattern.startswith("*.") and host.endswith(pattern[1:]))


@contextmanager
def gateway(network: Sequence[str], *, level: Level, log: Path) -> Iterator[Way]:
    """Serve what the configuration opens for as long as the block lasts; `log` gets a line for each connection."""
    rules = Rules.of(network)
    if level == "none" or not (rules.hosts or rules.ports):
        yield Way()
        return
    with ExitStack() as stack:
        # a short path: the name of a unix socket has 107 characters
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sb-"))).resolve()
        desk = _Desk(rules=rules, log=log)
        yield _namespaced(stack, desk, folder) if level == "bubblewrap" else _shared(stack, desk, folder)


def _namespaced(stack: ExitStack, desk: _Desk, folder: Path) -> Way:
    """Sockets that are files, for a tree whose loopback is its own."""
    ports = desk.rules.ports
    for port in ports:
        stack.enter_context(_serving(_unix(folder, port), partial(desk.carry, port=port)))
    if not desk.rules.hosts:
        return Way(opening=Opening(sockets=folder, ports=ports))
    proxy = next(one for one in range(PROXY_PORT, 1 << 16) if one not in ports)
    stack.enter_context(_serving(_unix(folder, proxy), desk.connect))
    variables = _variables(f"http://127.0.0.1:{proxy}")
    return Way(opening=Opening(sockets=folder, ports=(*ports, proxy)), variables=variables)


def _shared(stack: ExitStack, desk: _Desk, folder: Path) -> Way:
    """A port of this machine with a password, for a tree that shares its loopback with everybody."""
    if not desk.rules.hosts:
        return Way(opening=Opening(sockets=folder, ports=desk.rules.ports))
    desk.password = secrets.token_urlsafe(24)
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    stack.enter_context(_serving(listener, desk.connect))
    variables = _variables(f"http://ticket:{desk.password}@127.0.0.1:{port}")
    return Way(opening=Opening(sockets=folder, ports=(*desk.rules.ports, port)), variables=variables)


def _variables(proxy: str) -> dict[str, str]:
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
    return dict.fromkeys(names, proxy) | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")


def _unix(folder: Path, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / str(port)))
    listener.listen()
    return listener


@contextmanager
def _serving(listener: socket.socket, handle: Callable[[socket.socket], None]) -> Iterator[None]:
    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed: the block was left
                return
            threading.Thread(target=handle, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in `accept`
        listener.close()
        thread.join()


@dataclass(kw_only=True)
class _Desk:
    """Answers one connection at a time of each thread, and writes down what it answered."""

    rules: Rules
    log: Path
    password: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, client: socket.socket, *, port: int) -> None:
        with client:
            try:
                upstream = socket.create_connection(("127.0.0.1", port), CONNECT_S)
            except OSError as error:
                self._note(f"127.0.0.1:{port}", allowed=True, detail=str(error))
                return
            self._note(f"127.0.0.1:{port}", allowed=True)
            _pump(client, upstream)

    def connect(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(HEAD_S)
            words, headers = _head(client)
            if self.password and headers.get("proxy-authorization") != _basic(self.password):
                _answer(client, 407, "this proxy serves one ticket alone")
            elif len(words) != 3 or words[0] != "CONNECT":  # noqa: PLR2004 - method, target, version
                _answer(client, 405, "only CONNECT is served: use https")
            else:
                self._tunnel(client, *_split(words[1]))

    def _tunnel(self, client: socket.socket, host: str, port: int) -> None:
        if not self.rules.allows(host, port):
            self._note(f"{host}:{port}", allowed=False)
            _answer(client, 403, f"{host}:{port} is not named in [sandbox].network of orchestrate.toml")
            return
        try:
            upstream = _reach(host, port)
        except OSError as error:
            self._note(f"{host}:{port}", allowed=True, detail=str(error))
            _answer(client, 502, f"{host}:{port} cannot be reached: {error}")
            return
        self._note(f"{host}:{port}", allowed=True)
        _answer(client, 200, "")
        _pump(client, upstream)

    def _note(self, target: str, *, allowed: bool, detail: str = "") -> None:
        line = json.dumps({"at": round(time.time(), 3), "target": target, "allowed": allowed, "detail": detail})
        with self.lock:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")


def _head(client: socket.socket) -> tuple[list[str], dict[str, str]]:
    data = b""
    while b"\r\n\r\n" not in data and len(data) < HEAD_BYTES:
        more = client.recv(1)  # not a byte of what follows the head is ours
        if not more:
            break
        data += more
    first, *rest = data.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in rest)
    return first.split(), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"ticket:{password}".encode()).decode()


def _answer(client: socket.socket, code: int, text: str) -> None:
    reason = {
        200: "Connection established",
        403: "Forbidden",
        405: "Method Not Allowed",
        407: "Proxy Authentication Required",
    }
    head = f"HTTP/1.1 {code} {reason.get(code, 'Bad Gateway')}\r\n"
    body = f"{text}\n".encode() if text else b""
    fields = f"Content-Length: {len(body)}\r\nConnection: close\r\n" if body else ""
    client.sendall(f"{head}{fields}\r\n".encode() + body)


def _reach(host: str, port: int) -> socket.socket:
    """Connect to a public address: a name that leads into this machine or its network is none of an agent's business."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    literal = _is_address(host)  # an address that the configuration itself names is meant
    for family, kind, protocol, _, address in found:
        if not literal and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            continue
        upstream = socket.socket(family, kind, protocol)
        upstream.settimeout(CONNECT_S)
        try:
            upstream.connect(address)
        except OSError:
            upstream.close()
            continue
        return upstream
    raise OSError("no public address of it answers")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _pump(client: socket.socket, upstream: socket.socket) -> None:
    with upstream:
        for end in (client, upstream):
            end.settimeout(None)
        back = threading.Thread(target=_copy, args=(upstream, client), daemon=True)
        back.start()
        _copy(client, upstream)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
