"""What a repository's own check says in its report or output: read as data, bounded, and believed only with its exit code."""

from __future__ import annotations

import json
import stat
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates.commands import not_judged
from gates.declared import sarif
from gates.testing import junit
from gates.testing.junit import UnusableReportError

if TYPE_CHECKING:
    from collections.abc import Collection

    from gates.workshop import Lease, Ran
    from tickets.policy import Check

REPORT_BYTES = 16 << 20
MATCH_S = 20.0
"""A pattern that needs longer for one output would hold up everything."""
_RED = frozenset({"failed", "error", "collection"})
_MATCHER = """import json, re, sys
pattern, found = re.compile(sys.argv[2]), []
with open(sys.argv[1], encoding="utf-8", errors="replace") as stream:
    for line in stream:
        match = pattern.search(line[:2000].rstrip("\\n"))
        if match and len(found) < 5000:
            found.append({name: (text or "")[:300] for name, text in match.groupdict().items()})
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One thing that a check says of the tree."""

    message: str
    rule: str = ""
    path: str = ""
    line: int = 0
    identity: str = ""
    """What makes it the same thing in another run, where the message may differ; the line never does."""
    warning: bool = False
    """Counts only where the exit code says that something is wrong."""

    @property
    def same(self) -> tuple[str, str, str]:
        return self.rule, self.path, self.identity or self.message


def discard_report(check: Check, lease: Lease) -> None:
    """Remove a report that the tree brought along: it would be none of this run."""
    if check.report:
        lease.discard(check.report)


def read(check: Check, lease: Lease, ran: Ran, paths: Collection[str]) -> tuple[Told, ...]:
    """Give what the check tells beyond its exit code; raise UnusableReportError where that cannot be read."""
    if check.parser == "exit":
        return ()
    if check.parser == "regex":
        told = _matched(check, lease, ran)
    else:
        data = _bytes(lease, check.report)
        told = _tests(data, paths) if check.parser == "junit" else _results(data)
    return tuple(replace(one, path=_in_tree(one.path, check.cwd, lease, paths)) for one in told)


def _bytes(lease: Lease, name: str) -> bytes:
    place = lease.find(name)
    if place is None:
        raise UnusableReportError(f"it wrote no report at {name}")
    status = place.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > REPORT_BYTES:
        raise UnusableReportError(
            f"its report {name} is not a regular file of the tree with at most {REPORT_BYTES >> 20} MiB"
        )
    return place.read_bytes()


def _tests(data: bytes, paths: Collection[str]) -> tuple[Told, ...]:
    results = junit.read(data, paths)
    if not results:
        raise UnusableReportError("its report lists no test")
    return tuple(
        Told(message=f"{one.id} {one.state}: {one.message}", identity=one.id, path=one.path, line=one.line)
        for one in results
        if one.state in _RED
    )


def _results(data: bytes) -> tuple[Told, ...]:
    return tuple(
        Told(message=one.message, rule=one.rule, path=one.path, line=one.line, warning=one.level == "warning")
        for one in sarif.read(data)
    )


def _matched(check: Check, lease: Lease, ran: Ran) -> tuple[Told, ...]:
    """Match the pattern line by line in a process that can be stopped: a pattern can take for ever."""
    with tempfile.TemporaryDirectory(dir=lease.scratch) as folder:
        output = Path(folder) / "output"
        output.write_text(ran.output, encoding="utf-8", errors="replace")
        command = (str(lease.environment.python), "-I", "-c", _MATCHER, str(output), check.pattern)
        matched = lease.run(command, timeout_s=MATCH_S)
    if not_judged(matched) or not matched.ok:
        raise UnusableReportError(f"its pattern could not be matched within {MATCH_S:g} s: {matched.tail(1)}")
    try:
        rows = json.loads(matched.output)
    except ValueError as error:
        raise UnusableReportError("its pattern matches more than can be read") from error
    return tuple(_of_match(row) for row in rows)


def _of_match(row: dict[str, Any]) -> Told:
    line = row.get("line", "")
    digits = line.isascii() and line.isdigit()
    return Told(message=row.get("message", ""), path=row.get("path", ""), line=int(line) if digits else 0)


def _in_tree(path: str, cwd: str, lease: Lease, paths: Collection[str]) -> str:
    """Spell a path as the tree does: relative to its root, not to the check's working folder."""
    name = path.removeprefix(f"{lease.folder}/").removeprefix("./")
    below = f"{cwd}/{name}"
    return below if cwd and below in paths and name not in paths else name
