"""Tracking somebody's own script: `run = hub.start("name")`, `run.log({"loss": loss})`.

A start writes one folder and one marker and imports neither numpy nor a database; readers take runs into the database
(see `index`).
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from experiment_hub.errors import BadInputError
from experiment_hub.times import now
from experiment_hub.tracking import events, hooks, layout
from experiment_hub.tracking.home import find_home
from experiment_hub.tracking.identity import new_run_id, process_start
from experiment_hub.tracking.outbox import put_aside
from experiment_hub.tracking.output import Tee, tee
from experiment_hub.tracking.plain import plain
from experiment_hub.tracking.series.writer import SeriesWriter

FINISHED, KILLED = "finished", "killed"
FACTS_SECONDS = 5.0
FACTS_DELAY_SECONDS = 0.3


def start(  # noqa: PLR0913 -- the public face: everything but the name has a default
    name: str,
    *,
    config: Any = None,
    project: str | None = None,
    tags: Iterable[str] = (),
    seed: int | None = None,
    notes: str | None = None,
    parent: str | None = None,
    home: str | Path | None = None,
    system_seconds: float | None = 10.0,
    capture: bool = True,
) -> "TrackedRun":
    """Begin a run of this process; it ends with `finish`, the end of a `with` block, or the end of the process.

    `config` is anything with names: a dictionary, a namespace of argparse, a dataclass. `parent` is a run that this
    one continues or was made from. Every `system_seconds` the load of the machine is logged; None turns that off.
    `capture` keeps what is printed. Raises BadInputError, DiskFullError.
    """
    facts: dict[str, Any] = {
        "name": _text("name", name),
        "config": _config(config),
        "project": project,
        "tags": [_text("tag", tag) for tag in ([tags] if isinstance(tags, str) else tags)],
        "seed": seed,
        "notes": notes,
        "parent": parent,
    }
    run = TrackedRun(find_home(Path(home) if home else None), plain(facts))
    run._attach(system_seconds, capture=capture)  # noqa: SLF001 -- start is the constructor that people see
    return run


class TrackedRun:
    """One run of a script; threads may share it, a forked child may log into it but does not end it."""

    def __init__(self, home: Path, facts: Mapping[str, Any]) -> None:
        self.id = new_run_id()
        self.folder = home / layout.RUNS / self.id
        self._process = os.getpid()
        self._began = time.monotonic()
        self._step = 0
        self._ended = False
        self._tee: Tee | None = None
        self._stop = threading.Event()
        layout.begin(home, self.id, {**plain(_circumstances()), **facts})
        self._series = SeriesWriter(self.folder / "series")
        self.summary = Summary(self)

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """One number for each name; without a step, the one after the last. Takes about a microsecond a number."""
        if step is None:
            step = self._step
        self._series.log(values, step)
        self._step = step + 1

    def tag(self, *tags: str) -> None:
        self._event("tags", add=[_text("tag", tag) for tag in tags])

    def untag(self, *tags: str) -> None:
        self._event("tags", remove=list(tags))

    def note(self, text: str) -> None:
        """Add a paragraph to the notes."""
        self._event("note", text=str(text))

    def log_artifact(self, path: str | Path, name: str | None = None, *, role: str = "output") -> None:
        """Keep a copy of a file or folder as it is now; the next reader takes it into the artifact store."""
        source = Path(path)
        chosen = name or source.name
        with _Disk(self.folder):
            put_aside(self.folder, source, chosen, role)
        self._event("artifact", name=chosen, role=role)

    def use(self, name: str, *, digest: str | None = None, run: str | None = None) -> None:
        """Say what this run reads: a dataset or an artifact by its hash, or something that another run made."""
        self._event("input", name=_text("input", name), digest=digest, run=run)

    def dataset(self, digest: str) -> None:
        """Say which data this run is about, by their hash."""
        self._event("dataset", digest=str(digest))

    def finish(self, state: str = FINISHED, error: str | None = None) -> None:
        """Once; what comes later changes nothing. Raises DiskFullError when the end could not be written."""
        if state not in layout.ENDS:
            raise BadInputError(f"a run ends as {', '.join(layout.ENDS)}, not as {state!r:.80}")
        if self._ended or os.getpid() != self._process:
            return
        self._ended = True
        self._stop.set()
        hooks.forget(self)
        if self._tee:
            self._tee.close()
        if not self.folder.is_dir():
            hooks.say(f"the folder of run {self.id} was removed while it ran; what it logged is gone: {self.folder}")
            return
        with _Disk(self.folder):
            if state != KILLED:  # a person who interrupts does not wait; nor may Python's own way out be disturbed
                self._last_facts()
            self._series.close()
            events.append(self.folder, "ended", state=state, error=error, seconds=self._seconds())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.finish(*hooks.verdict(error))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 6)

    def _look_around(self, script: Path | None) -> None:
        """In a thread: git and hashes take longer than a start may, and the first steps go first."""
        self._stop.wait(FACTS_DELAY_SECONDS)
        from experiment_hub.tracking.facts import facts

        try:
            events.append(self.folder, "facts", **facts(script))
        except OSError as error:
            hooks.say(f"{self.folder}: what is known about code and machine is not written: {error.strerror}")

    def _last_facts(self) -> None:
        from experiment_hub.tracking.facts import versions

        self._facts.join(FACTS_SECONDS)  # a script that takes no time waits for git
        events.append(self.folder, "facts", environment={"packages": versions()})

    def _event(self, event: str, **facts: Any) -> None:
        with _Disk(self.folder):
            events.append(self.folder, event, **facts)

    def _attach(self, system_seconds: float | None, *, capture: bool) -> None:
        hooks.remember(self)
        if capture:
            self._tee = tee(self.folder)
        self._facts = threading.Thread(target=self._look_around, args=(_script(),), daemon=True)
        self._facts.start()
        if system_seconds is not None:
            from experiment_hub.tracking.system import watch

            watch(self._series, self._stop, system_seconds)


class Summary:
    """Figures and words that stand for the whole run: `run.summary["best"] = 0.93`."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = run

    def __setitem__(self, name: str, value: Any) -> None:
        self._run._event("summary", values={_text("name", name): plain(value)})  # noqa: SLF001 -- part of it

    def update(self, values: Mapping[str, Any]) -> None:
        self._run._event("summary", values=plain(values))  # noqa: SLF001 -- part of it


class _Disk:
    """What the disk refuses becomes one of our errors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise layout.refusal(self._folder, error) from error


def _script() -> Path | None:
    """Asked at the start, because Python forgets it before it runs what was left for the end."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(path).resolve() if path else None


def _circumstances() -> dict[str, Any]:
    started = process_start()
    return {
        "format": 1,
        "kind": "script",
        "created_at": now(),
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "process_started": started.seconds,
        "process_boot": started.boot,
        "job": os.environ.get("HUB_JOB"),
        "command": list(sys.argv),
        "python": sys.executable,
        "working_folder": str(Path.cwd()),
    }


def _config(config: Any) -> dict[str, Any]:
    found = plain({} if config is None else config)
    if not isinstance(found, dict):
        raise BadInputError(f"config: expected names with values, got {type(config).__name__}")
    return found


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadInputError(f"{what}: expected text that is not empty, got {value!r:.80}")
    return value
