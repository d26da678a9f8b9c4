"""Who may come in: a token, a browser's session, or, on loopback only, everybody."""

import hmac
import ipaddress
import secrets
import socket
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from sqlalchemy import Engine

from experiment_hub.api import tokens
from experiment_hub.api.tokens import Caller

COOKIE = "hub_session"
SESSION_SECONDS = 12 * 3600
SESSIONS = 1000  # at once; the oldest goes first
PERSON = "local"  # who opened the link that `hub serve` printed
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class _Session:
    caller: Caller
    token_id: str | None
    """Of the token it began with; a session ends with its token."""
    until: float


@dataclass
class Access:
    mode: Literal["key", "token", "none"] = "key"
    """key: the printed link and tokens; token: tokens only; none: everybody is admin, on loopback only."""
    hosts: frozenset[str] = LOOPBACK_NAMES
    """Names by which a browser may ask for this server; any other is DNS rebinding. IP addresses count in mode token."""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def knows_host(self, header: str) -> bool:
        host = host_name(header)
        return host in self.hosts or (self.mode == "token" and _is_address(host))

    def open_with_key(self, key: str) -> str | None:
        """A session's secret for the printed link; None where the key is another."""
        if self.mode != "key" or not hmac.compare_digest(tokens.hashed(key), tokens.hashed(self.key)):
            return None
        return self._begin(Caller(PERSON, "admin", "key"), None)

    def open_with_token(self, engine: Engine, secret: str) -> str | None:
        caller = tokens.authenticate(engine, secret)
        return None if caller is None else self._begin(caller, caller.token_id)

    def caller_of_session(self, engine: Engine, secret: str) -> Caller | None:
        with self._lock:
            found = self._sessions.get(tokens.hashed(secret))
        if found is None or found.until < time.monotonic():
            return None
        return found.caller if found.token_id is None else tokens.still_good(engine, found.token_id)

    def close(self, secret: str) -> None:
        with self._lock:
            self._sessions.pop(tokens.hashed(secret), None)

    def _begin(self, caller: Caller, token_id: str | None) -> str:
        secret = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._sessions) >= SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[tokens.hashed(secret)] = _Session(caller, token_id, time.monotonic() + SESSION_SECONDS)
        return secret


EVERYBODY = Caller("local", "admin", "everybody")


def host_name(header: str) -> str:
    """Of a Host header: without port, brackets and capitals."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def own_names(host: str, extra: list[str]) -> frozenset[str]:
    """By which names people will ask for a server that listens on `host`."""
    machine = socket.gethostname().lower()
    own = LOOPBACK_NAMES if is_loopback(host) else LOOPBACK_NAMES | {machine, socket.getfqdn().lower()}
    return own | {host.lower(), *(name.lower() for name in extra)}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
