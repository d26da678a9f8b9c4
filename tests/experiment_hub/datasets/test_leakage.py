"""Splits: groups stay together, content never stands in two of them, broken data is refused before training."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from experiment_hub.datasets.blobs import DATASET as BLOBS
from experiment_hub.datasets.checks import checked_splits, frozen_splits
from experiment_hub.datasets.content import by_content, by_look, by_text, by_value
from experiment_hub.datasets.glyphs import DATASET as GLYPHS
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.splits import assign, fingerprint
from experiment_hub.errors import DataError, LeakageError
from experiment_hub.tasks import DataSpec

FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}
HIDDEN = {"train": 0.5, "val": 0.2, "test": 0.2, "final": 0.1}


@pytest.fixture
def samples() -> Samples:
    return BLOBS.generate(BLOBS.Config(samples=300, classes=3, noise=0.2))


def test_all_members_of_a_group_fall_into_one_split(samples: Samples) -> None:
    groups = tuple(f"g{row % 40}" for row in range(300))
    rows = assign(dataclasses.replace(samples, groups=groups), FRACTIONS)
    owners = {split: {groups[row] for row in members} for split, members in rows.items()}
    assert set.union(*owners.values()) == set(groups)
    assert sum(map(len, owners.values())) == 40


def test_groups_change_the_fingerprint_and_none_leave_it_alone(samples: Samples) -> None:
    grouped = dataclasses.replace(samples, groups=samples.ids)
    assert fingerprint(grouped) != fingerprint(samples)
    assert fingerprint(samples) == "ed6062b101e30335ee9e00a9e2bea6b789c3fb4de7934df856198132ff1fda77"


def test_a_hidden_split_is_not_handed_to_training(samples: Samples) -> None:
    seen, every = checked_splits(samples, HIDDEN), frozen_splits(samples, HIDDEN)
    assert list(seen) == ["train", "val", "test"]
    hidden = set(every["final"].tolist())
    assert len(hidden) > 10
    assert not any(hidden & set(members.tolist()) for members in seen.values())
    assert checked_splits(samples, {**FRACTIONS, "final": None}).keys() == seen.keys()


def test_a_group_that_is_left_out_is_the_test_split(samples: Samples) -> None:
    groups = tuple(f"g{row % 5}" for row in range(300))
    grouped = dataclasses.replace(samples, groups=groups)
    for group in sorted(set(groups)):
        rows = frozen_splits(grouped, {**FRACTIONS, "leave_out": group})
        assert {groups[row] for row in rows["test"]} == {group}
        owners = [{groups[row] for row in members} for members in rows.values()]
        assert sum(map(len, owners)) == 5
        assert all(owners)
    many = dataclasses.replace(samples, groups=tuple(f"g{row % 20}" for row in range(300)))
    hidden, kept = (frozen_splits(many, {**HIDDEN, "leave_out": out})["final"] for out in (None, "g1"))
    assert np.array_equal(hidden, kept)
    for wrong, section in ((grouped, "nobody"), (samples, "g1"), (samples, samples.ids[0])):
        with pytest.raises(DataError, match="leave_out"):
            checked_splits(wrong, {**FRACTIONS, "leave_out": section})


def test_the_same_content_in_two_splits_is_an_error(samples: Samples) -> None:
    rows = assign(samples, FRACTIONS)
    inputs = samples.inputs.copy()
    one, other = rows["train"][0], rows["test"][0]
    inputs[other] = inputs[one]
    leaky = dataclasses.replace(samples, inputs=inputs)
    with pytest.raises(LeakageError, match="1 samples stand in two splits") as raised:
        checked_splits(leaky, FRACTIONS)
    assert samples.ids[one] in str(raised.value)
    assert samples.ids[other] in str(raised.value)
    mended = dataclasses.replace(leaky, groups=by_content(samples.ids, inputs))
    assert checked_splits(mended, FRACTIONS)
    hidden = frozen_splits(samples, HIDDEN)
    inputs = samples.inputs.copy()
    inputs[hidden["final"][0]] = inputs[hidden["train"][0]]
    with pytest.raises(LeakageError):
        checked_splits(dataclasses.replace(samples, inputs=inputs), HIDDEN)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inputs": np.array([[np.nan, 0], [0, 1], [2, 2]], dtype=np.float32)}, "NaN or infinite; the first: a"),
        ({"inputs": np.array([[1, 0], [0, np.inf], [2, 2]], dtype=np.float32)}, "NaN or infinite; the first: b"),
        ({"targets": np.array([0, 1, 2])}, "none of the classes; the first: c"),
        ({"targets": np.array([0, -1, 1])}, "none of the classes; the first: b"),
        ({"targets": np.array([0, 1])}, "3 ids and 2 targets"),
        ({"groups": ("x",)}, "3 ids and 1 groups"),
        ({"spec": DataSpec((3,), 2)}, "the shape"),
    ],
)
def test_broken_data_is_refused_before_anything_is_trained(changes: dict[str, Any], expected: str) -> None:
    inputs = np.arange(6, dtype=np.float32).reshape(3, 2)
    good = Samples(("a", "b", "c"), inputs, np.array([0, 1, 0]), DataSpec((2,), 2))
    with pytest.raises(DataError, match=expected):
        checked_splits(dataclasses.replace(good, **changes), FRACTIONS)


def test_values_within_the_tolerance_are_one_group() -> None:
    values = np.array([[1.0, 5.0], [1.01, 5.01], [1.5, 5.0], [0.9999, 4.9999]], dtype=np.float32)
    groups = by_value(["a", "b", "c", "d"], values, 0.05)
    assert groups == ("a", "a", "c", "a")
    assert by_content(["a", "b", "c", "d"], values) == ("a", "b", "c", "d")


def test_images_that_look_the_same_are_one_group() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((4, 1, 32, 32))
    images[2] = images[0] * 0.5 + 0.25  # darker and flatter, the same picture
    assert by_look(["a", "b", "c", "d"], images) == ("a", "b", "a", "d")


def test_texts_that_are_nearly_the_same_are_one_group() -> None:
    base = " ".join(f"word{number}" for number in range(60))
    texts = [base, base.upper() + "!!", base + " and one more", "something else entirely, with other words"]
    inputs = np.arange(4)[:, None]
    assert by_text(list("abcd"), texts, inputs, 0.8) == ("a", "a", "a", "d")
    assert by_text(list("abcd"), texts, inputs, 1.0) == ("a", "a", "c", "d")
    assert by_text(list("abcd"), texts, np.array([[0], [1], [2], [0]]), 1.0) == ("a", "a", "c", "a")


def test_a_group_keeps_its_name_when_samples_are_added() -> None:
    values = np.array([[1.0], [2.0], [1.0], [3.0], [1.0]], dtype=np.float32)
    few, many = by_content(list("abc"), values[:3]), by_content(list("abcde"), values)
    assert many[:3] == few == ("a", "b", "a")


def test_glyphs_are_images_and_grow_only_at_the_end() -> None:
    few, many = (GLYPHS.generate(GLYPHS.Config(samples=count, classes=4, noise=0.1)) for count in (40, 90))
    assert few.inputs.shape == (40, *few.spec.input_shape) == (40, 1, 8, 8)
    assert np.array_equal(few.inputs, many.inputs[:40])
    ink = GLYPHS.generate(GLYPHS.Config(samples=4, classes=4, noise=0.0)).inputs.sum(axis=(1, 2, 3))
    assert ink.tolist() == [5, 5, 5, 9]
