"""`hub eval` in order: find the artifact, freeze the split, ask twice, measure, record, draw."""

import hashlib
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiment_hub.artifacts.catalog import Catalog, catalog
from experiment_hub.configuration.settings import settings
from experiment_hub.datasets.splits import FINAL
from experiment_hub.errors import NonFiniteError, NotDeterministicError
from experiment_hub.evaluation import bootstrap, frozen, holdout
from experiment_hub.evaluation.details import details
from experiment_hub.evaluation.frozen import FrozenSplit
from experiment_hub.evaluation.outputs import asked, twice
from experiment_hub.evaluation.plots.draw import plots
from experiment_hub.evaluation.records import keep
from experiment_hub.evaluation.subject import Subject, subject
from experiment_hub.metadata.tables import Evaluation
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.metrics.registry import metrics
from experiment_hub.times import now
from experiment_hub.tracking.source import source
from experiment_hub.training.runtimes.folder import read_model

ID_DIGITS = 20
SEED_DIGITS = 16


@dataclass(frozen=True)
class Request:
    split: str
    dataset: str | None = None
    """A registered dataset; None: the data that the model was made from."""
    reason: str | None = None
    """Why the hidden final split is looked at; for that split only."""


@dataclass(frozen=True)
class Made:
    """What the model said, both times."""

    outputs: NDArray[np.float64]
    outputs_hash: str
    task: str
    overlap: str
    """Whether a sample was in the model's training split: `none`, or `unknown`."""


def evaluate(home: Path, reference: str, request: Request) -> Evaluation:
    """Raises BadInputError, CorruptError, NotAllowedError, NotDeterministicError, NonFiniteError."""
    store = catalog(home)
    found = subject(store, reference)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        store.fetch(found.digest, folder)
        saved = read_model(folder)
        chosen = (
            frozen.own(store.engine, saved, request.split)
            if request.dataset is None
            else frozen.registered(store.engine, request.dataset, request.split)
        )
        frozen.fits(chosen, saved)
        overlap = frozen.NONE if request.dataset is None else frozen.training_overlap(store.engine, saved, chosen)
        use = _claim(home, store, chosen, request)
        outputs, outputs_hash = twice(folder, chosen.samples.inputs)
    made = Made(outputs, outputs_hash, saved.blueprint.plugin.task, overlap)
    row = keep(store.engine, _row(found, chosen, made))
    if use is not None:
        holdout.conclude(store.engine, use, row.id)
    for name, image in plots(row).items():
        store.log(("evaluation", row.id), name, image, role="plot")
    return row


def _claim(home: Path, store: Catalog, chosen: FrozenSplit, request: Request) -> str | None:
    if chosen.split != FINAL:
        return None
    allowed = settings(home).evaluation.final_uses
    return holdout.claim(store.engine, chosen, reason=request.reason or "", allowed=allowed)


def _row(found: Subject, chosen: FrozenSplit, made: Made) -> Evaluation:
    used = [each.item for each in metrics().values() if made.task in each.item.tasks]
    values, unit = _measured(used, chosen, made.outputs)
    measured = {
        "digest": found.digest,
        "run_id": found.run_id,
        "dataset": chosen.dataset,
        "dataset_hash": chosen.dataset_hash,
        "split": chosen.split,
        "split_hash": chosen.split_hash,
        "samples": len(chosen.samples.ids),
        "metrics": values,
        "details": {
            **details(used, chosen.samples, made.outputs, chosen.classes),
            "interval": unit,
            "training_overlap": made.overlap,
        },
        "outputs_hash": made.outputs_hash,
    }
    digest = hashlib.sha256(json.dumps(measured, sort_keys=True, allow_nan=False).encode()).hexdigest()
    return Evaluation(id=f"e-{digest[:ID_DIGITS]}", source_hash=source().source_hash, created_at=now(), **measured)


def _measured(
    used: Sequence[MetricDefinition], chosen: FrozenSplit, outputs: NDArray[np.float64]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures with their intervals, and how the intervals were made."""
    samples = chosen.samples
    flat = asked(outputs, samples.targets)
    values = {metric.name: _value(metric, *flat) for metric in used}
    drawn = bootstrap.units(len(samples.ids), samples.groups)
    seed = int(chosen.split_hash[:SEED_DIGITS], 16)
    ends = bootstrap.intervals(used, outputs, samples.targets, drawn=drawn, seed=seed)
    figures = {
        metric.name: {
            "value": values[metric.name],
            "version": metric.version,
            "low": ends.get(metric.name, (None, None))[0],
            "high": ends.get(metric.name, (None, None))[1],
        }
        for metric in used
    }
    return figures, {
        "method": "bias-corrected percentile bootstrap",
        "confidence": bootstrap.CONFIDENCE,
        "resamples": bootstrap.resamples(outputs),
        "unit": "sample" if samples.groups is None else "group",
        "units": len(drawn),
        "rough": len(drawn) < bootstrap.FEW_UNITS,
    }


def _value(metric: MetricDefinition, outputs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Computed twice, because a definition is code as well."""
    first, second = (metric.compute(outputs, targets) for _ in range(2))
    if first != second and not (math.isnan(first) and math.isnan(second)):
        raise NotDeterministicError(f"metric {metric.name} gives {first} and {second} for identical inputs")
    if not math.isfinite(first):
        raise NonFiniteError(f"{metric.name} is {first}")
    return first
