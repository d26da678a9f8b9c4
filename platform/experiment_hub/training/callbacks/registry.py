"""Callbacks of a run: the built-in ones that its configuration asks for, in the order in which they must act."""

import json
from functools import cache

from experiment_hub.configuration.schema import TrainingSection
from experiment_hub.discovery import Extension, ExtensionPoint, discover, pick
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.training.callbacks.clipping import ClipNorm, ClipValue, GradientLog, GradientNorm
from experiment_hub.training.callbacks.early_stop import EarlyStop
from experiment_hub.training.callbacks.guard import GradientGuard, SkipSteps
from experiment_hub.training.callbacks.losses import LossMonitor
from experiment_hub.training.callbacks.protocol import Callback, CallbackMaker, Plan
from experiment_hub.training.callbacks.saving import Saving
from experiment_hub.training.callbacks.schedule import Schedule
from experiment_hub.training.callbacks.stopping import Stopping
from experiment_hub.training.callbacks.throughput import Throughput
from experiment_hub.training.callbacks.together import Together

POINT = ExtensionPoint(
    kind="callback",
    package="experiment_hub.training.callbacks",
    attribute="CALLBACK",
    group="experiment_hub.callbacks",
    contract=CallbackMaker,
)


@cache
def makers() -> dict[str, Extension[CallbackMaker]]:
    return discover(POINT)


def callbacks(plan: Plan, metrics: tuple[MetricDefinition, ...]) -> dict[str, Callback]:
    """By the name under which a checkpoint keeps their state."""
    training = plan.training
    made: dict[str, Callback] = {}
    made |= _gradients(training)
    made["losses"] = LossMonitor(every_steps=training.log.every_steps, tolerant=training.guard is not None)
    if training.schedule is not None:
        made["schedule"] = Schedule(training.schedule, log_every_steps=training.log.every_steps)
    made["throughput"] = Throughput()
    if training.early_stop is not None:
        name = training.early_stop.metric.partition(".")[2]
        definition = next(metric for metric in metrics if metric.name == name)
        made["early_stop"] = EarlyStop(training.early_stop, definition)
    made |= {f"callbacks.{name}": _make(name, plan) for name in training.callbacks}
    return made | _ends(plan)  # last: all others have seen the step that is kept


def _ends(plan: Plan) -> dict[str, Callback]:
    training, stopping = plan.training, Stopping()
    saving = Saving(every_steps=training.checkpoint_every_steps, every_seconds=training.checkpoints.every_seconds)
    if plan.team.size > 1:
        return {"together": Together(saving, stopping)}
    return {"saving": saving, "stopping": stopping}


def _gradients(training: TrainingSection) -> dict[str, Callback]:
    """First the norm is known, then somebody may leave the step out."""
    made: dict[str, Callback] = {}
    every = 1 if training.guard else training.log.gradient_norm_every_steps
    if training.clip is not None and training.clip.norm is not None:
        made["clip"] = ClipNorm(training.clip.norm)
    elif every is not None:
        made["gradient_norm"] = GradientNorm(every)
    if training.clip is not None and training.clip.value is not None:
        made["clip"] = ClipValue(training.clip.value)
    if training.log.gradient_norm_every_steps is not None:
        made["gradient_log"] = GradientLog(training.log.gradient_norm_every_steps)
    if training.guard is not None:
        made["guard"] = SkipSteps(training.guard.skip_steps)
    elif training.precision != "fp16":  # there the scaler leaves steps with infinite gradients out, as it should
        made["guard"] = GradientGuard()
    return made


def callback(name: str) -> CallbackMaker:
    """Raises UnknownNameError."""
    found: Extension[CallbackMaker] = pick(POINT, makers(), name)
    return found.item


def _make(name: str, plan: Plan) -> Callback:
    maker = callback(name)
    settings = maker.Config.model_validate_json(json.dumps(plan.training.callbacks[name]))
    return maker.make(settings, plan)
