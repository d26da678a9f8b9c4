"""A brief put together from pieces: filtered by what the role may see, fenced, cut to a budget, and accounted for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.roles.model import Role, Sight

MOST_CHARACTERS = 60_000
"""What a brief may hold where nothing else is said."""
GIVES_WAY: tuple[Sight, ...] = (
    "memory",
    "map",
    "repository",
    "diff",
    "findings",
    "evidence",
    "report",
    "costs",
    "plan",
    "ticket",
)
"""What is shortened first where a brief would be too long. Rules, the role's own words and the request are never."""
LEAST = 2_000
"""Characters that a shortened piece keeps, as long as shortening others is enough."""
GAP = "\n\n"
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e01ef]"
)
"""Controls, and characters that hide text, turn it around, or are read by a model and by nobody else."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Something that belongs into a brief."""

    name: str
    source: str
    """Where it comes from: `role executor`, `gate scope`, `ticket T-0001`."""
    text: str
    shows: Sight | None = None
    """What of the world it shows; a role that may not see that does not get it. None: the brief's own words."""
    head: str = ""
    """Markdown before the text."""
    form: Literal["words", "quotation", "data"] = "words"
    """`words` are the harness's own and never shortened; a quotation is the ticket's; data is from elsewhere and fenced."""
    language: str = ""
    """Of data."""

    @property
    def file(self) -> str:
        """Name of the file that holds the whole text where it is shortened here."""
        return f"{self.name}.{self.language or 'md'}"

    def rendered(self, kept: int | None = None) -> str:
        """Give its Markdown, with at most so many characters of its text."""
        if kept is None:
            return GAP.join(filter(None, (self.head, self._body(self.text))))
        note = (
            f"({len(self.text) - kept} of {len(self.text)} characters are left out here. The whole text is in the file "
            f"`{self.file}`, beside the file for your report.)"
        )
        return GAP.join(filter(None, (self.head, self._body(self.text[:kept]), note)))

    def _body(self, text: str) -> str:
        if self.form == "words" or not text:
            return visible(text)
        return fenced(text, self.language) if self.form == "data" else quoted(text)


@dataclass(frozen=True, kw_only=True)
class Block:
    """What became of a piece."""

    name: str
    source: str
    sha256: str
    """Of its Markdown as it stands in the brief."""
    characters: int
    left_out: int = 0
    """Characters of its text that did not fit."""


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What an agent is told, and where each part of it comes from."""

    text: str
    sha256: str
    blocks: tuple[Block, ...]
    beside: tuple[tuple[str, str], ...] = ()
    """Name and content of files that hold in full what was cut. They belong into the folder of the agent's report."""

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Give what is kept of it besides its text."""
        return {"sha256": self.sha256, "characters": len(self.text), "blocks": [asdict(block) for block in self.blocks]}


def visible(text: str) -> str:
    """Spell out every character that a reader would not see; lines end in one way."""
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):04x}}}", text.replace("\r\n", "\n"))


def fenced(text: str, language: str = "") -> str:
    """Put text of others into a block that nothing inside can end."""
    shown = visible(text).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def quoted(text: str) -> str:
    """Put words that somebody chose for a ticket into a quotation: no line of them can pass for a heading of the brief."""
    return "\n".join(f"> {line}".rstrip() for line in visible(text).split("\n"))


def assemble(role: Role, pieces: Iterable[Piece], *, most: int = MOST_CHARACTERS) -> Brief:
    """Make the brief of what the role may see; raise InputError where what cannot be shortened is too much already."""
    seen = {part.name for part in role.sees}
    shown = [piece for piece in pieces if piece.text and (piece.shows is None or piece.shows in seen)]
    kept = _fitted(shown, most)
    texts = [piece.rendered(kept.get(index)) for index, piece in enumerate(shown)]
    text = GAP.join(texts) + "\n"
    cut = [shown[index] for index in sorted(kept)]
    return Brief(
        text=text,
        sha256=_sha256(text),
        blocks=tuple(_block(piece, texts[index], kept.get(index)) for index, piece in enumerate(shown)),
        beside=tuple((piece.file, piece.text) for piece in cut),
    )


def _block(piece: Piece, text: str, kept: int | None) -> Block:
    left_out = 0 if kept is None else len(piece.text) - kept
    return Block(name=piece.name, source=piece.source, sha256=_sha256(text), characters=len(text), left_out=left_out)


def _fitted(pieces: Sequence[Piece], most: int) -> dict[int, int]:
    """Say of which pieces only so many characters are kept, so that the whole fits."""
    order = [
        index
        for sight in GIVES_WAY
        for index, piece in enumerate(pieces)
        if piece.shows == sight and piece.form != "words"
    ]
    kept = {index: most for index in order if len(pieces[index].text) > most}  # what is endless is not even rendered
    for least in (LEAST, 0):
        for index in order:
            if (over := _length(pieces, kept) - most) <= 0:
                return kept
            _shorten(pieces[index], index, kept, (over, least))
    if (over := _length(pieces, kept) - most) > 0:
        raise InputError(
            f"the brief is {over} characters longer than the {most} that it may have, with everything left out that can be: "
            "shorten the ticket (objective, non-goals, scope, acceptance), or split it"
        )
    return kept


def _shorten(piece: Piece, index: int, kept: dict[int, int], bounds: tuple[int, int]) -> None:
    """Keep as much of the piece as fits, and no less than it must keep; fence and note have to fit, too."""
    over, least = bounds
    now = kept.get(index, len(piece.text))
    if now <= least:
        return
    wanted = len(piece.rendered(kept.get(index))) - over
    while now > least:  # how long it becomes depends on what is in it, so it is tried, halving what is open
        middle = (least + now + 1) // 2
        if len(piece.rendered(middle)) <= wanted:
            least = middle
        else:
            now = middle - 1
    kept[index] = now


def _length(pieces: Sequence[Piece], kept: dict[int, int]) -> int:
    return sum(len(piece.rendered(kept.get(index))) + len(GAP) for index, piece in enumerate(pieces))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
