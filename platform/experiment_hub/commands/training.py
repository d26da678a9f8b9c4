"""Commands that train."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from experiment_hub.configuration.document import load
from experiment_hub.errors import ConfigurationError, ResumeError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.output import emit, progress, shown, table
from experiment_hub.tracking.history import FINISHED, one_run
from experiment_hub.tracking.home import find_home
from experiment_hub.training.experiment import assemble
from experiment_hub.training.runner import RunResult, resume, run_seeds


@dataclass(frozen=True)
class RunRequest:
    config: str | None
    smoke: bool
    seed: int | None
    assignments: tuple[str, ...]


def run(request: RunRequest, home: Path | None, *, as_json: bool) -> None:
    """Exit code 1 when a run did not finish."""
    if request.config is None:
        raise ConfigurationError("CONFIG is missing: give a file, the name of a built-in one, or --resume RUN")
    experiment = assemble(load(request.config, smoke=request.smoke, assignments=request.assignments))
    configured = experiment.config.seeds[:1] if request.smoke else experiment.config.seeds
    seeds = configured if request.seed is None else (request.seed,)
    store = MetadataStore(find_home(home))
    results = run_seeds(experiment, store, seeds, smoke=request.smoke, progress=progress)
    if results:  # of several processes that train together, one speaks
        _finish(results, experiment.resolved(), as_json=as_json)


def resume_run(run_id: str, config: str | None, refused: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    """Settings come from the record, so options that would change them are refused."""
    if refused:
        raise ResumeError(f"{', '.join(refused)} cannot be combined with --resume: the run keeps its settings")
    store = MetadataStore(find_home(home))
    recorded = one_run(store, run_id).name
    if config is not None and load(config).data.get("name") != recorded:
        raise ResumeError(f"run {run_id} is of experiment {recorded!r}, not of {config}")
    experiment, finished = resume(store, run_id, progress)
    if finished is not None:
        _finish([finished], experiment.resolved(), as_json=as_json)


def _finish(results: Sequence[RunResult], config: dict[str, Any], *, as_json: bool) -> None:
    document = {"runs": [asdict(each) for each in results], "config": config, "figures": _means(results)}
    rows = ((each.run, each.state, each.seed, each.seconds, each.error or _metrics(each.metrics)) for each in results)
    emit(document, table(("run", "state", "seed", "seconds", "metrics"), rows), as_json=as_json)
    if any(each.state != FINISHED for each in results):
        raise SystemExit(1)


def _means(results: Sequence[RunResult]) -> dict[str, float]:
    """Mean over finished runs, by "split.metric", and of the wall time."""
    values: dict[str, list[float]] = defaultdict(list)
    finished = [each for each in results if each.state == FINISHED]
    for each in finished:
        for name, value in {**each.metrics, "seconds": each.seconds}.items():
            values[name].append(value)
    return {"finished": float(len(finished)), **{name: fmean(found) for name, found in values.items()}}


def _metrics(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())
