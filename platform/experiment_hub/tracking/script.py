"""What the folder of a script's run tells, as one value: who it is, what it said, how it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from experiment_hub.strict import StrictModel
from experiment_hub.times import at
from experiment_hub.tracking import events, layout
from experiment_hub.tracking.plain import storable
from experiment_hub.tracking.process import Owner, is_dead
from experiment_hub.tracking.series.summary import Summary, summaries

RUNNING, KILLED = "running", "killed"
FACTS = ("git_commit", "git_tree", "git_dirty", "source_hash")


class Document(StrictModel):
    """What `run.json` holds: everything that was known when the run began."""

    format: Literal[1]
    run: str
    name: str
    kind: Literal["script", "import"]
    project: str | None
    tags: list[str]
    seed: int | None
    notes: str | None
    parent: str | None
    job: str | None
    config: dict[str, Any]
    created_at: str
    host: str
    pid: int
    process_started: float
    process_boot: str | None
    command: list[str]
    python: str
    working_folder: str


@dataclass
class Told:
    """Everything that a folder says at one moment."""

    run_id: str
    folder: Path
    document: Document
    state: str = RUNNING
    error: str | None = None
    ended_at: str | None = None
    seconds: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tags: dict[str, bool] = field(default_factory=dict)
    """Whether the last word about a tag was that it holds."""
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    heard: int = 0
    """How many events there were."""


def listen(folder: Path) -> Told:
    """Raises FileNotFoundError without a document, ValueError for one or an event that cannot be read."""
    document = Document.model_validate_json((folder / layout.RUN_FILE).read_bytes())
    told = Told(folder.name, folder, document, tags=dict.fromkeys(document.tags, True))
    told.notes += [document.notes] if document.notes else []
    owner = Owner(document.host, document.pid, document.process_started, document.process_boot)
    dead = is_dead(owner)  # before its last words: a run may end while we read
    for event in events.read(folder):
        _hear(told, event)
    told.metrics = summaries(folder)
    if told.state == RUNNING and dead:
        _died(told)
    return told


def _hear(told: Told, event: Mapping[str, Any]) -> None:
    told.heard += 1
    try:
        _HEAR.get(event["event"], _nothing)(told, event)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"event {told.heard} in {events.FILE} is not what it should be: {error}") from error


def _died(told: Told) -> None:
    """Its last sign of life is its last point."""
    last = max((summary.last_time for summary in told.metrics.values()), default=None)
    told.state, told.error = KILLED, f"process {told.document.pid} is gone"
    told.ended_at = at(last) if last else told.document.created_at


def _ended(told: Told, event: Mapping[str, Any]) -> None:
    if event["state"] not in layout.ENDS:
        raise TypeError(f"no such state: {event['state']!r}")
    told.state, told.ended_at, told.seconds = event["state"], event["at"], float(event["seconds"])
    told.error = storable(event["error"]) if event["error"] else None


def _tags(told: Told, event: Mapping[str, Any]) -> None:
    told.tags |= dict.fromkeys(event.get("add", ()), True) | dict.fromkeys(event.get("remove", ()), False)


def _facts(told: Told, event: Mapping[str, Any]) -> None:
    told.facts |= {name: event[name] for name in FACTS if name in event}
    known = told.environment.get("packages", {})
    told.environment |= event["environment"]
    told.environment["packages"] = known | event["environment"].get("packages", {})


def _nothing(_: Told, __: Mapping[str, Any]) -> None:
    """A newer hub may have more to say."""


_HEAR: dict[str, Callable[[Told, Mapping[str, Any]], object]] = {
    "ended": _ended,
    "tags": _tags,
    "facts": _facts,
    "note": lambda told, event: told.notes.append(event["text"]),
    "summary": lambda told, event: told.summary.update(event["values"]),
    "input": lambda told, event: told.inputs.append({key: event[key] for key in ("name", "digest", "run")}),
    "dataset": lambda told, event: told.facts.update(dataset_hash=event["digest"]),
}
