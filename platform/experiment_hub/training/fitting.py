"""A whole training on PyTorch: data to the device, checkpoint back, gradients checked, loop, checkpoints on the disk."""

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch

from experiment_hub.errors import ResumeError, RunFailedError
from experiment_hub.files import write_json
from experiment_hub.output import progress
from experiment_hub.tasks import Batch
from experiment_hub.training import checkpoint
from experiment_hub.training.backward import Loss
from experiment_hub.training.census import census
from experiment_hub.training.distributed import Team, current
from experiment_hub.training.gradient_check import GradientReport, check_gradients
from experiment_hub.training.health import Health
from experiment_hub.training.loop import Hooks, Job, Trainer
from experiment_hub.training.runtimes.protocol import Hooks as RunHooks
from experiment_hub.training.runtimes.protocol import Work
from experiment_hub.training.runtimes.tensors import to_batch
from experiment_hub.training.saver import Saver

if TYPE_CHECKING:
    from experiment_hub.plugins.protocol import ModelPlugin

PARAMETERS = "parameters.json"
SILENT = Hooks(say=lambda _: None)


def fit(work: Work, model: torch.nn.Module, hooks: RunHooks) -> dict[str, float]:
    """Goes on at the newest checkpoint in the folder; with `checkpoints.best` the model ends with the best weights."""
    team, plugin = current(), cast("ModelPlugin", work.blueprint.plugin)
    data = {split: to_batch(each, torch.device(work.device)) for split, each in work.data.items()}
    if team.leads:
        write_json(work.folder / PARAMETERS, census(model))
    report = _check(work, partial(plugin.loss, model), model, data["train"], aloud=team.leads)
    with Saver() as saver:
        job = Job(plugin, model, data, work.training, work.metrics, work.seed, team)
        trainer = Trainer(job, _hooks(work, hooks, saver) if team.leads else SILENT)
        _restore(trainer, work, team)
        health = Health(work.folder, saver, report)
        if team.leads:
            trainer.add("health", health)
        values = trainer.run()
    if team.leads:
        health.conclude()
    return values


def _check(work: Work, loss: Loss, model: torch.nn.Module, train: Batch, *, aloud: bool) -> GradientReport:
    """One batch, before any step; raises RunFailedError where the configuration is strict about it."""
    section, size = work.training.gradient_check, work.training.micro_batch_size or work.training.batch_size
    if section.mode == "off":
        return GradientReport()
    report = check_gradients(model, loss, Batch(train.inputs[:size], train.targets[:size]), section)
    if not report.flows:
        if section.mode == "strict":
            raise RunFailedError(f"gradient check: {report.sentence()}")
        if aloud:
            progress(f"gradient check: {report.sentence()}")
    return report


def _hooks(work: Work, hooks: RunHooks, saver: Saver) -> Hooks:
    epochs_kept = 0

    def on_checkpoint(state: dict[str, Any]) -> None:
        nonlocal epochs_kept
        if state["position"]["epoch"] != epochs_kept:  # nothing new was measured in between
            epochs_kept = state["position"]["epoch"]
            hooks.on_checkpoint()
        saver.submit("newest", partial(checkpoint.save, work.folder, state, keep=work.training.checkpoints.keep))

    best = work.folder / checkpoint.FOLDER / checkpoint.BEST

    def read_best() -> dict[str, Any]:
        saver.wait()
        return checkpoint.read(best)

    def on_best(state: dict[str, Any]) -> None:
        saver.submit("best", partial(checkpoint.write, best, state))

    return Hooks(hooks.on_step, hooks.on_epoch, on_checkpoint, on_best, read_best)


def _restore(trainer: Trainer, work: Work, team: Team) -> None:
    # who resumes a run has looked already, and said what is damaged
    state = team.told(checkpoint.load(work.folder, say=lambda _: None) if team.leads else None)
    if state is None:
        return
    try:
        trainer.restore(state)
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise ResumeError(f"{work.folder}: the checkpoint does not fit the model: {reason}") from error
