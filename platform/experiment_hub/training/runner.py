"""Runs: recorded first, then trained; continued from a checkpoint."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.configuration.document import from_record
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import fingerprint
from experiment_hub.errors import NonFiniteError, ResumeError, RunFailedError
from experiment_hub.files import write_json
from experiment_hub.metadata import metric_versions
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.times import now
from experiment_hub.tracking.history import FINISHED, one_run
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.tracking.source import source
from experiment_hub.training import checkpoint, distributed, health
from experiment_hub.training.data import split_arrays
from experiment_hub.training.determinism import resolve_device, seed_everything, surprises
from experiment_hub.training.distributed import current, own_device, team
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.failure import Reporting
from experiment_hub.training.loop import OBJECTIVE
from experiment_hub.training.progress import Reporter, Say, shown
from experiment_hub.training.runtimes.folder import write_model
from experiment_hub.training.runtimes.protocol import Blueprint, Census, Hooks, Work
from experiment_hub.training.runtimes.registry import runtime_of

OBJECTIVE_VERSION = 1


@dataclass(frozen=True)
class RunResult:
    run: str
    state: str
    seed: int | None
    """None for a run of somebody's own script."""
    metrics: dict[str, float]
    """Of the last epoch, by "split.metric"; empty unless the run finished."""
    seconds: float
    parameters: dict[str, int | None]
    """`trainable` and `total`."""
    folder: str
    error: str | None
    model_digest: str | None = None
    """Of the model in the artifact store; None unless the run finished."""


@dataclass(frozen=True)
class _Attempt:
    experiment: Experiment
    recorder: RunRecorder
    seed: int
    device: torch.device
    say: Say
    dataset_hash: str | None = None
    """Of the earlier attempt, when there was one."""


def run_seeds(
    experiment: Experiment, store: MetadataStore, seeds: Sequence[int], *, smoke: bool, progress: Say
) -> list[RunResult]:
    """One run per seed, one after the other; of several processes that train together, only rank 0 has results."""
    training = experiment.config.training
    with team(training.distributed, resolve_device(training.device)) as us:
        if not us.leads:
            for seed in seeds:
                _follow(experiment, seed)
            return []
        return [run_one(experiment, store, seed, smoke=smoke, progress=progress) for seed in seeds]


def run_one(experiment: Experiment, store: MetadataStore, seed: int, *, smoke: bool, progress: Say) -> RunResult:
    """In the only process, or in rank 0 of several."""
    distributed.check(experiment.config.training.distributed, os.environ)
    metric_versions.record(store.engine, experiment.definitions())
    plan = Plan(experiment.config.name, seed, smoke, experiment.resolved(), experiment.overrides)
    recorder = RunRecorder.start(store, plan)
    progress(f"{recorder.run_id}: {plan.name}, seed {seed}")
    digest = None
    with (
        suppress(RunFailedError),
        recorder,
        Reporting(recorder),
    ):  # foreign code's errors are recorded, other seeds go on
        device = resolve_device(experiment.config.training.device)
        recorder.snapshot(**_facts(experiment, device))
        digest = _train(_Attempt(experiment, recorder, seed, device, progress))
    return replace(result(store, recorder.run_id), model_digest=digest)


def resume(store: MetadataStore, run_id: str, progress: Say) -> tuple[Experiment, RunResult | None]:
    """Continue a killed or failed run at its last checkpoint; on a CPU it ends bit for bit as if never stopped.

    Of several processes that train together, only rank 0 has a result.
    """
    run = one_run(store, run_id)
    experiment = assemble(from_record(run.config, f"run {run_id}"))
    device = resolve_device(experiment.config.training.device)
    with team(experiment.config.training.distributed, device) as us:
        if not us.leads:
            _follow(experiment, _seed(run))
            return experiment, None
        return experiment, _continue(store, run, experiment, progress)


def _continue(store: MetadataStore, run: Run, experiment: Experiment, progress: Say) -> RunResult:
    device = resolve_device(experiment.config.training.device)
    saved = checkpoint.newest(store.home / run.folder, progress)
    digest = None
    with suppress(RunFailedError), RunRecorder.resume(store, run) as recorder, Reporting(recorder):
        step = saved.step if saved else 0
        recorder.series.rewind(step)  # what was logged after the checkpoint is measured again
        progress(f"{run.id}: resumed at step {step}")
        entry = {"at": now(), "from_step": step, **asdict(source()), "environment": environment(device)}
        recorder.note(resumes=[*run.resumes, entry])
        if run.environment is None:
            recorder.snapshot(**_facts(experiment, device))
        else:
            torch.set_num_threads(run.environment["threads"])  # sums are split by threads, so bits depend on them
        store.forget_metrics(run.id, from_epoch=(saved.epoch if saved else 0) + 1)
        digest = _train(_Attempt(experiment, recorder, _seed(run), device, progress, run.dataset_hash))
    return replace(result(store, run.id), model_digest=digest)


def _seed(run: Run) -> int:
    if run.seed is None:
        raise ResumeError(f"run {run.id} is of a script of its own, which alone can continue it")
    return run.seed


