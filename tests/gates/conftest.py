"""Real repositories, real commits, a real workshop: what the gates are tested on."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from gates.protocol import Case
from gates.workshop import Workshop
from tickets.model import Ticket
from tickets.policy import Policy
from worktrees.changes import between, capture
from worktrees.checkout import Checkout, discard, make
from worktrees.git import Repository
from worktrees.levels import available

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gates.protocol import Gate
    from gates.verdict import Verdict

GIT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class DictStore:
    """Keeps what it is given, and what it was asked for."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.puts: list[str] = []

    def get(self, key: str) -> dict[str, Any] | None:
        return self.rows.get(key)

    def put(self, key: str, value: dict[str, Any]) -> None:
        self.rows[key] = value
        self.puts.append(key)


class MakeCase(Protocol):
    def __call__(
        self,
        base: Mapping[str, str | bytes | None],
        change: Mapping[str, str | bytes | None],
        *,
        ticket: Mapping[str, Any] | None = ...,
        policy: Mapping[str, Any] | None = ...,
        **more: Any,
    ) -> Case: ...


class MakeAttempt(Protocol):
    def __call__(
        self,
        base: Mapping[str, str | bytes | None],
        act: Callable[[Path], None],
        *,
        ticket: Mapping[str, Any] | None = ...,
    ) -> Case: ...


def make_ticket(values: Mapping[str, Any]) -> Ticket:
    plain = {
        "id": "T-0001",
        "title": "Try it",
        "scope": {"write": ["**"]},
        "acceptance": (),
        "objective": "Try it",
        "non_goals": ("nothing else",),
    }
    return Ticket.model_validate({**plain, **values})


def make_policy(values: Mapping[str, Any] | None) -> Policy:
    return Policy.model_validate(values or {})


def refused(gate: Gate, case: Case, *rules: str) -> Verdict:
    """The gate fails with exactly these rules (each named as often as it must be found)."""
    verdict = gate.verify(case)
    assert (verdict.answer.value, sorted(finding.rule for finding in verdict.findings)) == ("fail", sorted(rules)), (
        verdict
    )
    assert all(finding.message for finding in verdict.findings)
    return verdict


def allowed(gate: Gate, case: Case) -> Verdict:
    verdict = gate.verify(case)
    assert verdict.answer.value == "pass", verdict
    assert verdict.reason
    return verdict


def undecided(gate: Gate, case: Case, why: str) -> Verdict:
    verdict = gate.verify(case)
    assert verdict.answer.value == "inconclusive", verdict
    assert why in verdict.reason
    return verdict


class Judge(Protocol):
    """`refused`, `allowed` and `undecided` for tests that cannot import this file."""

    def refused(self, gate: Gate, case: Case, *rules: str) -> Verdict: ...

    def allowed(self, gate: Gate, case: Case) -> Verdict: ...

    def undecided(self, gate: Gate, case: Case, why: str) -> Verdict: ...


class _Judge:
    refused = staticmethod(refused)
    allowed = staticmethod(allowed)
    undecided = staticmethod(undecided)


@pytest.fixture
def judge() -> Judge:
    return _Judge()


@pytest.fixture
def store() -> DictStore:
    return DictStore()


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repository, env=GIT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write(root: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write the files; None deletes one."""
    for name, content in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            place.unlink()
        elif isinstance(content, bytes):
            place.write_bytes(content)
        else:
            place.write_text(content, encoding="utf-8", newline="")


def commit(root: Path, files: Mapping[str, str | bytes | None]) -> str:
    write(root, files)
    git(root, "add", "--all")
    if named := [name for name, content in files.items() if content is not None]:
        git(root, "add", "--force", "--", *(f":(literal){name}" for name in named))  # what git ignores, too
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a state")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch", "main")
    (place / ".git" / "info" / "exclude").write_text(".orchestrate/\n")
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    return place


@pytest.fixture
def workshops(tmp_path: Path) -> Iterator[Callable[[Repository, str], Workshop]]:
    opened: list[Workshop] = []

    def open_one(repository: Repository, base: str) -> Workshop:
        place = tmp_path / f"workshop-{len(opened)}"
        workshop = Workshop(
            repository=repository, base=base, folder=place / "leases", logs=place / "logs", level=available()
        )
        opened.append(workshop)
        return workshop

    yield open_one
    for workshop in opened:
        workshop.close()


@pytest.fixture
def make_case(root: Path, store: DictStore, workshops: Callable[[Repository, str], Workshop]) -> MakeCase:
    """Commit a base and a change on it, and give the case; called again it goes on in the same repository."""

    def build(
        base: Mapping[str, str | bytes | None],
        change: Mapping[str, str | bytes | None],
        *,
        ticket: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Case:
        first = commit(root, base)
        second = commit(root, change)
        repository = Repository.find(root)
        repository.state.mkdir(exist_ok=True)
        fields = {
            "ticket": None if ticket is None else make_ticket(ticket),
            "policy": make_policy(policy),
            "repository": repository,
            "change": between(repository, first, second),
            "stage": "worktree",
            "workshop": workshops(repository, first),
            "store": store,
        }
        return Case(**{**fields, **more})

    return build


@pytest.fixture
def make_attempt(
    root: Path, tmp_path: Path, store: DictStore, workshops: Callable[[Repository, str], Workshop]
) -> Iterator[MakeAttempt]:
    """Let `act` do what it wants in a checkout, and give the case of what was captured."""
    made: list[tuple[Repository, Checkout]] = []

    def build(
        base: Mapping[str, str | bytes | None], act: Callable[[Path], None], *, ticket: Mapping[str, Any] | None = None
    ) -> Case:
        first = commit(root, base)
        repository = Repository.find(root)
        repository.state.mkdir(exist_ok=True)
        spec = Checkout(
            ticket="T-0001",
            attempt=len(made) + 1,
            base=first,
            start=first,
            subject="Try it",
            path=tmp_path / "attempt" / "tree",
            home=tmp_path / "attempt" / "home",
            owner=os.getpid(),
        )
        make(repository, spec)
        made.append((repository, spec))
        act(spec.path)
        named = make_ticket(ticket or {})
        change = capture(repository, spec, claims=named.scope.allowed)
        return Case(
            ticket=named,
            policy=make_policy(None),
            repository=repository,
            change=change,
            stage="worktree",
            workshop=workshops(repository, first),
            store=store,
            attempt=spec.attempt,
        )

    yield build
    for repository, spec in made:
        discard(repository, spec)
