"""Commands that read what is recorded about runs; none of them loads torch."""

import codecs
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.output import emit, shown, table
from experiment_hub.tracking.history import RUNNING, describe, one_run
from experiment_hub.tracking.home import find_home
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.output import Position, read_log
from experiment_hub.tracking.plain import as_text, flatten
from experiment_hub.tracking.search import Search, find, last_values, tags_of

if TYPE_CHECKING:
    from experiment_hub.artifacts.catalog import Catalog

FOLLOW_SECONDS = 0.5
CHUNK = 5000  # runs in one question: databases take a limited number of values
COLUMNS = ("run", "name", "state", "seed", "created_at", "seconds")
PAIR = 2


class Shelf:
    """The home's artifact store, opened when there is something to put on it."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def log(self, owner: tuple[str, str], name: str, path: Path, *, role: str, keep: Literal["forever"]) -> object:
        return self.catalog.log(owner, name, path, role=role, keep=keep)

    @cached_property
    def catalog(self) -> "Catalog":
        from experiment_hub.artifacts.catalog import catalog

        return catalog(self._home)


def opened(home: Path | None) -> MetadataStore:
    """The store of a home, after everything that runs wrote and logged was taken in."""
    store = MetadataStore(find_home(home))
    refresh(store, Shelf(store.home))
    return store


def runs(wanted: Search, columns: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    store = opened(home)
    rows = [row for chunk in _chunks(find(store, wanted)) for row in _rows(store, chunk)]
    cells = ([_cell(row, name) for name in (*COLUMNS, *columns)] for row in rows)
    emit({"runs": rows}, table((*COLUMNS, *columns), cells), as_json=as_json)


def show(run_id: str, home: Path | None, *, as_json: bool) -> None:
    store = opened(home)
    document = describe(store, store.run(run_id))
    document["artifacts"] = [
        {"name": link.name, "digest": link.digest, "role": link.role}
        for link in Shelf(store.home).catalog.links("run", run_id)
    ]
    lines = [f"{key}: {shown(value)}" for key, value in document.items() if key not in {"history", "id"}]
    emit(document, lines, as_json=as_json)


def compare_runs(run_ids: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    """Two runs with verdicts, or any number side by side."""
    store = opened(home)
    found = [describe(store, store.run(run_id)) for run_id in run_ids]
    if len(found) == PAIR:
        _compare_pair(found[0], found[1], as_json=as_json)
    else:
        _compare_many(found, as_json=as_json)


def logs(run_id: str, home: Path | None, *, follow: bool, as_json: bool) -> None:
    """What the run printed; with `follow`, until it ends."""
    store = opened(home)
    run = store.run(run_id)
    folder = here(store, run)
    blocks = _log_blocks(store, run, folder, follow=follow)
    if as_json:
        emit({"run": run_id, "log": b"".join(blocks).decode("utf-8", "replace")}, (), as_json=True)
        return
    for text in codecs.iterdecode(blocks, "utf-8", "replace"):
        sys.stdout.write(text)
        sys.stdout.flush()


def here(store: MetadataStore, run: Run) -> Path:
    """The run's folder; raises BadInputError where it is on another machine."""
    folder = store.home / run.folder
    if not folder.is_dir():
        raise BadInputError(f"the folder of run {run.id} is not on this machine; it was written on {run.host}")
    return folder


def _log_blocks(store: MetadataStore, run: Run, folder: Path, *, follow: bool) -> Iterator[bytes]:
    position = Position()
    while True:
        running = follow and one_run(store, run.id).state == RUNNING  # before the last look
        for block, end in read_log(folder, position):
            yield block
            position = end
        if not running:
            return
        time.sleep(FOLLOW_SECONDS)


def _chunks(found: Iterable[Run]) -> Iterator[list[Run]]:
    remaining = iter(found)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _rows(store: MetadataStore, found: Sequence[Run]) -> Iterator[dict[str, Any]]:
    ids = [run.id for run in found]
    measured, logged = store.last_metrics(ids), last_values(store, ids)
    with reading(store.engine) as session:
        tags = tags_of(session, ids)
    same = ("name", "state", "seed", "smoke", "project", "kind", "created_at", "seconds")
    for run in found:
        yield {
            "run": run.id,
            **{name: getattr(run, name) for name in same},
            "tags": tags[run.id],
            "parameters": {name: as_text(value) for name, value in flatten(run.config)},
            "metrics": {**logged[run.id], **measured[run.id]},
        }


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "tags":
        return " ".join(row["tags"]) or None
    return row.get(name, row["metrics"].get(name, row["parameters"].get(name)))


def _compare_pair(one: dict[str, Any], other: dict[str, Any], *, as_json: bool) -> None:
    from experiment_hub.training.comparison import compare

    odd = [{name: value for name, value in side["metrics"].items() if isinstance(value, str)} for side in (one, other)]
    sides = [
        {**side, "metrics": {**side["metrics"], **dict.fromkeys(names)}}
        for side, names in zip((one, other), odd, strict=True)
    ]
    document = compare(*sides)
    for key, names in zip("ab", odd, strict=True):
        for name, value in names.items():
            document["metrics"][name][key] = value
    changed = [(key, *pair, "") for key, pair in {**document["identity"], **document["config"]}.items()]
    measured = [(name, row["a"], row["b"], row["verdict"]) for name, row in document["metrics"].items()]
    emit(document, table(("", "a", "b", "b is"), [*changed, *measured]), as_json=as_json)


def _compare_many(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    flat = [dict(flatten(run["config"])) for run in found]
    document: dict[str, Any] = {
        "runs": [run["run"] for run in found],
        "states": [run["state"] for run in found],
        "config": _differing(flat),
        "metrics": _aligned([run["metrics"] for run in found]),
    }
    rows = [(name, *values) for part in ("config", "metrics") for name, values in document[part].items()]
    emit(document, table(("", *document["runs"]), rows), as_json=as_json)


def _aligned(sides: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = sorted({name for side in sides for name in side})
    return {name: [side.get(name) for side in sides] for name in names}


def _differing(sides: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: values for name, values in _aligned(sides).items() if any(each != values[0] for each in values)}
