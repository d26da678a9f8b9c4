"""The split that a model is measured on, made anew by the hub and held against what was recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from experiment_hub.configuration.document import from_record
from experiment_hub.datasets.checks import frozen_splits
from experiment_hub.datasets.content import row_hashes
from experiment_hub.datasets.declared import Declared, declared
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import FINAL, fingerprint, subset
from experiment_hub.datasets.versions import version, versions
from experiment_hub.errors import BadInputError, CorruptError, LeakageError
from experiment_hub.training.runtimes.folder import SavedModel

TRAIN = "train"
NONE, UNKNOWN = "none", "unknown"


@dataclass(frozen=True)
class FrozenSplit:
    dataset: str
    """`name@version` of a registered dataset, or the name in the model's own configuration."""
    dataset_hash: str
    split: str
    split_hash: str
    samples: Samples
    """Of this split only."""
    classes: tuple[str, ...] | None
    """Names of the classes where the dataset declares them."""


def own(engine: Engine, saved: SavedModel, split: str) -> FrozenSplit:
    """Of the data that the model was made from; raises CorruptError when it is not the same any more."""
    record = {"data": saved.config.data.model_dump(mode="json")}
    found = declared(from_record(record, "configuration of the model"))
    made = _split(found, found.section.name, saved.facts.get("dataset_hash"), split)
    return replace(made, dataset=_registered_name(engine, made) or made.dataset)


def _registered_name(engine: Engine, frozen: FrozenSplit) -> str | None:
    """Of the newest registered version that has exactly this split."""
    for row in reversed(versions(engine, fingerprint=frozen.dataset_hash)):
        if row.manifest["splits"].get(frozen.split, {}).get("hash") == frozen.split_hash:
            return f"{row.name}@{row.version}"
    return None


def training_overlap(engine: Engine, saved: SavedModel, frozen: FrozenSplit) -> str:
    """`none`, or `unknown` where the training data cannot be read any more; raises LeakageError for a shared sample."""
    try:
        trained = own(engine, saved, TRAIN)
    except (BadInputError, CorruptError):
        return UNKNOWN
    seen = set(row_hashes(trained.samples.inputs))
    known = sum(each in seen for each in row_hashes(frozen.samples.inputs))
    if known and frozen.split != TRAIN:
        raise LeakageError(
            f"{known} of {len(frozen.samples.ids)} samples of {frozen.dataset}, {frozen.split}, were in the training "
            "split of this model: a figure on them would flatter it"
        )
    return NONE


def registered(engine: Engine, reference: str, split: str) -> FrozenSplit:
    """Of a registered version; raises CorruptError when its content is not the registered one."""
    row = version(engine, reference)
    name = f"{row.name}@{row.version}"
    return _split(declared(from_record({"data": row.manifest["config"]}, name)), name, row.fingerprint, split)


def fits(frozen: FrozenSplit, saved: SavedModel) -> None:
    """Raises BadInputError when the model cannot be asked about these samples."""
    if frozen.samples.spec != saved.blueprint.spec:
        raise BadInputError(
            f"{frozen.dataset} has inputs {frozen.samples.spec.input_shape} and {frozen.samples.spec.outputs} outputs; "
            f"the model was made for {saved.blueprint.spec.input_shape} and {saved.blueprint.spec.outputs}"
        )


def _split(found: Declared, name: str, expected: Any, split: str) -> FrozenSplit:
    samples = found.samples()
    dataset_hash = fingerprint(samples)
    if expected not in {None, dataset_hash}:
        raise CorruptError(
            f"dataset {name} is not what was recorded: its fingerprint is {dataset_hash}, expected {expected}; "
            "an evaluation on changed data would be compared with figures of other data"
        )
    rows = frozen_splits(samples, found.section.splits.model_dump())
    if split not in rows:
        raise BadInputError(f"dataset {name} has no {split} split: data.splits.{FINAL} is not set")
    part = subset(samples, rows[split])
    return FrozenSplit(name, dataset_hash, split, fingerprint(part), part, _classes(found.section.model_extra or {}))


def _classes(settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = settings.get("classes")
    return tuple(names) if isinstance(names, list | tuple) else None