def _follow(experiment: Experiment, seed: int) -> None:
    """A process that is not rank 0: the same training, nothing recorded; a loss that is NaN ends all of them alike."""
    folder = current().told(Path())
    samples = experiment.dataset.item.generate(experiment.data_config)
    with suppress(NonFiniteError):
        _fit(_work(experiment, samples, seed, folder), Hooks(), count=lambda _: None)


def result(store: MetadataStore, run_id: str) -> RunResult:
    run = store.run(run_id)
    return RunResult(
        run=run.id,
        state=run.state,
        seed=run.seed,
        metrics=store.last_metrics([run_id])[run_id] if run.state == FINISHED else {},
        seconds=run.seconds or 0.0,
        parameters={"trainable": run.parameters_trainable, "total": run.parameters_total},
        folder=str(store.home / run.folder),
        error=run.error,
    )


def _facts(experiment: Experiment, device: torch.device) -> dict[str, Any]:
    return {**asdict(source()), "environment": environment(device), "extensions": experiment.extensions()}


def environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
    }


def _train(attempt: _Attempt) -> str:
    """Gives the digest of the model."""
    recorder, config = attempt.recorder, attempt.experiment.config
    with Reporter(
        recorder.run_id, config.training.epochs, attempt.say, partial(health.publish, recorder.folder)
    ) as seen:
        folder = current().told(recorder.folder)
        work = _work(attempt.experiment, _data(attempt), attempt.seed, folder)
        with surprises() as named:
            model, values = _fit(work, _hooks(attempt, seen), partial(_count, recorder))
        if named:
            recorder.snapshot(environment={**environment(attempt.device), "not_deterministic": named})
        write_json(recorder.folder / "metrics.json", values)
        digest = _keep_model(work, model, attempt, values)
        health.conclude(recorder.folder)
    attempt.say(f"{recorder.run_id}: {', '.join(shown(values))}")
    return digest


def _data(attempt: _Attempt) -> Samples:
    experiment, recorder = attempt.experiment, attempt.recorder
    samples = experiment.dataset.item.generate(experiment.data_config)
    dataset_hash = fingerprint(samples)
    if attempt.dataset_hash not in {None, dataset_hash}:
        raise ResumeError(f"dataset {experiment.config.data.name} is not what run {recorder.run_id} began with")
    recorder.snapshot(dataset_hash=dataset_hash)  # even if the model cannot be built
    return samples


def _work(experiment: Experiment, samples: Samples, seed: int, folder: Path) -> Work:
    config = experiment.config
    device = own_device(resolve_device(config.training.device), current())
    return Work(
        blueprint=Blueprint(experiment.plugin.item, experiment.model_config, samples.spec),
        data=split_arrays(samples, config.data.splits.model_dump()),
        training=config.training,
        metrics=experiment.metrics,
        seed=seed,
        device=str(device),
        folder=folder,
    )


def _fit(work: Work, hooks: Hooks, count: Callable[[Census], None]) -> tuple[Any, dict[str, float]]:
    """Seeds after the data and before the model: nothing that data needs can disturb the weights."""
    runtime = runtime_of(work.blueprint.plugin)
    seed_everything(work.seed, work.training.determinism or "strict")
    model = runtime.build(work)
    census = runtime.census(model)
    if census is not None:
        count(census)
    return model, runtime.fit(work, model, hooks)


def _count(recorder: RunRecorder, census: Census) -> None:
    recorder.snapshot(parameters_trainable=census.trainable, parameters_total=census.total)


def _hooks(attempt: _Attempt, seen: Reporter) -> Hooks:
    recorder = attempt.recorder
    versions = {metric.name: metric.version for metric in attempt.experiment.metrics}
    versions[OBJECTIVE.partition(".")[2]] = OBJECTIVE_VERSION
    log = recorder.series.log

    def on_step(step: int, values: Mapping[str, float]) -> None:
        seen.step = step
        log(values, step)

    def on_epoch(epoch: int, step: int, values: dict[str, float]) -> None:
        recorder.record(epoch, step, values, versions)
        seen.on_epoch(epoch, step, values)

    return Hooks(on_step, on_epoch, recorder.flush)


def _keep_model(work: Work, model: Any, attempt: _Attempt, values: Mapping[str, float]) -> str:
    """Into the artifact store, where it stays as long as somebody may need it."""
    recorder = attempt.recorder
    run = recorder.store.run(recorder.run_id)
    facts = {
        "run": run.id,
        "dataset_hash": run.dataset_hash,
        "metrics": dict(values),
        "parameters": {"trainable": run.parameters_trainable, "total": run.parameters_total},
    }
    with tempfile.TemporaryDirectory(dir=recorder.folder, prefix=".model-") as folder:
        made = Path(folder) / "model"
        write_model(made, model, blueprint=work.blueprint, config=attempt.experiment.resolved(), facts=facts)
        kept = catalog(recorder.store.home).log(("run", run.id), "model", made, role="model", keep="forever")
    return kept.digest
