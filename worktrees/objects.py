"""Commit objects, read and written without a process for each; byte for byte what `git commit-tree` writes."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worktrees.git import GitError

if TYPE_CHECKING:
    from pathlib import Path

    from worktrees.git import Identity, Repository

SHA1_DIGITS = 40
FASTEST = 1
"""How hard git itself tries on loose objects (`core.looseCompression`)."""
_NONCHARACTERS = frozenset(
    {*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF))}
)


@dataclass(frozen=True)
class Head:
    """What is needed of a commit to go on from it."""

    tree: str
    date: int
    """Of the committer, in seconds since the epoch."""
    parents: tuple[str, ...] = ()


def parse_commit(body: bytes) -> Head:
    """Read the head of a commit object."""
    tree, date, parents = "", 0, []
    for line in body.partition(b"\n\n")[0].split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"tree":
            tree = value.decode()
        elif name == b"parent":
            parents.append(value.decode())
        elif name == b"committer":
            date = int(value.rsplit(b" ", 2)[1])
    return Head(tree, date, tuple(parents))


def commit_body(head: Head, message: str, *, person: Identity, zone: str) -> bytes | None:
    """Write out a commit; None where git would first convert the text, which is then left to git."""
    who = f"{person.name} <{person.email}> {head.date} {zone}"
    lines = [f"tree {head.tree}", *(f"parent {parent}" for parent in dict.fromkeys(head.parents))]
    text = "\n".join([*lines, f"author {who}", f"committer {who}", "", message])
    if "\0" in message or not _NONCHARACTERS.isdisjoint(map(ord, text)):
        return None
    try:
        return text.encode()
    except UnicodeEncodeError:  # bytes of a name that is no UTF-8
        return None


def zone_of(moment: int) -> str:
    """Give the offset of local time from UTC as git writes it: `+0530`."""
    minutes = time.localtime(moment).tm_gmtoff // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"


def object_id(kind: str, body: bytes, *, digits: int) -> tuple[str, bytes]:
    """Give the id of an object, and its bytes with the header that the id is taken over."""
    data = b"%s %d\0%s" % (kind.encode(), len(body), body)
    digest = hashlib.sha1(data, usedforsecurity=False) if digits == SHA1_DIGITS else hashlib.sha256(data)
    return digest.hexdigest(), data


def write_commit(repository: Repository, body: bytes, *, digits: int) -> str:
    """Put a commit into the person's object store as a loose object; give its id. It is on disk after the next sync."""
    oid, data = object_id("commit", body, digits=digits)
    place = repository.common / "objects" / oid[:2] / oid[2:]
    try:
        _place(place, data)
    except OSError as error:
        raise GitError(("hash-object", "-w"), f"{place}: {error.strerror}") from error
    return oid


def _place(place: Path, data: bytes) -> None:
    try:
        os.utime(place)  # as git does: what was asked for just now is no garbage
    except FileNotFoundError:
        packed = zlib.compress(data, FASTEST)
        try:
            _write(place, packed)
        except FileNotFoundError:  # the folder is not there yet, or no more: `git gc` removes empty ones
            place.parent.mkdir(exist_ok=True)
            _write(place, packed)


def _write(place: Path, packed: bytes) -> None:
    # git gives its own unfinished objects such names, and its gc removes what a crash leaves
    making = place.with_name(f"tmp_obj_{secrets.token_hex(8)}")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor
            stream.write(packed)
        making.replace(place)
    except BaseException:
        making.unlink(missing_ok=True)
        raise
