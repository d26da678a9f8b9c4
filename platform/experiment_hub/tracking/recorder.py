"""Recording one run: its row stands before anything else happens, its end is written whatever happens."""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

import yaml

from experiment_hub.configuration.settings import settings
from experiment_hub.errors import DiskFullError, HubError, NonFiniteError, ResumeError, RunFailedError, RunKilledError
from experiment_hub.files import write_atomically, write_json
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.times import now
from experiment_hub.tracking.history import FAILED, FINISHED, KILLED, NAN, RUNNING
from experiment_hub.tracking.hooks import say
from experiment_hub.tracking.identity import new_run_id
from experiment_hub.tracking.index import summarise
from experiment_hub.tracking.output import Tee, tee
from experiment_hub.tracking.process import this_process
from experiment_hub.tracking.rows import write_parameters
from experiment_hub.tracking.series.layout import FOLDER as SERIES
from experiment_hub.tracking.series.writer import SeriesWriter
from experiment_hub.tracking.system import EVERY_SECONDS, watch

FLUSH_SECONDS = 1.0  # metrics wait in memory at most this long, so that short epochs do not wait for the disk
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Plan:
    """What is known about a run before it starts."""

    name: str
    seed: int
    smoke: bool
    config: dict[str, Any]
    overrides: dict[str, Any]
    project: str | None = None
    """None: what `hub.yaml` of the home says."""
    parent_id: str | None = None


class RunRecorder:
    """A context manager; leaving it records `finished`, `nan` (and goes on), `killed` or `failed`."""

    def __init__(self, store: MetadataStore, run_id: str, earlier_seconds: float = 0.0) -> None:
        self.store = store
        self.run_id = run_id
        self.folder = store.home / "runs" / run_id
        self.series = SeriesWriter(self.folder / SERIES)
        """Curves: `series.log({"train.loss": loss}, step)` costs about a microsecond."""
        self._earlier_seconds = earlier_seconds
        self._began = time.perf_counter()
        self._pending: list[dict[str, Any]] = []
        self._flushed = self._began
        self._handlers: dict[signal.Signals, Any] = {}
        self._tee: Tee | None = None
        self._ended = threading.Event()

    @classmethod
    def start(cls, store: MetadataStore, plan: Plan) -> Self:
        """Row first, then folder and snapshot: a run that dies here is still known."""
        run_id = new_run_id()
        columns = {**asdict(plan), "project": plan.project or settings(store.home).project}
        with writing(store.engine) as session:
            session.add(
                Run(
                    id=run_id,
                    state=RUNNING,
                    folder=f"runs/{run_id}",
                    created_at=now(),
                    resumes=[],
                    **_process(),
                    **columns,
                )
            )
            session.flush()
            write_parameters(session, run_id, plan.config)
        recorder = cls(store, run_id)
        recorder.folder.mkdir(parents=True)
        write_json(recorder.folder / "snapshot.json", {"run": run_id, **asdict(plan)})
        write_atomically(recorder.folder / "config.yaml", yaml.safe_dump(plan.config, sort_keys=False).encode())
        return recorder

    @classmethod
    def resume(cls, store: MetadataStore, run: Run) -> Self:
        """Take over a run that ended early; of two processes that try, one raises ResumeError."""
        values = {"state": RUNNING, "error": None, "ended_at": None, **_process()}
        if not store.change_state(run.id, before=[KILLED, FAILED], **values):
            raise ResumeError(f"run {run.id} is {store.run(run.id).state}; only killed and failed runs can be resumed")
        recorder = cls(store, run.id, run.seconds or 0.0)
        recorder.folder.mkdir(parents=True, exist_ok=True)  # it may have died before it had one
        return recorder

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python refuses handlers
            self._handlers = {number: signal.signal(number, _stop) for number in STOP_SIGNALS}
        self._tee = tee(self.folder)
        watch(self.series, self._ended, EVERY_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the record of the first
        self._ended.set()
        self.flush()
        self._close_series()
        state = _state(error)
        message = None if error is None else f"{type(error).__name__}: {error}"
        self.store.update_run(self.run_id, state=state, error=message, ended_at=now(), seconds=self.seconds)
        if self._tee:
            self._tee.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, HubError):  # a plugin may call sys.exit
            self._explain(error)
        return state == NAN

    def _close_series(self) -> None:
        """A full disk must not keep the end of the run from being recorded."""
        try:
            self.series.close()
        except DiskFullError as error:
            say(str(error))
        summarise(self.store, self.run_id)

    def _explain(self, error: Exception | SystemExit) -> NoReturn:
        """Keep the traceback with the run, and make the error one of ours."""
        lines = traceback.format_exception(error)
        write_atomically(self.folder / "traceback.txt", "".join(lines).encode())
        raise RunFailedError(f"run {self.run_id} failed: {type(error).__name__}: {error}") from error

    @property
    def seconds(self) -> float:
        """Wall time of all attempts so far."""
        return round(self._earlier_seconds + time.perf_counter() - self._began, 6)

    def snapshot(self, **facts: Any) -> None:
        """Add facts to what is known about the run: in the database and in `snapshot.json`."""
        self.note(**facts)
        path = self.folder / "snapshot.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        write_json(path, {**known, **facts})

    def note(self, **values: Any) -> None:
        self.store.update_run(self.run_id, **values)

    def record(self, epoch: int, step: int, values: Mapping[str, float], versions: Mapping[str, int]) -> None:
        """`values` by "split.metric"; `versions` by metric."""
        for name, value in values.items():
            split, metric = name.split(".", 1)
            row = {"run_id": self.run_id, "epoch": epoch, "step": step, "split": split, "metric": metric}
            self._pending.append({**row, "version": versions[metric], "value": value})
        self.series.log(values, step)
        if time.perf_counter() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self.store.record_metrics(self._pending)
        self._pending = []
        self._flushed = time.perf_counter()


def _process() -> dict[str, Any]:
    """Who works on the run: this process, in the queue's job where there is one."""
    owner = this_process()
    return {
        "host": owner.host,
        "pid": owner.pid,
        "process_started": owner.started,
        "process_boot": owner.boot,
        "job_id": os.environ.get("HUB_JOB"),
    }


def _stop(number: int, _: FrameType | None) -> None:
    raise RunKilledError(number)


def _state(error: BaseException | None) -> str:
    if error is None:
        return FINISHED
    if isinstance(error, NonFiniteError):
        return NAN
    return KILLED if isinstance(error, RunKilledError | KeyboardInterrupt) else FAILED
