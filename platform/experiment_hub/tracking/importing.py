"""Taking runs of another tracker in: each becomes a whole folder first, then a run that readers see."""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiment_hub.metadata.store import MetadataStore
from experiment_hub.times import at
from experiment_hub.tracking import events, layout
from experiment_hub.tracking.importers.protocol import Foreign, Importer
from experiment_hub.tracking.outbox import put_aside
from experiment_hub.tracking.plain import plain
from experiment_hub.tracking.series.writer import SeriesWriter


@dataclass(frozen=True)
class Imported:
    run: str
    name: str
    new: bool
    """False where an earlier import brought it."""


def import_runs(store: MetadataStore, importer: Importer, source: str, project: str | None) -> Iterator[Imported]:
    """The same source again brings only what is new; killed half way, it is simply done again."""
    for foreign in importer.runs(source):
        identity = f"{importer.name}\0{foreign.id}".encode("utf-8", "surrogatepass")
        run_id = f"i-{hashlib.sha256(identity).hexdigest()[:20]}"
        folder = store.home / layout.RUNS / run_id
        new = not folder.exists()
        if new:
            _write(store.home, run_id, foreign, project)
        yield Imported(run_id, foreign.name, new)


def _write(home: Path, run_id: str, foreign: Foreign, project: str | None) -> None:
    """Under another name until it is whole."""
    part = home / layout.RUNS / f".{run_id}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        layout.write_document(part, {"run": run_id, **_document(foreign, project)})
        series = SeriesWriter(part / "series")
        for point in foreign.points:
            series.log_at(point.name, point.value, point.step, point.time)
        series.close()
        for name, path in foreign.artifacts:
            put_aside(part, path, name, "output")
        events.append(part, "facts", environment=plain(dict(foreign.facts)))
        ended = {"at": at(foreign.ended)} if foreign.ended else {}
        events.append(part, "ended", state=foreign.state, error=None, seconds=_seconds(foreign), **ended)
        part.replace(home / layout.RUNS / run_id)
    except OSError as error:
        raise layout.refusal(part, error) from error
    layout.mark(home, run_id)


def _seconds(foreign: Foreign) -> float:
    return max(0.0, (foreign.ended or foreign.created) - foreign.created)


def _document(foreign: Foreign, project: str | None) -> dict[str, object]:
    document = {
        "format": 1,
        "kind": "import",
        "name": foreign.name or "unnamed",
        "project": project or foreign.project,
        "tags": list(foreign.tags),
        "seed": None,
        "notes": foreign.notes,
        "parent": None,
        "job": None,
        "config": foreign.config,
        "created_at": at(foreign.created),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": 0.0,
        "process_boot": None,
        "command": [],
        "python": "",
        "working_folder": "",
    }
    return dict(plain(document))
