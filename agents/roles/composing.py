"""Roles put together: a role file, its parents, and the Markdown blocks that they name. Every complaint has file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.roles.model import BlockText, Part, Role, RoleFile
from tickets.documents import read_toml, validate
from tickets.errors import FileError, InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from importlib.resources.abc import Traversable

    from tickets.documents import Document

DEEPEST = 4
"""Roles in one line of descent, the role itself counted."""
BLOCKS = "blocks"
_LISTS = {"capability": "capabilities", "block": "blocks", "tool": "tools", "report": "report", "sees": "sees"}
_GATES = re.compile(r"\(gates?: ([a-z, -]+)\)")
"""How a block names the gate that checks a rule of it."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A role file with the places of its keys."""

    name: str
    file: RoleFile
    document: Document

    def problem(self, key: tuple[str | int, ...], expected: str) -> Problem:
        return self.document.problem(key, expected)


@dataclass(frozen=True, kw_only=True)
class Library:
    """A folder of role files with its folder of blocks."""

    folder: Traversable
    _known: dict[str, Role] = field(default_factory=dict, repr=False, compare=False)

    def names(self) -> list[str]:
        return sorted(file.name.removesuffix(".toml") for file in self.folder.iterdir() if file.name.endswith(".toml"))

    def named(self, name: str) -> Role:
        """Compose a role; raise InputError where there is none, FileError with every problem where it cannot be."""
        if name not in self._known:
            names = self.names()
            if name not in names:
                raise InputError(f"there is no role {name!r}; there are {', '.join(names)}")
            self._known[name] = self._composed(name, names)
        return self._known[name]

    def started(self, name: str, gates: Collection[str]) -> Role:
        """Compose a role that is about to work; raise FileError where one of its capabilities is no gate here."""
        role = self.named(name)
        missing = [part for part in role.capabilities if part.name not in gates]
        if missing:
            expected = f"expected names of gates ({', '.join(gates)}), not "
            raise FileError(
                *(self._read(part.source).problem(("capabilities",), f"{expected}{part.name!r}") for part in missing)
            )
        return role

    def _composed(self, name: str, names: Collection[str]) -> Role:
        line = self._lineage(name, names)
        if problems := [*_strangers(line[0], names), *_unfounded(line)]:
            raise FileError(*problems)
        kept = {kind: tuple(_inherited(line, kind)) for kind in _LISTS}
        blocks = tuple(self._block(part, line) for part in kept["block"])
        if problems := [*_unbacked(line[0], blocks, {part.name for part in kept["capability"]})]:
            raise FileError(*problems)
        fields = {one.name: one for read in line for one in read.file.report}
        return Role(
            name=name,
            purpose=line[0].file.purpose,
            lineage=tuple(read.name for read in line),
            blocks=blocks,
            capabilities=kept["capability"],
            tools=kept["tool"],
            sees=kept["sees"],
            report=tuple(fields[part.name] for part in kept["report"]),
            relaxes=tuple((read.name, relaxed) for read in reversed(line) for relaxed in read.file.relaxes),
            hands_over=line[0].file.hands_over,
        )

    def _lineage(self, name: str, names: Collection[str]) -> list[_Read]:
        """Read the role and its parents, the role first."""
        line = [self._read(name)]
        while (parent := line[-1].file.extends) is not None:
            so_far = [read.name for read in line]
            if parent not in names:
                raise FileError(
                    line[-1].problem(("extends",), f"expected one of {', '.join(sorted(names))}, not {parent!r}")
                )
            if parent in so_far:
                circle = " → ".join([*so_far[so_far.index(parent) :], parent])
                raise FileError(
                    line[-1].problem(("extends",), f"expected a parent that does not come back to it: {circle}")
                )
            if len(line) == DEEPEST:
                chain = " → ".join([*so_far, parent])
                raise FileError(line[-1].problem(("extends",), f"expected at most {DEEPEST} roles in a line: {chain}"))
            line.append(self._read(parent))
        return line

    def _read(self, name: str) -> _Read:
        file = self.folder / f"{name}.toml"
        document = read_toml(_text(file), _shown(file))
        return _Read(name=name, file=validate(RoleFile, document), document=document)

    def _block(self, part: Part, line: Iterable[_Read]) -> BlockText:
        file = self.folder / BLOCKS / f"{part.name}.md"
        if not file.is_file():
            source = next(read for read in line if read.name == part.source)
            raise FileError(source.problem(("blocks",), f"expected the file {BLOCKS}/{part.name}.md to be there"))
        return BlockText(name=part.name, source=part.source, text=_text(file).strip())


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            Problem(file=_shown(file), line=1, key="", expected=f"expected text in UTF-8: {error}")
        ) from error


def _shown(file: Traversable) -> str:
    return f"roles/{file.name}"


def _inherited(line: list[_Read], kind: str) -> Iterator[Part]:
    """Give what the oldest parent demands first, each thing once, without what a child was spared."""
    found: dict[str, str] = {}
    for read in reversed(line):
        for relaxed in read.file.relaxes:
            if relaxed.kind == kind:
                found.pop(relaxed.name, None)
        for one in _stated(read.file, kind):
            found.setdefault(one, read.name)
    return (Part(name=name, source=source) for name, source in found.items())


def _stated(file: RoleFile, kind: str) -> list[str]:
    values: tuple[Any, ...] = getattr(file, _LISTS[kind])
    return [value if isinstance(value, str) else value.name for value in values]


def _unfounded(line: list[_Read]) -> Iterator[Problem]:
    """Give what a role in the line is spared although none of its parents demands it."""
    for place, read in enumerate(line):
        for index, relaxed in enumerate(read.file.relaxes):
            demanded = [part.name for part in _inherited(line[place + 1 :], relaxed.kind)]
            if relaxed.name not in demanded:
                said = ", ".join(demanded) or "nothing"
                what = f"expected a {relaxed.kind} that a parent demands ({said}), not {relaxed.name!r}"
                yield read.problem(("relaxes", index, "name"), what)


def _strangers(read: _Read, names: Collection[str]) -> Iterator[Problem]:
    for index, hand_over in enumerate(read.file.hands_over):
        if hand_over.to not in names:
            what = f"expected one of {', '.join(sorted(names))}, not {hand_over.to!r}"
            yield read.problem(("hands_over", index, "to"), what)


def _unbacked(read: _Read, blocks: Iterable[BlockText], gates: Collection[str]) -> Iterator[Problem]:
    """Give the gates that a block calls on although the role is not judged by them."""
    for block in blocks:
        for gate in sorted(gates_named(block.text) - set(gates)):
            what = f"expected `{gate}`, which the block {block.name} names as the gate that checks a rule"
            yield read.problem(("capabilities",), what)


def gates_named(text: str) -> set[str]:
    """Give the gates that a text names as those that check its rules."""
    return {name.strip() for found in _GATES.findall(text) for name in found.split(",")}
