"""The ways to tell somebody: a program, a webhook, an address of Apprise. Each tells one event once, or says why it could not."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.workspace import Workspace
    from tickets.notify import Hook, Moment

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What a program inherits besides the variables that its hook names."""
AGAIN = frozenset({408, 425, 429})
"""Answers of a webhook that ask for another try, as all from 500 on do."""
SERVER_TROUBLE = 500
DESKTOPS = ("dbus://", "macosx://", "windows://", "gnome://")
LOGS = "logs/hooks"


class RefusedError(Exception):
    """It was told, and said no: telling it again would not help."""


class UnreachableError(Exception):
    """It could not be told now."""


class Way(Protocol):
    """One receiver of messages."""

    @property
    def identity(self) -> str:
        """Name it by where it leads; cursors are kept under this name."""

    @property
    def said(self) -> str:
        """Name it for a person, without secrets."""

    @property
    def on(self) -> tuple[Moment, ...]: ...

    def tell(self, message: dict[str, Any]) -> None:
        """Tell it once; raise RefusedError or UnreachableError."""


@dataclass(frozen=True)
class _Hooked:
    """What a hook of the configuration says of itself."""

    hook: Hook

    @property
    def identity(self) -> str:
        return self.hook.identity

    @property
    def said(self) -> str:
        return self.hook.said

    @property
    def on(self) -> tuple[Moment, ...]:
        return self.hook.on


@dataclass(frozen=True)
class Program(_Hooked):
    """Starts a program without a shell: the message on its standard input, its output kept."""

    root: Path
    state: Path

    def tell(self, message: dict[str, Any]) -> None:
        from worktrees.confinement import Confinement
        from worktrees.process import Bounds, Launch, run

        # the person's own program, with the person's rights: nothing that an agent wrote is started here
        launch = Launch(
            command=self.hook.run,
            cwd=self.root,
            env={name: os.environ[name] for name in (*KEPT, *self.hook.env) if name in os.environ},
            confinement=Confinement(level="none", write=()),
            stdin=json.dumps(message).encode(),
        )
        log = self.state / LOGS / f"{message['event']['seq']}-{self.identity}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        done = run(launch, log=log, bounds=Bounds(timeout_s=self.hook.timeout_s, output_bytes=1 << 20))
        if done.ending == "exited" and done.exit:
            raise RefusedError(f"exit code {done.exit}; its output is in {log}")
        if done.ending != "exited":
            raise UnreachableError(f"{done.reason or done.ending}; its output is in {log}")


@dataclass(frozen=True)
class Webhook(_Hooked):
    """Sends the message by POST as JSON, signed where the hook has a key."""

    def tell(self, message: dict[str, Any]) -> None:
        import asyncio

        body = json.dumps(message).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "signalbox",
            "Idempotency-Key": message["event"]["hash"],
            "X-Signalbox-Event": message["moment"],
        }
        if key := os.environ.get(self.hook.secret_env, "") if self.hook.secret_env else "":
            headers["X-Signalbox-Signature"] = f"sha256={hmac.digest(key.encode(), body, hashlib.sha256).hex()}"
        try:
            status = asyncio.run(asyncio.wait_for(_post(self.hook.url, body, headers), self.hook.timeout_s))
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {self.hook.timeout_s:g} s") from error
        if status in AGAIN or status >= SERVER_TROUBLE:
            raise UnreachableError(f"it answered {status}")
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own figures
            raise RefusedError(f"it answered {status}")


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Give the status of the answer; nothing of its body is read, and it is not followed elsewhere."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(timeout=None) as client,  # noqa: S113 - bounded as a whole by the caller
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            return answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(str(error) or type(error).__name__) from error


@dataclass(frozen=True)
class Address:
    """Speaks to a chat, a telephone or a desktop through Apprise."""

    url: str = field(repr=False)
    on: tuple[Moment, ...]

    @property
    def identity(self) -> str:
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def said(self) -> str:
        return f"notification by {self.url.partition(':')[0]}"

    def tell(self, message: dict[str, Any]) -> None:
        import apprise

        event = message["event"]
        about = event["ticket"] or event["feature"] or message["target"]
        speaker = apprise.Apprise()
        if not speaker.add(self.url):
            raise RefusedError("Apprise does not know this address, or cannot use it on this machine")
        heading = f"{message['project']}: {about} {message['moment']}"
        kind = apprise.NotifyType.SUCCESS if message["moment"] == "landed" else apprise.NotifyType.INFO
        if not speaker.notify(body=message["text"], title=heading, notify_type=kind):
            raise UnreachableError("Apprise could not deliver it")


def ways_of(workspace: Workspace) -> list[Way]:
    """List whom the configuration of the main worktree has told, without a look at whether they can be."""
    programs = [Program(hook, workspace.root, workspace.state) for hook in workspace.policy.hooks if hook.run]
    webhooks = [Webhook(hook) for hook in workspace.policy.hooks if hook.url]
    on = workspace.policy.notify.on
    return [*programs, *webhooks, *(Address(url, on) for url in _addresses(workspace))]


def _addresses(workspace: Workspace) -> Iterator[str]:
    notify = workspace.policy.notify
    yield from os.environ.get(notify.urls_env, "").split() if notify.urls_env else ()
    if notify.desktop:
        yield desktop() or DESKTOPS[0]


def desktop() -> str | None:
    """Give the address of this machine's desktop; None where Apprise cannot speak to it."""
    import apprise

    return next((url for url in DESKTOPS if apprise.Apprise.instantiate(url, suppress_exceptions=True)), None)
