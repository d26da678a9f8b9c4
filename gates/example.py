"""A gate's shipped cases: small changes with the findings they must meet, played on a real repository."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gates.protocol import Audit, Case, Spent
from tickets.model import Ticket
from tickets.policy import Policy
from worktrees.changes import Change, between

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gates.protocol import Gate, Store
    from gates.workshop import Workshop
    from worktrees.git import Repository

WHO = "Signalbox <selftest@signalbox.invalid> 1700000000 +0000"
PLAIN: dict[str, Any] = {
    "id": "T-0001",
    "title": "Try it",
    "scope": {"write": ["**"]},
    "acceptance": (),
    "objective": "Try it",
    "non_goals": ("nothing else",),
}
"""A ticket that may write anything; an example names what it has beyond that."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One change and what the gate must say of it."""

    name: str
    """What is tried, in a few words; unique within its gate."""
    base: Mapping[str, str | bytes] = field(default_factory=dict)
    """Every file at the base, by path."""
    change: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """Files that the change writes, by path; None deletes one."""
    expects: tuple[str, ...] = ()
    """Rules of the findings, each as often as it must be found; empty: the gate must pass."""
    undecided: str = ""
    """Words in the reason of an `inconclusive` verdict, where that is what must come."""
    ticket: Mapping[str, Any] | None = field(default_factory=dict)
    """Keys beyond `PLAIN`; None: the repository's own limits, without any ticket."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    report: str | None = None
    attempt: int = 0
    evidence: tuple[Change, ...] = ()
    """What the attempt did besides the change that may land (kinds git, special, byproduct, outside)."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symlinks that the change makes, path and target."""
    executable: tuple[str, ...] = ()
    """Paths of the change that become executable."""
    spent: Spent = Spent()  # noqa: RUF009 - frozen, and without state of its own
    audit: Audit | None = None
    """Its tree may be `@`: the tree of the change."""
    transcript: str | None = None
    receipts: tuple[tuple[str, int | None], ...] = ()
    needs: tuple[str, ...] = ()
    """Packages that the interpreter must have, because the gate calls them."""
    runs: bool = False
    """Whether the gate starts commands of the tree: slower, and under the sandbox."""

    @property
    def must_refuse(self) -> bool:
        return bool(self.expects or self.undecided)


def examples(gate: str) -> tuple[Example, ...]:
    """Give the shipped cases of a built-in gate; none for a gate of another package."""
    name = f"gates.cases.{gate.replace('-', '_')}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()
    cases: tuple[Example, ...] = module.CASES
    return cases


def commit_all(repository: Repository, todo: Sequence[Example]) -> list[tuple[str, str]]:
    """Write base and change of every example as commits, in one run of git."""
    marks = repository.state / "examples.marks"
    stream = b"".join(_commits(index, example) for index, example in enumerate(todo))
    repository.plumb("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=stream)
    ids = dict(line.split() for line in marks.read_text().splitlines())
    return [(ids[f":{2 * index + 1}"], ids[f":{2 * index + 2}"]) for index in range(len(todo))]


def _commits(index: int, example: Example) -> bytes:
    first, second = 2 * index + 1, 2 * index + 2
    base = b"".join(_file(path, data, example) for path, data in example.base.items())
    change = b"".join(_file(path, data, example) for path, data in example.change.items())
    change += b"".join(_entry("120000", path, os.fsencode(target)) for path, target in example.links.items())
    head = f"committer {WHO}\ndata 2\nx\n".encode()
    ref = f"refs/examples/{index}"
    return (
        f"reset {ref}\ncommit {ref}\nmark :{first}\n".encode()
        + head
        + b"deleteall\n"
        + base
        + f"commit {ref}\nmark :{second}\n".encode()
        + head
        + f"from :{first}\n".encode()
        + change
    )


def _file(path: str, data: str | bytes | None, example: Example) -> bytes:
    if data is None:
        return b"D " + _quoted(path) + b"\n"
    mode = "100755" if path in example.executable else "100644"
    return _entry(mode, path, data.encode() if isinstance(data, str) else data)


def _entry(mode: str, path: str, data: bytes) -> bytes:
    return b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), _quoted(path), len(data), data)


def _quoted(path: str) -> bytes:
    raw = os.fsencode(path)
    return b'"%s"' % b"".join(b"\\%03o" % byte if byte < 0x20 or byte in b'"\\' else bytes([byte]) for byte in raw)  # noqa: PLR2004 - controls


def case_of(
    example: Example,
    commits: tuple[str, str],
    *,
    repository: Repository,
    workshop: Callable[[str], Workshop],
    store: Store,
) -> Case:
    """Build the case of an example; `workshop` opens a place for a base commit."""
    base, commit = commits
    change = between(repository, base, commit, example.evidence)
    audit = example.audit
    if audit and audit.tree == "@":
        audit = Audit(tree=change.tree, agent=audit.agent, findings=audit.findings, review=audit.review)
    return Case(
        ticket=None if example.ticket is None else Ticket.model_validate({**PLAIN, **example.ticket}),
        policy=Policy.model_validate(example.policy),
        repository=repository,
        change=change,
        stage="worktree",
        workshop=workshop(base),
        store=store,
        attempt=example.attempt,
        report=example.report,
        known_receipts=example.receipts,
        audit=audit,
        spent=example.spent,
        transcript=_transcript(repository.state, commit, example.transcript),
    )


def _transcript(folder: Path, commit: str, text: str | None) -> Path | None:
    if text is None:
        return None
    place = folder / f"transcript-{commit[:12]}.log"
    place.write_text(text, encoding="utf-8")
    return place


def complaint(gate: Gate, case: Case, example: Example) -> str:
    """Judge the example; say how the answer differs from the one that must come, or give an empty string."""
    verdict = gate.verify(case)
    rules = tuple(sorted(finding.rule for finding in verdict.findings))
    if example.undecided:
        right = verdict.answer.value == "inconclusive" and example.undecided in verdict.reason
        wanted = f"inconclusive: ...{example.undecided}..."
    elif example.expects:
        right = verdict.answer.value == "fail" and rules == tuple(sorted(example.expects))
        wanted = f"fail: {', '.join(sorted(example.expects))}"
    else:
        right, wanted = verdict.answer.value == "pass", "pass"
    found = f"{verdict.answer.value}: {', '.join(rules) or verdict.reason}"
    return "" if right else f"{gate.name}, {example.name}: expected {wanted}; got {found}"
