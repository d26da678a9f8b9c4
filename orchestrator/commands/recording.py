"""`agents record`: what an attempt and its audit left, as recordings that an agent of kind `replay` plays back."""

from __future__ import annotations

import base64
import json as jsonlib
from typing import TYPE_CHECKING

from agents.protocol import Outcome
from agents.recordings import File, Recording, save
from agents.transcripts import read
from orchestrator.bench import log_folder
from orchestrator.commands.output import say
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from worktrees.changes import ChangeSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memory.records import AttemptRow, TicketRow
    from worktrees.git import Repository

SUBMODULE = "160000"


def record(repo: Path, ticket: str, *, attempt: int | None, to: Path, json: bool) -> int:
    """Write the recording of one attempt, and of what its auditor answered."""
    workspace = Workspace.open(repo)
    if not workspace.database.exists:
        raise InputError('nothing was asked for here yet; begin with: orchestrate feature "..."')
    row = workspace.records.ticket(ticket)
    made = _chosen(row, workspace.records.attempts(row.id), attempt)
    logs = log_folder(workspace, row.id, made.number)
    files = [save(to, one) for one in (_attempt(workspace.repository, row, made, logs), *_answers(row, made, logs))]
    data = {"ticket": row.id, "attempt": made.number, "files": [str(file) for file in files]}
    use = f'kind = "replay"\nrecordings = "{to}"'
    text = "\n".join(
        [f"recorded {row.id} attempt {made.number}:", *(f"  {file}" for file in files), "play it with:", use]
    )
    say(data, lambda: text, as_json=json)
    return 0


def _chosen(row: TicketRow, attempts: list[AttemptRow], number: int | None) -> AttemptRow:
    there = [one for one in attempts if one.changes and one.outcome and number in {None, one.number}]
    if not there:
        which = f"attempt {number}" if number else "attempt"
        raise InputError(f"{row.id} has no {which} that was carried through; `orchestrate status {row.id}` shows them")
    return there[-1]


def _attempt(repository: Repository, row: TicketRow, made: AttemptRow, logs: Path) -> Recording:
    transcript = logs / "transcript.jsonl"
    changes = ChangeSet.from_json(made.changes or {})
    return Recording(
        brief_sha256=_brief(logs, f"{row.id} attempt {made.number}"),
        title=row.record.title,
        recorded_from=f"{row.id} attempt {made.number}",
        files=tuple(_files(repository, made.start, changes.commit)),
        outcome=jsonlib.loads(jsonlib.dumps(Outcome.from_json(made.outcome or {}).to_json())),
        transcript=tuple(event.to_json() for event in read(transcript)) if transcript.is_file() else (),
    )


def _answers(row: TicketRow, made: AttemptRow, logs: Path) -> Iterator[Recording]:
    for folder in sorted((logs / "audit").glob("phase-*")):
        answer = folder / "answer.json"
        if answer.is_file():
            who = f"the audit of {row.id} attempt {made.number}, {folder.name}"
            yield Recording(
                brief_sha256=_brief(folder, who),
                title=row.record.title,
                recorded_from=who,
                answer=answer.read_text(encoding="utf-8", errors="replace"),
            )


def _brief(folder: Path, who: str) -> str:
    try:
        return str(jsonlib.loads((folder / "brief.json").read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the brief of {who} was not kept in {folder}: it cannot be recorded") from error


def _files(repository: Repository, start: str, commit: str) -> Iterator[File]:
    """Give what differs from where the attempt began: not from the base, which may be another commit."""
    before = {entry.path: entry for entry in repository.entries(repository.tree(start))}
    after = {entry.path: entry for entry in repository.entries(repository.tree(commit))}
    for path in sorted(before.keys() | after.keys()):
        entry = after.get(path)
        if entry == before.get(path):
            continue
        if SUBMODULE in {one.mode for one in (entry, before.get(path)) if one}:
            raise InputError(f"{path} is a submodule: a change of it cannot be recorded")
        if entry is None:
            yield File(path=path, mode="deleted")
            continue
        data = repository.plumb("cat-file", "blob", entry.oid).out
        yield File.model_validate({"path": path, "mode": entry.mode, "content": base64.b64encode(data).decode()})
