"""What an auditor answers, read strictly: it is an agent's text, and nothing in it is believed because it is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from tickets.documents import Strict, read_json, validate
from tickets.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_BYTES = 1 << 18
MOST_FINDINGS = 50
"""More than these nobody reads; a longer answer is no answer."""
_FENCED = re.compile(r"\s*```(?:json)?\n(.*)\n```\s*", re.DOTALL)
Severity = Literal["blocker", "major", "minor"]
Text = Annotated[str, StringConstraints(max_length=4000)]
M = TypeVar("M", bound=Strict)


class UnusableAnswerError(Exception):
    """The answer says nothing that can be counted, and why."""


class Claim(Strict):
    """One finding of an auditor."""

    path: Annotated[Text, StringConstraints(pattern=r"^[^\x00]+$")]
    line: int = Field(ge=0)
    quote: Text
    """Copied from a line of the file as the change leaves it."""
    severity: Severity
    claim: Text
    why: Text


class Findings(Strict):
    """The first phase."""

    findings: Annotated[tuple[Claim, ...], Field(max_length=MOST_FINDINGS)]


class Rechecked(Strict):
    index: int = Field(ge=0)
    verdict: Literal["confirmed", "refuted"]
    because: Text


class Review(Strict):
    """The second phase: each finding checked for truth, and what was missed."""

    findings: Annotated[tuple[Rechecked, ...], Field(max_length=MOST_FINDINGS)]
    missed: Annotated[tuple[Claim, ...], Field(max_length=MOST_FINDINGS)]


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The findings of both phases, by what became of them."""

    standing: tuple[tuple[Claim, int], ...]
    """Confirmed, or found in the second phase; each with the line where its quote stands."""
    refuted: int
    dropped: int
    """Findings whose quote does not stand where they say."""


def read_findings(text: str) -> tuple[Claim, ...]:
    return _read(Findings, text, "its first phase").findings


def read_review(text: str, count: int) -> Review:
    """Read the second phase; raise where it does not say of each of the `count` findings what became of it."""
    review = _read(Review, text, "its second phase")
    indices = sorted(entry.index for entry in review.findings)
    if indices != list(range(count)):
        told = ", ".join(map(str, indices)) or "none"
        raise UnusableAnswerError(f"its second phase re-checks the findings {told}, not each of the {count} once")
    return review


def _read(model: type[M], text: str, what: str) -> M:
    if not text.strip():
        raise UnusableAnswerError(f"{what} is empty")
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise UnusableAnswerError(f"{what} is longer than {MOST_BYTES >> 10} KiB")
    fenced = _FENCED.fullmatch(text)
    try:
        return validate(model, read_json(fenced[1] if fenced else text, what))
    except FileError as error:
        raise UnusableAnswerError(f"{what} has not the form that was asked for ({error.problems[0]})") from error


def sort(found: Sequence[Claim], review: Review, read: Callable[[str], str | None]) -> Sorted:
    """Drop what is refuted and what quotes no line that stands in the tree; `read` gives a file's text."""
    confirmed = {entry.index for entry in review.findings if entry.verdict == "confirmed"}
    left = [*(claim for index, claim in enumerate(found) if index in confirmed), *review.missed]
    texts = {path: read(path) for path in {claim.path for claim in left}}
    placed = [(claim, standing_at(texts[claim.path] or "", claim)) for claim in left]
    standing = tuple((claim, line) for claim, line in placed if line)
    return Sorted(standing=standing, refuted=len(found) - len(confirmed), dropped=len(left) - len(standing))


def standing_at(text: str, claim: Claim) -> int:
    """Give the line where the quote stands, the nearest to the one that was named; 0 where it stands nowhere."""
    wanted = [line.strip() for line in claim.quote.strip().splitlines()]
    lines = [line.strip() for line in text.splitlines()]
    if not wanted:
        return 0
    places = [at + 1 for at, line in enumerate(lines) if line == wanted[0] and lines[at : at + len(wanted)] == wanted]
    return min(places, key=lambda place: abs(place - claim.line), default=0)
