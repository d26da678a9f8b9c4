"""What happens to a run beside its points: one JSON object a line, each written by one call."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiment_hub.times import now

FILE = "events.jsonl"


def append(folder: Path, event: str, **facts: Any) -> None:
    """Whole or absent: a line that a full disk cut short is ended by the next one and skipped by readers."""
    line = json.dumps({"event": event, "at": now(), **facts}, allow_nan=False)
    file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(file).st_size
        torn = size and os.pread(file, 1, size - 1) != b"\n"
        content = b"".join((b"\n" if torn else b"", line.encode(), b"\n"))
        if os.write(file, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def read(folder: Path) -> Iterator[Mapping[str, Any]]:
    """In their order; lines that are not whole are skipped."""
    path = folder / FILE
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("event"), str):
            yield found
