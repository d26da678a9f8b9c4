"""What people say about a run afterwards: kept in the database and, where the folder is here, beside the run."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.tracking import events, layout
from experiment_hub.tracking.history import one_run
from experiment_hub.tracking.index import notice, refresh
from experiment_hub.tracking.plain import storable
from experiment_hub.tracking.rows import write_tags


def tag(store: MetadataStore, run_id: str, tags: Mapping[str, bool]) -> None:
    """True sets a tag, False takes it away."""
    if "" in tags:
        raise BadInputError("a tag: expected text that is not empty")
    run = one_run(store, run_id)
    with writing(store.engine) as session:
        write_tags(session, run_id, tags)
    add, remove = ([name for name, holds in tags.items() if holds is wanted] for wanted in (True, False))
    _tell_folder(store, run, "tags", add=add, remove=remove)


def note(store: MetadataStore, run_id: str, text: str) -> None:
    """Add a paragraph."""
    run = one_run(store, run_id)
    if not _tell_folder(store, run, "note", text=text):
        notes = "\n\n".join(part for part in (run.notes, storable(text)) if part)
        with writing(store.engine) as session:
            session.execute(update(Run).where(Run.id == run_id).values(notes=notes))


def _tell_folder(store: MetadataStore, run: Run, event: str, **facts: Any) -> bool:
    """Whether the folder is the one that readers listen to; then they hear it now."""
    folder = store.home / run.folder
    if not (folder / layout.RUN_FILE).is_file():
        return False
    try:
        events.append(folder, event, **facts)
    except OSError as error:
        raise layout.refusal(folder, error) from error
    notice(store.home, run.id)
    refresh(store)
    return True
