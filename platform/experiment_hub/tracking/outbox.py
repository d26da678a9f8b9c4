"""Files that a script logged, kept in the run's folder until a reader hands them to the artifact store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from experiment_hub.errors import BadInputError
from experiment_hub.files import write_json
from experiment_hub.tracking.hooks import say

FOLDER = "outbox"


class Shelf(Protocol):
    """What of the artifact store is needed here; the store itself stands beside this room, so callers bring it."""

    def log(self, owner: tuple[str, str], name: str, path: Path, *, role: str, keep: Literal["forever"]) -> Any: ...


class Waiting(NamedTuple):
    name: str
    role: str
    path: Path
    """The copy."""
    entry: Path


def put_aside(folder: Path, source: Path, name: str, role: str) -> None:
    """Copy first, then the note that makes the copy count."""
    if not source.exists():
        raise BadInputError(f"artifact {name!r}: {source} does not exist")
    import shutil  # here: a start does not need it

    entry = _new_entry(folder / FOLDER)
    if source.is_dir():
        shutil.copytree(source, entry / "content", symlinks=True)
    else:
        shutil.copyfile(source, entry / "content")
    write_json(entry / "entry.json", {"name": name, "role": role})


def waiting(folder: Path) -> Iterator[Waiting]:
    """In the order in which they were logged; an entry that a dying process left half is not there."""
    box = folder / FOLDER
    for entry in sorted((each for each in box.glob("*") if each.name.isdigit()), key=lambda each: int(each.name)):
        if (entry / "entry.json").is_file():
            found = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
            yield Waiting(found["name"], found["role"], entry / "content", entry)


def deliver(run_id: str, folder: Path, shelf: Shelf) -> int:
    """Hand everything over; what is killed half way is handed over again, which the store takes as the same."""
    import shutil

    count = 0
    for each in waiting(folder):
        try:
            shelf.log(("run", run_id), each.name, each.path, role=each.role, keep="forever")
        except BadInputError as error:
            say(f"run {run_id}: artifact {each.name!r} is refused and stays in {each.entry}: {error}")
            each.entry.rename(each.entry.with_suffix(".refused"))
            continue
        shutil.rmtree(each.entry, ignore_errors=True)  # another reader may be doing the same
        count += 1
    return count


def _new_entry(box: Path) -> Path:
    box.mkdir(exist_ok=True)
    number = sum(1 for _ in box.iterdir())
    while True:
        try:
            (box / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return box / str(number)
