"""What recovery finds, and what it did about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a crash, or somebody's hand, left behind."""

    kind: Literal[
        "object",
        "process",
        "lock",
        "half-made",
        "attempt",
        "money",
        "folder",
        "ref",
        "record",
        "bundle",
        "log",
        "trash",
        "disk",
    ]
    subject: str
    """A path, a ref, a process, or a ticket's attempt."""
    done: Literal["archived", "removed", "ended", "settled", "packed", "kept", "stuck"]
    """`kept`: nothing was done, and nothing had to be. `stuck`: it could not be archived, so it stays as it is."""
    said: str
    """A sentence for a person."""
