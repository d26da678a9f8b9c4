"""Who is told what happens: `[[hooks]]` and `[notify]` in the configuration."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tickets.agents import Name, Url
from tickets.documents import Strict
from tickets.model import FilledLine, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Moment = Literal["landed", "refused", "failed", "waiting", "late", "stopped", "ended"]
"""What a hook can be called on.

`landed`     a ticket landed, one that takes a landing back included
`refused`    a ticket was rejected: its attempts are used up, a gate says no
`failed`     a ticket failed: its agent or the environment could not run
`waiting`    a ticket or a feature waits for a person
`late`       a ticket waits in the train for longer than `patience_s`
`stopped`    the train stopped: its target is red by itself
`ended`      a feature ended
"""


def _once(moments: tuple[Moment, ...]) -> tuple[Moment, ...]:
    if len(set(moments)) != len(moments):
        raise ValueError("each moment once")
    return moments


Moments = Annotated[tuple[Moment, ...], Field(min_length=1), AfterValidator(_once)]


class Hook(Strict):
    on: Moments
    run: tuple[FilledLine, ...] = ()
    """A program with its arguments, started without a shell on this machine with the rights of whoever started the run."""
    url: Url = ""
    """A webhook instead: the event is sent to it by POST."""
    secret_env: Name | Literal[""] = ""
    """Name of the environment variable with the key that a webhook is signed with."""
    env: tuple[Name, ...] = ()
    """Names of environment variables that are handed on to the program; nothing else is."""
    timeout_s: Seconds = 30.0
    """For one try."""

    @property
    def identity(self) -> str:
        """Name it by where it leads: what it was told is remembered although `on` or the time-out change."""
        return hashlib.sha256(json.dumps([self.run, self.url]).encode()).hexdigest()[:16]

    @property
    def said(self) -> str:
        """Name it for a person; what stands behind the host of a webhook is often a key."""
        return " ".join(self.run) if self.run else "/".join(self.url.split("/")[:3]).rpartition("@")[2]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.run) == bool(self.url):
            raise ValueError("either `run` with a program or `url` with a webhook, and not both")
        if self.secret_env and not self.url:
            raise ValueError("`secret_env` beside a `url`: what a program is told is not signed")
        if self.env and not self.run:
            raise ValueError("`env` beside a program in `run`")
        return self


class NotifyPolicy(Strict):
    urls_env: Name | Literal[""] = ""
    """Name of the environment variable with the addresses, in the form of Apprise, separated by white space."""
    desktop: bool = False
    """Whether this machine's desktop shows them, too."""
    on: Moments = ("refused", "failed", "waiting", "stopped", "ended")


def repeated(hooks: Sequence[Hook]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give hooks that lead where an earlier one leads: what was told is remembered by place."""
    for index, hook in enumerate(hooks):
        first = next(number for number, other in enumerate(hooks) if other.identity == hook.identity)
        if first != index:
            yield ("hooks", index), f"expected another place to tell than that of hooks.{first}; add its moments there"
