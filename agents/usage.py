"""What a model was used for: tokens, and the money they cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Of one run, or of a part of it."""

    input: int = 0
    """Tokens read, those from a cache included."""
    cached: int = 0
    """Those of them that came from a cache."""
    output: int = 0
    """Tokens written, those of its thinking included."""
    usd: float | None = None
    """As the client said; None where it names no money."""
    model: str = ""
    """The one that answered."""

    @property
    def tokens(self) -> int:
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            output=self.output + other.output,
            usd=None if self.usd is None and other.usd is None else (self.usd or 0.0) + (other.usd or 0.0),
            model=other.model or self.model,
        )

    def since(self, earlier: Usage) -> Usage:
        """Give what was added to an earlier count of the same session: clients count on from run to run."""
        return Usage(
            input=max(0, self.input - earlier.input),
            cached=max(0, self.cached - earlier.cached),
            output=max(0, self.output - earlier.output),
            usd=None if self.usd is None else max(0.0, self.usd - (earlier.usd or 0.0)),
            model=self.model,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


NOTHING = Usage()
