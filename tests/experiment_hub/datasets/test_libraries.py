"""Parquet and Hugging Face datasets through their own libraries, offline."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from experiment_hub.datasets.huggingface import DATASET as HUGGING_FACE
from experiment_hub.datasets.huggingface import folder_digest
from experiment_hub.datasets.parquet import DATASET as PARQUET
from experiment_hub.errors import CorruptError, DataError, MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa

pytestmark = pytest.mark.integrations

SHARED: dict[str, Any] = {
    "id": ["id"],
    "label": "kind",
    "classes": ["red", "blue"],
    "features": ["a", "b"],
    "group": [],
    "near_duplicates": "exact",
    "slices": [],
    "maximum_mib": 4,
}
ROWS: dict[str, list[Any]] = {
    "id": ["1", "2", "3"],
    "a": [1, 2, 3],
    "b": [0.5, 1.5, 2.5],
    "kind": ["red", "blue", "red"],
}


def parquet_config(folder: Path, **changes: Any) -> Any:
    files = [{"name": "data.parquet", "sha256": None}]
    return PARQUET.Config.model_validate_json(json.dumps({**SHARED, "folder": str(folder), "files": files, **changes}))


def write(folder: Path, columns: "dict[str, Any] | pa.Table") -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    made = pa.table(columns) if isinstance(columns, dict) else columns
    parquet.write_table(made, folder / "data.parquet")


def test_parquet_becomes_samples(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    samples = PARQUET.generate(parquet_config(tmp_path))
    assert samples.inputs.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5]]
    assert (samples.ids, samples.targets.tolist()) == (("1", "2", "3"), [0, 1, 0])
    write(tmp_path, {**ROWS, "a": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]})
    assert PARQUET.generate(parquet_config(tmp_path, features=["a"])).spec.input_shape == (2,)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"a": [1, None, 3]}, "data.parquet, row 2, column a: expected a finite number"),
        ({"b": [0.1, float("nan"), 3.0]}, "row 2, column b: expected a finite number"),
        ({"a": ["1", "x", "3"]}, "row 2, column a: expected a finite number"),
        ({"kind": ["red", "pink", "red"]}, "row 2, column kind: expected one of data.classes"),
        ({"kind": [None, "blue", "red"]}, "row 1, column kind: expected one of data.classes"),
        ({"id": ["1", "1", "3"]}, "row 2, column id: expected an id of its own"),
        ({"a": [[1.0], [1.0, 2.0], [3.0]]}, "expected the shape of the first cell"),
    ],
)
def test_what_is_wrong_in_parquet_is_named(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    write(tmp_path, {**ROWS, **changes})
    features = ["a"] if isinstance(changes.get("a", [1])[0], list) else ["a", "b"]
    with pytest.raises(DataError) as raised:
        PARQUET.generate(parquet_config(tmp_path, features=features))
    assert expected in str(raised.value)
    assert "pink" not in str(raised.value)


def test_parquet_that_is_damaged_lacks_columns_or_grows_too_large_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    write(tmp_path, {"id": ["1"], "a": [1], "b": [2]})
    with pytest.raises(DataError, match="column kind: expected such a column"):
        PARQUET.generate(parquet_config(tmp_path))
    long = pa.array(np.zeros(600_000))
    write(tmp_path, pa.table({"id": pa.array(np.arange(600_000)), "a": long, "b": long, "kind": ["red"] * 600_000}))
    (tmp_path / "data.parquet").stat()
    with pytest.raises(DataError, match=r"holds more than data\.maximum_mib 4 MiB once unpacked"):
        PARQUET.generate(parquet_config(tmp_path))
    whole = (tmp_path / "data.parquet").read_bytes()
    for raw in (whole[:100], b"", whole[:4] + b"\0" * 200 + whole[-300:]):
        (tmp_path / "data.parquet").write_bytes(raw)
        with pytest.raises(DataError, match="expected a Parquet file"):
            PARQUET.generate(parquet_config(tmp_path))


def test_a_missing_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pyarrow", "datasets"):
        monkeypatch.setitem(sys.modules, library, None)  # what an absent library looks like to an import
    with pytest.raises(MissingExtraError, match="pyarrow"):
        PARQUET.generate(parquet_config(tmp_path))
    with pytest.raises(MissingExtraError, match="datasets"):
        HUGGING_FACE.generate(hugging_face_config(tmp_path, "0" * 64))


def hugging_face_config(folder: Path, revision: str, **changes: Any) -> Any:
    own = {"source": str(folder), "configuration": "default", "revision": revision, "split": "train"}
    return HUGGING_FACE.Config.model_validate_json(json.dumps({**SHARED, **own, **changes}))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder that the library saved, with labels by number as repositories have them."""
    library = pytest.importorskip("datasets")
    features = library.Features(
        {
            "id": library.Value("string"),
            "a": library.Value("int64"),
            "b": library.Value("float64"),
            "kind": library.ClassLabel(names=["blue", "red"]),
        }
    )
    library.disable_progress_bars()
    made = library.Dataset.from_dict({**ROWS, "kind": [1, 0, 1]}, features=features)
    library.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


@pytest.mark.slow
def test_a_saved_folder_becomes_samples_with_labels_by_name(saved: Path) -> None:
    config = hugging_face_config(saved, folder_digest(saved), split="train")
    samples = HUGGING_FACE.generate(config)
    assert samples.targets.tolist() == [0, 1, 0]
    assert samples.inputs.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5]]
    assert HUGGING_FACE.validate(config) == []


@pytest.mark.slow
def test_a_folder_that_changed_or_lacks_what_is_asked_is_refused(saved: Path) -> None:
    digest = folder_digest(saved)
    with pytest.raises(DataError, match=r"data\.split: expected one of train"):
        HUGGING_FACE.generate(hugging_face_config(saved, digest, split="test"))
    with pytest.raises(DataError, match="column c: expected such a column"):
        HUGGING_FACE.generate(hugging_face_config(saved, digest, split="train", features=["c"]))
    with pytest.raises(CorruptError, match=f"has the SHA-256 {digest}"):
        HUGGING_FACE.generate(hugging_face_config(saved, "0" * 64, split="train"))
    (saved / "more").symlink_to(saved / "train")
    with pytest.raises(DataError, match="plain files and folders only"):
        HUGGING_FACE.generate(hugging_face_config(saved, digest, split="train"))


@pytest.mark.parametrize("revision", ["main", "latest", "v1.0", "abc123", "refs/pr/1"])
def test_a_revision_that_can_move_is_refused(tmp_path: Path, revision: str) -> None:
    with pytest.raises(ValueError, match="revision"):
        hugging_face_config(tmp_path, revision)
