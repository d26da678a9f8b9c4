import dataclasses
from typing import Any

import numpy as np
import pytest

from experiment_hub.datasets.blobs import DATASET as BLOBS
from experiment_hub.datasets.char_copy import DATASET as CHAR_COPY
from experiment_hub.datasets.protocol import DatasetSpec
from experiment_hub.datasets.spirals import DATASET as SPIRALS
from experiment_hub.datasets.splits import assign, fingerprint, position
from experiment_hub.errors import BrokenExtensionError, EmptySplitError
from experiment_hub.tasks import IGNORED_TARGET

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
EXAMPLES: list[tuple[DatasetSpec, dict[str, Any]]] = [
    (BLOBS, {"samples": 500, "classes": 4, "noise": 0.1}),
    (SPIRALS, {"samples": 500, "classes": 3, "noise": 0.2}),
    (CHAR_COPY, {"samples": 500, "length": 5, "symbols": 7}),
]
NAMED = [pytest.param(*example, id=example[0].name) for example in EXAMPLES]


@pytest.mark.parametrize(("dataset", "settings"), NAMED)
def test_the_same_settings_give_the_same_data_and_others_do_not(dataset: DatasetSpec, settings: dict[str, Any]) -> None:
    first, second = (dataset.generate(dataset.Config(**settings)) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    larger = dataset.generate(dataset.Config(**{**settings, "samples": 501}))
    assert fingerprint(larger) != fingerprint(first)


@pytest.mark.parametrize(("dataset", "settings"), NAMED)
def test_shapes_are_what_the_spec_says(dataset: DatasetSpec, settings: dict[str, Any]) -> None:
    samples = dataset.generate(dataset.Config(**settings))
    assert samples.inputs.shape == (500, *samples.spec.input_shape)
    assert len(set(samples.ids)) == 500
    asked = samples.targets[samples.targets != IGNORED_TARGET]
    assert asked.min() >= 0
    assert asked.max() < samples.spec.outputs


@pytest.mark.parametrize(("dataset", "settings"), NAMED)
def test_more_samples_move_none_to_another_split_and_change_none(
    dataset: DatasetSpec, settings: dict[str, Any]
) -> None:
    few, many = (dataset.generate(dataset.Config(**{**settings, "samples": count})) for count in (300, 900))
    assert np.array_equal(few.inputs, many.inputs[:300])
    assert np.array_equal(few.targets, many.targets[:300])
    for split, rows in assign(few, FRACTIONS).items():
        kept = assign(many, FRACTIONS)[split]
        assert np.array_equal(rows, kept[kept < 300])


def test_splits_are_a_partition_of_about_the_right_sizes() -> None:
    samples = BLOBS.generate(BLOBS.Config(samples=5000, classes=2, noise=0.1))
    rows = assign(samples, FRACTIONS)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(5000))
    for split, fraction in FRACTIONS.items():
        assert len(rows[split]) / 5000 == pytest.approx(fraction, abs=0.02)


def test_a_split_depends_on_the_id_alone() -> None:
    assert position("blobs-00000000") == position("blobs-00000000")
    assert 0 <= position("anything") < 1


def test_an_empty_split_is_an_error() -> None:
    samples = BLOBS.generate(BLOBS.Config(samples=2, classes=2, noise=0.1))
    with pytest.raises(EmptySplitError, match="is empty: 2 samples"):
        assign(samples, FRACTIONS)


def test_an_id_that_is_there_twice_is_an_error() -> None:
    samples = BLOBS.generate(BLOBS.Config(samples=100, classes=2, noise=0.1))
    twins = dataclasses.replace(samples, ids=("same", "same", *samples.ids[2:]))
    with pytest.raises(BrokenExtensionError, match="one id to two samples"):
        assign(twins, FRACTIONS)


def test_the_second_half_of_a_line_copies_the_first() -> None:
    samples = CHAR_COPY.generate(CHAR_COPY.Config(samples=10, length=4, symbols=3))
    assert (samples.inputs[:, 4] == 3).all()
    assert np.array_equal(samples.targets[:, 4:], samples.inputs[:, :4])
    assert (samples.targets[:, :4] == IGNORED_TARGET).all()
