"""Commands that add to what is known about runs, and that exchange runs with other trackers."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiment_hub.commands.runs import Shelf, opened
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.output import emit, progress, table
from experiment_hub.tracking import annotations
from experiment_hub.tracking.history import tags
from experiment_hub.tracking.importers.registry import importer_named
from experiment_hub.tracking.importing import import_runs
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.mirroring import mirror
from experiment_hub.tracking.mirrors.registry import mirror_named


def tag(run_id: str, add: Sequence[str], remove: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    store = opened(home)
    annotations.tag(store, run_id, dict.fromkeys(add, True) | dict.fromkeys(remove, False))
    found = tags(store, run_id)
    emit({"run": run_id, "tags": found}, [f"{run_id}: {', '.join(found) or 'no tags'}"], as_json=as_json)


def note(run_id: str, text: str, home: Path | None, *, as_json: bool) -> None:
    store = opened(home)
    annotations.note(store, run_id, text)
    notes = store.run(run_id).notes
    emit({"run": run_id, "notes": notes}, [notes or ""], as_json=as_json)


def import_(kind: str, source: str, project: str | None, home: Path | None, *, as_json: bool) -> None:
    importer = importer_named(kind)
    store = opened(home)
    rows = []
    for each in import_runs(store, importer, source, project):
        rows.append(vars(each))
        progress(f"{each.run}: {each.name}{'' if each.new else ', was here already'}")
    refresh(store, Shelf(store.home))
    lines = table(("run", "name", "new"), ([row["run"], row["name"], row["new"]] for row in rows))
    emit({"runs": rows}, lines, as_json=as_json)


def export(kind: str, target: str, run_ids: Sequence[str], home: Path | None, *, follow: bool, as_json: bool) -> None:
    """With `follow`, one run until it ends."""
    chosen = mirror_named(kind)
    store = opened(home)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hub-export-") as scratch:
        files = _Artifacts(store, Path(scratch))
        for run_id in run_ids:
            points = mirror(store, run_id, chosen, target, follow=follow, files=files)
            rows.append({"run": run_id, "points": points})
    lines = [f"{row['run']}: {row['points']} points to {target}" for row in rows]
    emit({"kind": kind, "target": target, "runs": rows}, lines, as_json=as_json)


class _Artifacts:
    """What a run made, as files in a scratch folder."""

    def __init__(self, store: MetadataStore, scratch: Path) -> None:
        self._store, self._scratch = store, scratch

    def __call__(self, run: Run) -> list[tuple[str, Path]]:
        refresh(self._store, Shelf(self._store.home))
        catalog = Shelf(self._store.home).catalog
        found = []
        for number, link in enumerate(catalog.links("run", run.id)):
            folder = self._scratch / run.id / str(number)
            folder.mkdir(parents=True)
            target = folder / Path(link.name).name
            catalog.fetch(link.digest, target)
            found.append((link.name, target))
        return found
