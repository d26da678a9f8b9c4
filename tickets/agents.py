"""What a repository says of each agent: `[agents.NAME]` in its configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from tickets.documents import Strict
from tickets.model import FilledLine, Seconds

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Url = Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+(/\S*)?)?$")]
AgentKind = Literal["command", "claude", "codex", "acp", "openai", "recipes", "scripted", "replay"]


class Price(Strict):
    """What a model costs, in US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Of input that was read from a cache; None: as any other input."""


class Agent(Strict):
    kind: AgentKind
    command: tuple[FilledLine, ...] = ()
    """The program with its arguments. For `command` and `acp` it must be given; `claude` and `codex` find their own client on the
    PATH where it is not."""
    script: str = ""
    """For `scripted`: the YAML file with the script, relative to the repository's root."""
    recordings: str = ""
    """For `replay`: the folder with recorded attempts, relative to the repository's root."""
    model: str = ""
    """The model that is asked for; one that answers under another name fails the attempt. Empty: the client's own choice."""
    base_url: Url = ""
    """Where the model is served, where that is not the vendor's own place; for `openai` it must be given."""
    key: Name | Literal[""] = ""
    """Name of the environment variable that holds the key; empty: the client's usual one."""
    form: Literal["strict", "plain"] = "strict"
    """For `codex`: the application server that asks before each edit, or the plain `exec`."""
    fallback: Name | Literal[""] = ""
    """Agent that takes over where this one cannot go on: no sign-in, no quota, a client that crashes."""
    max_usd: float | None = Field(default=None, ge=0)
    """For one attempt."""
    max_tokens: PositiveInt | None = None
    """For one attempt, input and output together."""
    max_turns: PositiveInt = 100
    """Answers of the model in one attempt."""
    silence_s: Seconds = 600.0
    """How long the client may say nothing at all."""
    price: Price | None = None
    """Where the driver's own price table does not know the model, or you pay another price. Zero for a model of your own."""
    env: tuple[Name, ...] = ()
    """Names of environment variables that are handed on; nothing else is."""

    @property
    def key_name(self) -> str:
        """Environment variable that holds the key; "" for a kind that needs none."""
        return self.key or _KEYS.get(self.kind, "")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind, key, what in _NEEDED:
            if self.kind == kind and not getattr(self, key):
                raise ValueError(f"`{key}` with {what}, for an agent of kind {kind}")
        return self


_KEYS: dict[str, str] = {"claude": "ANTHROPIC_API_KEY", "codex": "OPENAI_API_KEY", "openai": "OPENAI_API_KEY"}
_NEEDED = (
    ("command", "command", "the program to start"),
    ("acp", "command", "the program to start"),
    ("scripted", "script", "the YAML file to play"),
    ("replay", "recordings", "the folder of recorded attempts"),
    ("openai", "base_url", "the address that serves the model (http://127.0.0.1:11434/v1)"),
    ("openai", "model", "the model's name"),
)
