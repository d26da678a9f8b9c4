"""The door to a model's service: one question, one answer; tries again what passes, and names what does not."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agents.causes import Cause
from agents.chat.answers import LONGEST_EVENT, Answer, streamed, whole
from agents.chat.trouble import TroubleError, of_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from agents.transcript import Transcript

CONNECT_S = 10.0
PROBE_S = 2.0
TRIES = 4
LONGEST_PAUSE_S = 20.0
"""A service that names a longer one is left to the harness, which has other work."""
SUCCESS = 200
SECRET = 8
"""Characters that a key has at least: `none` is a word like any other."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Service:
    """Where a model is, and how patient we are."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    silence_s: float = 600.0
    pause_s: float = 1.0
    """Before the second try; doubled before each further one."""

    @property
    def place(self) -> str:
        """Give host and port alone: there may be a password in the address."""
        parts = urlsplit(self.base_url)
        return parts.hostname or "" if parts.port is None else f"{parts.hostname}:{parts.port}"

    def address(self, end: str) -> str:
        return f"{self.base_url.rstrip('/')}/{end}"

    def headers(self) -> dict[str, str]:
        if not self.key:
            return {}
        if not self.key.isascii() or not self.key.isprintable():
            raise TroubleError(
                Cause.SIGN_IN, "the key holds characters that no key has: look at the variable that holds it"
            )
        return {"authorization": f"Bearer {self.key}"}

    def hidden(self, text: str) -> str:
        """Take the key out of what a service says."""
        return text.replace(self.key, "[the key]") if len(self.key) >= SECRET else text


@contextmanager
def client(service: Service, *, timeout_s: float) -> Iterator[httpx.Client]:
    import httpx

    with httpx.Client(
        headers=service.headers(),
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        verify=urlsplit(service.base_url).scheme != "http",  # to load the certificates takes longer than a short answer
        trust_env=urlsplit(service.base_url).hostname not in LOOPBACK,  # no proxy stands between us and ourselves
    ) as made:
        yield made


@dataclass(kw_only=True)
class Watch:
    """Ends the connections of a client at a moment in time: headers may come so slowly that no time-out of theirs is ever met."""

    deadline: float
    """Of the monotonic clock."""
    _sockets: list[socket.socket] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.deadline

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request takes along so that its connection is known here."""
        return {"trace": self._seen}

    def _seen(self, name: str, info: dict[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def _end(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def kept(self) -> Iterator[None]:
        timer = threading.Timer(max(0.0, self.deadline - time.monotonic()), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@dataclass(kw_only=True)
class Endpoint:
    """Asks one service, over one client, until a moment in time."""

    service: Service
    http: httpx.Client = field(repr=False)
    transcript: Transcript
    watch: Watch
    _plain: bool = False

    def ask(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Answer:
        """Give the model's answer; raises TroubleError where there is none."""
        pause = self.service.pause_s
        for left in reversed(range(TRIES)):
            try:
                return self._once(messages, tools)
            except TroubleError as trouble:
                self._settle(trouble, pause, left)
            pause *= 2
        raise AssertionError  # the last try raises

    def _settle(self, trouble: TroubleError, pause: float, left: int) -> None:
        """Wait before the next try, or raise what stands against it."""
        if trouble.wants_plain and not self._plain and left:
            self._plain = True
            self.transcript.note(f"without a stream from now on: {self.service.hidden(trouble.reason)}")
            return
        if trouble.passing and self.watch.over:  # what was cut off by our own clock
            raise self._silent() from trouble
        wait = pause if trouble.after_s is None else trouble.after_s
        if not trouble.passing or not left or wait > LONGEST_PAUSE_S or time.monotonic() + wait > self.watch.deadline:
            raise trouble
        self.transcript.note(f"asking again in {wait:g} s: {self.service.hidden(trouble.reason)}")
        time.sleep(wait)

    def _once(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Answer:
        import httpx

        body: dict[str, Any] = {"model": self.service.model, "messages": list(messages), "stream": not self._plain}
        if tools:
            body["tools"] = list(tools)
        if not self._plain:
            body["stream_options"] = {"include_usage": True}
        try:
            with self.http.stream(
                "POST",
                self.service.address("chat/completions"),
                json=body,
                timeout=self._patience(),
                extensions=self.watch.extensions,
            ) as answer:
                return self._read(answer)
        except httpx.ConnectTimeout as error:
            raise self._unreachable(error) from error
        except httpx.TimeoutException as error:
            raise self._silent() from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    def _read(self, answer: httpx.Response) -> Answer:
        chunks = self._watched(answer.iter_bytes())
        if answer.status_code != SUCCESS:
            retry_after = answer.headers.get("retry-after", "")
            raise of_answer(answer.status_code, _joined(chunks, cut=True), retry_after=retry_after)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return streamed(chunks)
        return whole(_joined(chunks))

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.watch.over:  # one byte a second is no silence
                raise self._silent()
            yield chunk

    def _patience(self) -> httpx.Timeout:
        import httpx

        left = max(0.001, min(self.service.silence_s, self.watch.deadline - time.monotonic()))
        return httpx.Timeout(left, connect=min(CONNECT_S, left))

    def _silent(self) -> TroubleError:
        if self.watch.over:
            return TroubleError(Cause.TIMEOUT, "the time for this attempt was over while the model answered")
        silence = f"{self.service.silence_s:g}"
        return TroubleError(Cause.SILENT, f"the model at {self.service.place} said nothing for {silence} seconds")

    def _unreachable(self, error: Exception) -> TroubleError:
        if self.watch.over:
            return self._silent()
        said = " ".join(str(error).split()) or type(error).__name__
        return TroubleError(Cause.NETWORK, f"the model at {self.service.place} cannot be reached: {said}", passing=True)


def _joined(chunks: Iterator[bytes], *, cut: bool = False) -> bytes:
    """Read a body whole; where it may be cut, no more of it than an answer can hold."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > LONGEST_EVENT:
            if cut:
                break
            raise TroubleError(Cause.PROTOCOL, "the model's service sent more than an answer can hold")
    return bytes(data)


def models(service: Service) -> tuple[int, tuple[str, ...]]:
    """Ask for the models that a service has: its status, and their names; raises TroubleError where it is not there."""
    import httpx

    watch = Watch(deadline=time.monotonic() + PROBE_S)
    try:
        with (
            watch.kept(),
            client(service, timeout_s=PROBE_S) as http,
            http.stream("GET", service.address("models"), extensions=watch.extensions) as answer,
        ):
            body = _joined(answer.iter_bytes(), cut=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise TroubleError(Cause.NETWORK, f"nothing answers at {service.place}: {said}") from error
    return answer.status_code, _names(body)


def _names(body: bytes) -> tuple[str, ...]:
    from agents.chat.answers import parsed

    try:
        data = parsed(body).get("data")
    except TroubleError:
        return ()
    listed = data if isinstance(data, list) else []
    return tuple(one["id"] for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str))
