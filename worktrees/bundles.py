"""Attempts that moved out of git's refs into a bundle file: written, proved, and only then let go of.

A bundle is thin: it stands on a commit of the target, which a ref of its own keeps alive for as long as the bundle is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.errors import EnvironmentFailure
from worktrees.checkout import ARCHIVE
from worktrees.durable import sync, write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worktrees.git import Repository

FOLDER = "archive"
GROUND = "refs/orchestrate/bundles"
"""What the bundles stand on."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    file: Path
    refs: Mapping[str, str]
    """Name and commit of each attempt in it."""
    sha256: str
    at: float
    """When it was written, in seconds since the epoch."""


def bundles(repository: Repository) -> list[Bundle]:
    """List the bundles, oldest first."""
    return [_read(note) for note in sorted((repository.state / FOLDER).glob("attempts-*.json"))]


def _read(note: Path) -> Bundle:
    kept = json.loads(note.read_text(encoding="utf-8"))
    return Bundle(file=note.with_suffix(".bundle"), refs=kept["refs"], sha256=kept["sha256"], at=kept["at"])


def bundled(repository: Repository) -> dict[str, str]:
    """Give the attempts that are in a bundle: name of the ref and commit."""
    return {ref: commit for one in bundles(repository) for ref, commit in one.refs.items()}


def sound(repository: Repository) -> dict[str, str]:
    """Give the attempts that are in a bundle whose bytes are those that were written."""
    return {ref: commit for one in bundles(repository) if _is_sound(one) for ref, commit in one.refs.items()}


def bundle(repository: Repository, refs: Mapping[str, str], *, ground: str) -> Bundle:
    """Move these refs into a new bundle that stands on the commit `ground`; raise EnvironmentFailure when it proves unsound.

    A ref that moved meanwhile keeps all of them where they are; repeating it after a crash loses nothing.
    """
    folder = repository.state / FOLDER
    folder.mkdir(exist_ok=True)
    name = f"attempts-{time.strftime('%Y%m%dT%H%M%S')}-{time.monotonic_ns() % 10**6:06d}"
    ready, file = folder / f"{name}.{os.getpid()}.tmp", folder / f"{name}.bundle"
    words = "".join(f"{ref}\n" for ref in sorted(refs)) + f"^{ground}\n"
    repository.git("bundle", "create", "--quiet", str(ready), "--stdin", stdin=words.encode())
    _prove(repository, ready, refs, ground=ground)
    made = Bundle(file=file, refs=dict(refs), sha256=_sha256(ready), at=time.time())
    repository.git("update-ref", f"{GROUND}/{name}", ground)
    ready.replace(file)
    kept = {"refs": made.refs, "sha256": made.sha256, "at": made.at, "ground": ground}
    write_durably(file.with_suffix(".json"), json.dumps(kept, indent=1, sort_keys=True).encode())
    sync(folder)
    delete(repository, refs)
    return made


def delete(repository: Repository, refs: Mapping[str, str]) -> None:
    """Delete the refs in one transaction, each only while it still stands where it was seen."""
    rows = "".join(f"delete {ref} {commit}\n" for ref, commit in refs.items())
    repository.git("update-ref", "--stdin", stdin=f"start\n{rows}prepare\ncommit\n".encode())


def _prove(repository: Repository, file: Path, refs: Mapping[str, str], *, ground: str) -> None:
    """Unpack the bundle beside the repository, and find every object there that the refs alone keep alive."""
    repository.git("bundle", "verify", "--quiet", str(file))
    heads = repository.git("bundle", "list-heads", str(file)).text
    if {ref: commit for commit, ref in (line.split(" ", 1) for line in heads.splitlines())} != dict(refs):
        raise EnvironmentFailure(f"{file} does not hold what it was made of; nothing was removed")
    words = "".join(f"{commit}\n" for commit in refs.values()) + f"^{ground}\n"
    listed = repository.plumb("rev-list", "--objects", "--no-object-names", "--stdin", stdin=words.encode())
    missing = set(listed.text.split()) - _unpacked(repository, file)
    if missing:
        raise EnvironmentFailure(f"{file} lacks {len(missing)} objects; nothing was removed")


def _unpacked(repository: Repository, file: Path) -> set[str]:
    """Give the ids of the bundle's objects; git computes them from the bytes as it unpacks them."""
    with tempfile.TemporaryDirectory(dir=repository.state, prefix=f"index-{os.getpid()}-") as scratch:
        packs = Path(scratch, "pack")
        packs.mkdir()
        borrowed = str(repository.common / "objects")
        where = {"GIT_OBJECT_DIRECTORY": scratch, "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{_escaped(borrowed)}"'}
        repository.git("bundle", "unbundle", str(file), env=where)
        found: set[str] = set()
        for index in packs.glob("*.idx"):
            with index.open("rb") as stream:
                rows = repository.plumb("show-index", f"--object-format={_algorithm(repository)}", stdin=stream).text
            found |= {row.split()[1] for row in rows.splitlines()}
        return found


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _algorithm(repository: Repository) -> str:
    return repository.ask("rev-parse", "--show-object-format").text


def restore(repository: Repository, ticket: str) -> list[str]:
    """Bring a ticket's attempts back from their bundles; give the refs that are there again.

    Raise EnvironmentFailure where none of the bundles that should hold one is what was written.
    """
    there, back = repository.refs(f"{ARCHIVE}/{ticket}"), []
    missing = {ref for ref in bundled(repository) if ref.startswith(f"{ARCHIVE}/{ticket}/")} - there.keys()
    for one in bundles(repository) if missing else ():
        wanted = missing & one.refs.keys()
        if wanted and _is_sound(one):
            repository.git("bundle", "unbundle", str(one.file))
            sync(repository.common)
            back += [ref for ref in sorted(wanted) if _put_back(repository, ref, one.refs[ref])]
            missing -= wanted
    if missing:
        raise EnvironmentFailure(f"{min(missing)} cannot be restored: its bundle in {FOLDER} is missing or damaged")
    return back


def _put_back(repository: Repository, ref: str, commit: str) -> bool:
    return repository.move(ref, new=commit, old=None, reason="restored from a bundle")


def _is_sound(one: Bundle) -> bool:
    return one.file.is_file() and _sha256(one.file) == one.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
