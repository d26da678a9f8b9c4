"""Where a run keeps what: HOME/runs/ID/, and HOME/inbox/ID while a database has still to hear of it or of its end."""

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiment_hub.errors import BadInputError, DiskFullError, HubError

RUNS, INBOX = "runs", "inbox"
RUN_FILE = "run.json"
ENDS = ("finished", "failed", "nan", "killed")
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def begin(home: Path, run_id: str, document: Mapping[str, Any]) -> None:
    """Folder, document, marker, in this order: a marker always points to a whole document."""
    folder = home / RUNS / run_id
    try:
        write_document(folder, {"run": run_id, **document})
        mark(home, run_id)
    except OSError as error:
        raise refusal(folder, error) from error


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    content = json.dumps(document, allow_nan=False)
    folder.mkdir(parents=True)
    part = folder / f".{RUN_FILE}.part"
    part.write_text(content, encoding="utf-8")
    part.replace(folder / RUN_FILE)


def mark(home: Path, run_id: str) -> None:
    """Have the next reader look at the run."""
    (home / INBOX).mkdir(exist_ok=True)
    (home / INBOX / run_id).touch()


def refusal(folder: Path, error: OSError) -> HubError:
    what = f"{folder} cannot be written: {error.strerror or error}"
    if error.errno in NO_ROOM:
        return DiskFullError(f"{what}; what was logged before is safe; free some room on the disk")
    return BadInputError(what)
