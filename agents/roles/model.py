"""The form of a role file, and the role that comes of it and its parents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tickets.documents import Strict
from tickets.model import FilledLine, Key

Tool = Literal["read", "search", "edit", "run", "report"]
Sight = Literal[
    "request",
    "plan",
    "ticket",
    "rules",
    "repository",
    "map",
    "memory",
    "diff",
    "findings",
    "evidence",
    "report",
    "costs",
]
"""What a brief may show a role. What is not named stays out of its brief."""
Kind = Literal["capability", "block", "tool", "report", "sees"]
"""What a child may be spared of what its parent demands."""


class Relaxed(Strict):
    """Something of a parent that does not hold for the child."""

    kind: Kind
    name: FilledLine
    reason: FilledLine


class ReportField(Strict):
    name: FilledLine
    what: FilledLine
    """What is expected under it; the agent reads this."""


class HandOver(Strict):
    to: Key
    what: FilledLine
    when: FilledLine


class RoleFile(Strict):
    """One `<role>.toml`. Lists add to those of the parent."""

    purpose: FilledLine
    extends: Key | None = None
    blocks: Annotated[tuple[Key, ...], Field(min_length=1)]
    """Names of Markdown files in `blocks/`, in the order in which they are read."""
    capabilities: tuple[Key, ...] = ()
    """Names of the gates that its work is judged by. A role whose gate does not exist does not start."""
    tools: tuple[Tool, ...] = ()
    sees: tuple[Sight, ...] = ()
    report: tuple[ReportField, ...] = ()
    relaxes: tuple[Relaxed, ...] = ()
    hands_over: Annotated[tuple[HandOver, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something of a role together with the role file that it came from."""

    name: str
    source: str


@dataclass(frozen=True, kw_only=True)
class BlockText(Part):
    text: str


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role with everything that its parents gave it."""

    name: str
    purpose: str
    lineage: tuple[str, ...]
    """The role itself first, then its parent, and so on."""
    blocks: tuple[BlockText, ...]
    capabilities: tuple[Part, ...]
    tools: tuple[Part, ...]
    sees: tuple[Part, ...]
    report: tuple[ReportField, ...]
    relaxes: tuple[tuple[str, Relaxed], ...]
    """What was dropped on the way down, with the role that dropped it."""
    hands_over: tuple[HandOver, ...]
    """Its own: what follows on its work is not what follows on its parent's."""

    @property
    def edits(self) -> bool:
        """Say whether it changes files, which is what carrying out a ticket is."""
        return any(tool.name == "edit" for tool in self.tools)

    @property
    def gates(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.capabilities)

    @property
    def text(self) -> str:
        """Its blocks as one Markdown text."""
        return "\n\n".join(block.text for block in self.blocks)
