"""Recorded attempts: what one changed and said, kept under the hash of the brief that it was given, and played back exactly.

A recording is `FOLDER/<sha256 of the brief>.json`: `brief_sha256`, `title`, `recorded_from`, and either `answer` (of a lead or an auditor) or
`files` (`path`, `mode` as git has it or `deleted`, `content` in base64; the target of a symlink is its content), `outcome` and `transcript`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator

from tickets.documents import Strict, read_json, validate
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST = 256 << 20
"""Bytes of one recording."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = {"100644": 0o644, "100755": 0o755}
Mode = Literal["100644", "100755", "120000", "deleted"]


class UnfitError(Exception):
    """A recording cannot be played in this tree; the message says why."""


def _inside(path: str) -> str:
    """Give the path back where it stays in a tree and names no part of a git repository."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and not path.startswith("/") and "\0" not in path and bool(parts)
    if not plain or any(part in {".", ".."} or _is_git(part) for part in parts):
        raise ValueError(f"expected a path inside the tree, not {path!r}")
    return path


def _is_git(part: str) -> bool:
    name = part.lower().rstrip(" .").partition(":")[0]
    return name in {".git", "git~1"}


class File(Strict):
    path: Annotated[str, AfterValidator(_inside)]
    mode: Mode
    content: str = ""
    """In base64."""

    def data(self) -> bytes:
        try:
            return base64.b64decode(self.content, validate=True)
        except binascii.Error as error:
            raise UnfitError(f"the content of {self.path} is no base64 ({error})") from error


class Recording(Strict):
    brief_sha256: str
    title: str
    recorded_from: str
    """Ticket and attempt, or who answered."""
    answer: str | None = None
    files: tuple[File, ...] = ()
    outcome: dict[str, Any] | None = None
    """As `agents.protocol.Outcome` is kept; None for an answer."""
    transcript: tuple[dict[str, Any], ...] = ()


def hash_of(brief: str) -> str:
    return hashlib.sha256(brief.encode(errors="surrogatepass")).hexdigest()


def find(folder: Path, brief: str) -> Recording:
    """Find what was recorded for this very brief; raise InputError where there is nothing, or what is there cannot be used."""
    wanted = hash_of(brief)
    file = folder / f"{wanted}.json"
    try:
        with file.open("rb") as stream:
            data = stream.read(LONGEST + 1)
    except FileNotFoundError:
        raise InputError(
            f"there is no recording of this brief (sha256 {wanted}) in {folder}: it differs from what was recorded, or nothing was; "
            f"record an attempt with: orchestrate agents record TICKET --to {folder}"
        ) from None
    except OSError as error:
        raise InputError(f"the recording {file} cannot be read ({error.strerror})") from error
    if len(data) > LONGEST:
        raise InputError(f"the recording {file} is larger than {LONGEST >> 20} MiB")
    recording = validate(Recording, read_json(data.decode(errors="replace"), str(file)))
    if recording.brief_sha256 != wanted:
        raise InputError(f"{file}: it is the recording of another brief (sha256 {recording.brief_sha256})")
    return recording


def save(folder: Path, recording: Recording) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{recording.brief_sha256}.json"
    beside = file.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(recording.model_dump(mode="json"), indent=1), encoding="utf-8")
    beside.replace(file)
    return file


# playing


def play(recording: Recording, tree: Path) -> None:
    """Make the recorded changes below `tree`; raise UnfitError where something stands in the way. No link is followed."""
    player = _Player(tree=tree)
    order = {"deleted": 0, "120000": 2}
    for file in sorted(recording.files, key=lambda one: (order.get(one.mode, 1), one.path)):
        try:
            player.make(file)
        except OSError as error:
            raise UnfitError(f"{file.path} cannot be made as it was recorded ({error.strerror})") from error


@dataclass(frozen=True, kw_only=True)
class _Player:
    tree: Path
    _made: set[str] = field(default_factory=set)

    def make(self, file: File) -> None:
        place = PurePosixPath(file.path)
        with self._folder(place.parts[:-1], make=file.mode != "deleted") as folder:
            if folder is not None:
                _clear(folder, place.name)
                if file.mode != "deleted":
                    _put(folder, place.name, file)
        if file.mode == "deleted":
            self._prune(place.parent)

    @contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool) -> Iterator[int | None]:
        """Open a folder step by step; None where it is not there and is not to be made."""
        found: int | None = os.open(self.tree, _FOLDER)
        try:
            for part in parts:
                found = _entered(found, part, make=make)
            yield found
        finally:
            if found is not None:
                os.close(found)

    def _prune(self, folder: PurePosixPath) -> None:
        """Remove folders that a deletion left empty: git knows none."""
        while folder.parts:
            with self._folder(folder.parts[:-1], make=False) as parent:
                try:
                    if parent is None:
                        return
                    os.rmdir(folder.name, dir_fd=parent)
                except OSError:
                    return
            folder = folder.parent


def _entered(parent: int | None, name: str, *, make: bool) -> int | None:
    """Open a folder below another, which is closed."""
    if parent is None:
        return None
    try:
        if make and not _there(parent, name):
            os.mkdir(name, 0o755, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent) if make or _there(parent, name) else None
    finally:
        os.close(parent)


def _there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _clear(folder: int, name: str) -> None:
    """Take away what stands in the place; a folder there that is not empty is an error."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _put(folder: int, name: str, file: File) -> None:
    if file.mode == "120000":
        os.symlink(file.data(), name.encode(errors="surrogateescape"), dir_fd=folder)
        return
    with os.fdopen(os.open(name, _FILE, 0o600, dir_fd=folder), "wb") as stream:
        stream.write(file.data())
        os.fchmod(stream.fileno(), _PERMISSIONS[file.mode])
