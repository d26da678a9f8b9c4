"""A repository of any size with tickets whose changes are made already: what is measured begins where they board the train."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _project import ENVIRONMENT, IDENTITY, ROOT, git

sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]
os.environ.update(IDENTITY)

from demo_project import Demo, home_in  # noqa: E402 - found on the path that was set above
from train_yard import QUIET, Yard  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TEXT = "".join(f"a line of a file that is merged, number {number}\n" for number in range(24))
BEGAN = 1_700_000_000
WHO = f"committer Ada <ada@example.org> {BEGAN} +0000\n"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one ticket does: it edits one file of the tree and adds one."""

    branch: str
    files: dict[str, str]
    commit: str


@dataclass(frozen=True)
class Spent:
    """Seconds, of this process and all of its children that have ended."""

    processor: float
    wall: float


def path_of(number: int) -> str:
    return f"part{number // 2_500}/group{number // 50 % 50}/file{number}.txt"


def repository(
    folder: Path, *, files: int, changes: int, extra: dict[str, str], red: Iterable[int] = ()
) -> list[Change]:
    """Make a repository with main checked out and one branch for each change; red ones also add the file `red/NUMBER`."""
    made = {f"change{number}": _files(number, files, number in set(red)) for number in range(changes)}
    git(folder.parent, "init", "-qb", "main", str(folder))
    git(folder, "config", "gc.auto", "0")
    with tempfile.TemporaryFile() as stream:
        tree = {path_of(number): f"{TEXT}{number}\n" for number in range(files)} | extra
        stream.writelines(_commit("main", 1, tree))
        for mark, (branch, each) in enumerate(made.items(), 2):
            stream.writelines(_commit(branch, mark, each))
        stream.write(b"done\n")
        stream.seek(0)
        subprocess.run(
            ["git", "fast-import", "--quiet", "--done"], cwd=folder, env=ENVIRONMENT, stdin=stream, check=True
        )
    git(folder, "reset", "-q", "--hard", "main")
    listing = ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"]
    done = subprocess.run(listing, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    commits = dict(line.split() for line in done.stdout.splitlines())
    return [Change(branch=branch, files=each, commit=commits[branch]) for branch, each in made.items()]


def _files(number: int, files: int, red: bool) -> dict[str, str]:  # noqa: FBT001 - a word of the setting
    edited = number * 977 % files
    done = {path_of(edited): f"{TEXT}{edited}\nedited by {number}\n", f"new/file{number}.txt": TEXT}
    return done | ({f"red/{number}.txt": "red\n"} if red else {})


def _commit(branch: str, mark: int, files: dict[str, str]) -> Iterator[bytes]:
    yield f"commit refs/heads/{branch}\nmark :{mark}\n{WHO}data 2\nx\n".encode()
    yield b"from :1\n" if mark > 1 else b""
    for path, text in files.items():
        data = text.encode()
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)


class ReadyYard(Yard):
    """A yard whose commits are there already."""

    commits: dict[str, str]

    def commit(self, base: str, files: object) -> str:
        return self.commits[str(files)] if str(files) in self.commits else super().commit(base, files)  # type: ignore[arg-type]


@contextmanager
def yard(
    *, files: int, changes: int, policy: str = QUIET, red: Iterable[int] = ()
) -> Iterator[tuple[ReadyYard, list[str]]]:
    """Give a yard and the tickets that are ready to board."""
    with tempfile.TemporaryDirectory() as place:
        from pathlib import Path

        from orchestrator.workspace import Workspace

        folder = Path(place).resolve()
        made = repository(folder / "repo", files=files, changes=changes, extra={"orchestrate.toml": policy}, red=red)
        workspace = Workspace.open(folder / "repo")
        workspace.prepare()
        found = ReadyYard(demo=Demo(folder / "repo", home_in(folder)), workspace=workspace)
        found.commits = {str(change.files): change.commit for change in made}
        yield found, found.queue(*(change.files for change in made))


def timed(action: Callable[[], object]) -> Spent:
    before, began = _processor(), time.perf_counter()
    action()
    return Spent(_processor() - before, time.perf_counter() - began)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
