"""Runs: recorded first, then trained; continued from a checkpoint."""

import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiment_hub.configuration.document import from_record
from experiment_hub.datasets.splits import fingerprint
from experiment_hub.errors import ResumeError, RunFailedError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tracking.clock import now
from experiment_hub.tracking.files import write_json
from experiment_hub.tracking.history import FINISHED, one_run
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.tracking.source import source
from experiment_hub.training import checkpoint
from experiment_hub.training.data import split_tensors
from experiment_hub.training.determinism import resolve_device, seed_everything
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.loop import OBJECTIVE, Hooks, Job, Trainer

Progress = Callable[[str], None]
OBJECTIVE_VERSION = 1
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class RunResult:
    run: str
    state: str
    seed: int
    metrics: dict[str, float]
    """Of the last epoch, by "split.metric"; empty unless the run finished."""
    seconds: float
    parameters: dict[str, int | None]
    """`trainable` and `total`."""
    folder: str
    error: str | None


@dataclass(frozen=True)
class _Attempt:
    experiment: Experiment
    recorder: RunRecorder
    seed: int
    device: torch.device
    progress: Progress
    dataset_hash: str | None = None
    """Of the earlier attempt, when there was one."""


def run_seeds(
    experiment: Experiment, store: MetadataStore, seeds: Sequence[int], *, smoke: bool, progress: Progress
) -> list[RunResult]:
    """One run per seed, one after the other."""
    return [run_one(experiment, store, seed, smoke=smoke, progress=progress) for seed in seeds]


def run_one(experiment: Experiment, store: MetadataStore, seed: int, *, smoke: bool, progress: Progress) -> RunResult:
    plan = Plan(experiment.config.name, seed, smoke, experiment.resolved(), experiment.overrides)
    recorder = RunRecorder.start(store, plan)
    progress(f"{recorder.run_id}: {plan.name}, seed {seed}")
    with suppress(RunFailedError), recorder:  # what foreign code breaks is recorded, and other seeds go on
        device = resolve_device(experiment.config.training.device)
        recorder.snapshot(**_facts(experiment, device))
        _train(_Attempt(experiment, recorder, seed, device, progress), None)
    return result(store, recorder.run_id)


def resume(store: MetadataStore, run_id: str, progress: Progress) -> tuple[Experiment, RunResult]:
    """Continue a killed or failed run at its last checkpoint; on a CPU it ends bit for bit as if never stopped."""
    run = one_run(store, run_id)
    experiment = assemble(from_record(run.config, f"run {run_id}"))
    device = resolve_device(experiment.config.training.device)
    state = checkpoint.load(store.home / run.folder)
    with suppress(RunFailedError), RunRecorder.resume(store, run) as recorder:
        step = state["position"]["step"] if state else 0
        progress(f"{run_id}: resumed at step {step}")
        entry = {"at": now(), "from_step": step, **asdict(source()), "environment": environment(device)}
        recorder.note(resumes=[*run.resumes, entry])
        if run.environment is None:
            recorder.snapshot(**_facts(experiment, device))
        else:
            torch.set_num_threads(run.environment["threads"])  # sums are split by threads, so bits depend on them
        store.forget_metrics(run_id, from_epoch=(state["position"]["epoch"] if state else 0) + 1)
        _train(_Attempt(experiment, recorder, run.seed, device, progress, run.dataset_hash), state)
    return experiment, result(store, run_id)


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


def _train(attempt: _Attempt, state: dict[str, Any] | None) -> None:
    trainer = Trainer(_job(attempt), _hooks(attempt))
    if state is not None:
        _restore(trainer, state, attempt.recorder.folder)
    values = trainer.run()
    write_json(attempt.recorder.folder / "metrics.json", values)
    attempt.progress(f"{attempt.recorder.run_id}: {_shown(values)}")


def _job(attempt: _Attempt) -> Job:
    """Data, then seeds, then the model: nothing that data needs can disturb the weights."""
    experiment = attempt.experiment
    config = experiment.config
    samples = experiment.dataset.item.generate(experiment.data_config)
    dataset_hash = fingerprint(samples)
    if attempt.dataset_hash not in {None, dataset_hash}:
        raise ResumeError(f"dataset {config.data.name} is not what run {attempt.recorder.run_id} began with")
    attempt.recorder.note(dataset_hash=dataset_hash)  # even if the model cannot be built
    data = split_tensors(samples, config.data.splits.model_dump(), attempt.device)
    seed_everything(attempt.seed)
    model = experiment.plugin.item.build(experiment.model_config, samples.spec).to(attempt.device)
    attempt.recorder.snapshot(dataset_hash=dataset_hash, **count_parameters(model))
    return Job(experiment.plugin.item, model, data, config.training, experiment.metrics, attempt.seed)


def count_parameters(model: torch.nn.Module) -> dict[str, int]:
    """Exact; a parameter that two layers share counts once."""
    parameters = list(model.parameters())
    return {
        "parameters_trainable": sum(each.numel() for each in parameters if each.requires_grad),
        "parameters_total": sum(each.numel() for each in parameters),
    }


def _hooks(attempt: _Attempt) -> Hooks:
    recorder = attempt.recorder
    versions = {metric.name: metric.version for metric in attempt.experiment.metrics}
    versions[OBJECTIVE.partition(".")[2]] = OBJECTIVE_VERSION

    shown = time.perf_counter()

    def on_checkpoint(state: dict[str, Any]) -> None:
        recorder.flush()  # first: epochs before a checkpoint are never measured again
        checkpoint.save(recorder.folder, state)

    def on_epoch(epoch: int, step: int, values: dict[str, float]) -> None:
        nonlocal shown
        recorder.record(epoch, step, values, versions)
        if time.perf_counter() - shown >= PROGRESS_SECONDS:
            shown = time.perf_counter()
            attempt.progress(f"{recorder.run_id}: epoch {epoch}, {_shown(values)}")

    return Hooks(on_epoch, on_checkpoint)


def _restore(trainer: Trainer, state: dict[str, Any], folder: Path) -> None:
    try:
        trainer.restore(state)
    except (RuntimeError, ValueError) as error:
        raise ResumeError(
            f"{folder / checkpoint.FILE}: does not fit the model: {str(error).splitlines()[0]}"
        ) from error


def _shown(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
