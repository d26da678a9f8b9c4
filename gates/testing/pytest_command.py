"""Commands of pytest: what the harness adds to them, and which paths they name themselves."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# an inherited cache could reorder or deselect; ids are always relative to the tree, whatever ini file is found
_ALWAYS = ("-p", "no:cacheprovider", "--rootdir=.")
_REPORT = ("-o", "junit_family=xunit1")
_TAKES_VALUE = frozenset((
    "-k", "-m", "-n", "-p", "-c", "-o", "-W", "-r", "--maxfail", "--rootdir", "--confcutdir", "--basetemp",
    "--junitxml", "--junit-xml", "--durations", "--timeout", "--dist", "--tx", "--cov", "--cov-report",
    "--cov-config", "--ignore", "--ignore-glob", "--deselect", "--import-mode", "--tb", "--log-level",
    "--log-cli-level", "--log-file", "--color", "--capture", "--override-ini", "--verbosity",
    "--numprocesses", "--maxprocesses",
))  # fmt: skip
COLLECTED, FAILED, INTERRUPTED, USAGE, NONE_COLLECTED = 0, 1, 2, 4, 5
"""Exit codes of pytest."""


def is_pytest(command: Sequence[str]) -> bool:
    return any(PurePosixPath(word).name in {"pytest", "py.test"} for word in command)


def paths_of(command: Sequence[str]) -> tuple[str, ...]:
    """List the positions in words: the paths and ids that the command names itself."""
    start = next(
        (at for at, word in enumerate(command) if PurePosixPath(word).name in {"pytest", "py.test"}), len(command)
    )
    found, before = [], ""
    for word in command[start + 1 :]:
        if not word.startswith("-") and before not in _TAKES_VALUE:
            found.append(word)
        before = word
    return tuple(found)


def with_selection(command: Sequence[str], select: Sequence[str], files: Collection[str]) -> tuple[str, ...]:
    """Add what a ticket selects and the command's own paths do not cover: a selection never narrows what runs."""
    own = paths_of(command)
    more = [
        entry for entry in select if own and not any(_covers(path, entry) for path in own) and _exists(entry, files)
    ]
    return (*command, *dict.fromkeys(more))


def without_missing(command: Sequence[str], files: Collection[str]) -> tuple[str, ...] | None:
    """Leave out paths that the tree does not have; None when nothing of what the command names is there."""
    own = paths_of(command)
    missing = {path for path in own if not _exists(path, files)}
    if own and missing == set(own):
        return None
    return tuple(word for word in command if word not in missing)


def running(command: Sequence[str], report: str) -> tuple[str, ...]:
    return (*command, *_ALWAYS, *_REPORT, f"--junitxml={report}")


def running_only(command: Sequence[str], ids: Sequence[str], report: str) -> tuple[str, ...]:
    """Run exactly these ids, with the options of the command."""
    own = set(paths_of(command))
    return running((*(word for word in command if word not in own), *ids), report)


def collecting(command: Sequence[str]) -> tuple[str, ...]:
    return (*command, *_ALWAYS, "--collect-only", "--verbosity=-1")


def collected_ids(output: str, files: Collection[str]) -> frozenset[str]:
    """Read the ids that a collecting run printed, one a line; whatever else was printed there names no file."""
    return frozenset(line for line in output.splitlines() if "::" in line and line.partition("::")[0] in files)


def _covers(path: str, entry: str) -> bool:
    plain = path.removeprefix("./").rstrip("/")
    return plain in {"", "."} or entry == plain or entry.startswith((f"{plain}/", f"{plain}::"))


def _exists(entry: str, files: Collection[str]) -> bool:
    path = entry.partition("::")[0].removeprefix("./").rstrip("/")
    return path in {"", "."} or path in files or any(file.startswith(f"{path}/") for file in files)
