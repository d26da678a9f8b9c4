"""Local files: what fits becomes samples, everything else is named by file, row and column, and never shown."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment_hub.datasets.arrays import DATASET as ARRAYS
from experiment_hub.datasets.files import DATASET as FILES
from experiment_hub.datasets.protocol import Samples
from experiment_hub.datasets.text import DATASET as TEXT
from experiment_hub.errors import CorruptError, DataError
from experiment_hub.tasks import IGNORED_TARGET

SECRET = "Do-Not-Show"
GOOD = "id,a,b,kind\nx1,1,2,red\nx2,3.5,4e0,blue\nx3,-1,0,red\n"
Read = Callable[..., Samples]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """`read(text, name="data.csv", **changes)` writes one file and reads it by a schema."""

    def call(content: str | bytes, name: str = "data.csv", **changes: Any) -> Samples:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return FILES.generate(files_config(tmp_path, name, **changes))

    return call


def files_config(folder: Path, name: str, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "folder": str(folder),
        "files": ({"name": name, "sha256": None},),
        "id": ["id"],
        "label": "kind",
        "classes": ("red", "blue"),
        "features": ("a", "b"),
        "group": [],
        "near_duplicates": "exact",
        "slices": [],
        "maximum_mib": 1,
        **changes,
    }
    return FILES.Config.model_validate_json(json.dumps(settings))


def test_a_csv_file_becomes_samples(read: Read) -> None:
    samples = read(GOOD)
    assert samples.ids == ("x1", "x2", "x3")
    assert samples.inputs.tolist() == [[1, 2], [3.5, 4], [-1, 0]]
    assert samples.targets.tolist() == [0, 1, 0]
    assert samples.inputs.dtype == np.float32
    assert (samples.spec.input_shape, samples.spec.outputs) == ((2,), 2)
    assert samples.groups == samples.ids


def test_json_lines_may_hold_arrays_and_be_packed(read: Read) -> None:
    lines = [{"id": str(row), "a": [[row, 1.0]], "kind": "red"} for row in range(3)]
    packed = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    samples = read(packed, "data.jsonl.gz", features=("a",))
    assert samples.spec.input_shape == (1, 2)
    assert samples.inputs[:, 0, 0].tolist() == [0, 1, 2]


def test_without_ids_content_names_a_sample_wherever_it_stands(read: Read) -> None:
    first = read(GOOD, id=())
    header, *rows = GOOD.splitlines()
    turned = read("\n".join([header, *reversed(rows)]) + "\n", id=())
    assert set(first.ids) == set(turned.ids)
    twins = read(GOOD + "x9,1,2,red\n", id=())
    assert len(set(twins.ids)) == 4
    assert twins.groups is not None
    assert twins.groups[3] == twins.groups[0] == twins.ids[0]


def test_a_group_column_decides_what_belongs_together(read: Read) -> None:
    samples = read("id,a,b,kind,person\n1,1,1,red,p\n2,2,2,red,q\n3,3,3,blue,p\n", group=("person",))
    assert samples.groups == ("p", "q", "p")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD.replace("3.5", SECRET), "data.csv, row 3, column a: expected a finite number"),
        (GOOD.replace("3.5", "nan"), "row 3, column a: expected a finite number"),
        (GOOD.replace("3.5", "1e999"), "row 3, column a: expected a finite number"),
        (GOOD.replace("3.5", "1e39"), "row 3, column a: expected a finite number"),
        (GOOD.replace("3.5", ""), "row 3, column a: expected a finite number"),
        (GOOD.replace("blue", SECRET), "row 3, column kind: expected one of data.classes"),
        (GOOD.replace("x2", "x1"), "row 3, column id: expected an id of its own; data.csv, row 2 has the same"),
        (GOOD.replace("x2", " "), "row 3, column id: expected a name that is not empty"),
        (GOOD.replace("x2,", f"x2,{SECRET},"), "row 3: expected 4 fields as in the header, got 5"),
        (GOOD.replace("id,a", "a,a"), "row 1: expected a different name for each column"),
        (GOOD.replace("id,a", "id,z"), "column a: expected a column of this name"),
        (f"{SECRET},1,2,red\n", "column a: expected a column of this name"),
        ("id,a,b,kind\n", "expected at least one row"),
        ("", "expected a column of this name"),
        (GOOD.replace("x2", '"x2'), "expected CSV by RFC 4180"),
        (GOOD.encode().replace(b"x2", b"\xff\xfe"), "expected UTF-8 text"),
    ],
)
def test_what_is_wrong_is_named_and_not_shown(read: Read, content: str | bytes, expected: str) -> None:
    with pytest.raises(DataError) as raised:
        read(content)
    assert expected in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[1]", "row 1: expected one JSON object"),
        ("{", "row 1: expected one JSON object of finite numbers"),
        ("[" * 100_000, "row 1: expected one JSON object"),
        ('{"id": "1", "a": NaN, "b": 1, "kind": "red"}', "row 1: expected one JSON object of finite numbers"),
        ('{"id": "1", "a": true, "b": 1, "kind": "red"}', "row 1, column a: expected a finite number"),
        ('{"id": "1", "a": "x", "b": 1, "kind": "red"}', "row 1, column a: expected a finite number"),
        ('{"id": "1", "a": null, "b": 1, "kind": "red"}', "row 1, column a: expected a finite number"),
        ('{"id": "1", "a": [1], "b": [2], "kind": "red"}', "column a: expected the shape of the first cell"),
        ('{"id": "1", "a": [[1], [1, 2]], "b": 2, "kind": "red"}', "row 1, column a: expected a finite number"),
        ('{"id": "1", "b": 1, "kind": "red"}', "row 1, column a: expected such a key in each line"),
        ('{"id": null, "a": 1, "b": 1, "kind": "red"}', "row 1, column id: expected a name"),
    ],
)
def test_what_is_wrong_in_json_lines_is_named(read: Read, line: str, expected: str) -> None:
    with pytest.raises(DataError, match=r"data\.jsonl") as raised:
        read(line + "\n", "data.jsonl")
    assert expected in str(raised.value)


def test_validate_shows_all_problems_at_once(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(GOOD.replace("3.5", "x").replace("blue", "green"), encoding="utf-8")
    problems = FILES.validate(files_config(tmp_path, "data.csv"))
    assert [(each.row, each.column) for each in problems] == [(3, "a"), (3, "kind")]


@pytest.mark.parametrize(
    "name", ["../data.csv", "/etc/hostname.csv", "a/../../data.csv", "nul\0.csv", "back\\slash.csv"]
)
def test_a_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"expected a path inside data\.folder"):
        FILES.generate(files_config(tmp_path, name))


def test_links_missing_and_special_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "true.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(tmp_path / "true.csv")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "data.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "door").symlink_to(tmp_path / "inner")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert len(FILES.generate(files_config(tmp_path, "inner/data.csv")).ids) == 3
    for name in ("link.csv", "door/data.csv", "none.csv", "folder.csv", "pipe.csv"):
        with pytest.raises(DataError, match=f"{name}: expected a"):
            FILES.generate(files_config(tmp_path, name))
    with pytest.raises(DataError, match=r"data\.folder"):
        FILES.generate(files_config(tmp_path / "nowhere", "data.csv"))


def test_a_bomb_stops_at_the_declared_size(read: Read) -> None:
    bomb = gzip.compress(b"id,a,b,kind\n" + b"x,1,1,red\n" * 300_000)
    assert len(bomb) < 2**20 / 20
    with pytest.raises(DataError, match="holds more than 1 MiB once unpacked"):
        read(bomb, "data.csv.gz")
    with pytest.raises(DataError, match=r"more than data\.maximum_mib 1 allows"):
        read(b"x" * (2**20 + 1))
    with pytest.raises(DataError, match="cannot be unpacked or read"):
        read(b"no archive", "data.csv.gz")
    with pytest.raises(DataError, match="cannot be unpacked or read"):
        read(gzip.compress(GOOD.encode())[:-9], "data.csv.gz")


def test_content_that_changed_under_its_declared_hash_is_refused(read: Read) -> None:
    pinned = ({"name": "data.csv", "sha256": hashlib.sha256(GOOD.encode()).hexdigest()},)
    assert len(read(GOOD, files=pinned).ids) == 3
    with pytest.raises(CorruptError, match="not the declared one"):
        read(GOOD.replace("3.5", "3.6"), files=pinned)


def arrays_config(folder: Path, **changes: Any) -> Any:
    named = {key: {"name": f"{key}.npy", "sha256": None} for key in ("inputs", "targets")}
    settings = {"folder": str(folder), **named, "ids": [], "groups": [], "classes": 2, "scale": 1.0}
    return ARRAYS.Config.model_validate_json(
        json.dumps({**settings, "near_duplicates": "exact", "maximum_mib": 8, **changes})
    )


def test_arrays_are_mapped_and_not_read(tmp_path: Path) -> None:
    inputs = np.arange(60, dtype=np.float32).reshape(10, 1, 2, 3)
    np.save(tmp_path / "inputs.npy", inputs)
    np.save(tmp_path / "targets.npy", np.arange(10) % 2)
    samples = ARRAYS.generate(arrays_config(tmp_path))
    assert isinstance(samples.inputs, np.memmap)
    assert np.array_equal(samples.inputs, inputs)
    assert samples.spec.input_shape == (1, 2, 3)
    np.save(tmp_path / "groups.npy", np.array(["a", "b"] * 5))
    grouped = ARRAYS.generate(arrays_config(tmp_path, groups=[{"name": "groups.npy", "sha256": None}], scale=2.0))
    assert grouped.groups == ("a", "b") * 5
    assert np.array_equal(grouped.inputs, inputs * 2)


def test_arrays_that_lie_or_hold_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "targets.npy", np.zeros(3, dtype=np.int64))
    np.save(tmp_path / "inputs.npy", np.array([{}, {}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects are never loaded"):
        ARRAYS.generate(arrays_config(tmp_path))
    np.save(tmp_path / "inputs.npy", np.zeros((3, 2), dtype=np.float32))
    whole = (tmp_path / "inputs.npy").read_bytes()
    for raw, expected in [
        (whole[:-1], "152 bytes as its header says, got 151"),
        (whole[:20], r"expected a \.npy file"),
        (b"PK\x03\x04", r"expected a \.npy file"),
    ]:
        (tmp_path / "inputs.npy").write_bytes(raw)
        with pytest.raises(DataError, match=expected):
            ARRAYS.generate(arrays_config(tmp_path))
    np.save(tmp_path / "inputs.npy", np.zeros((4, 2), dtype=np.float32))
    with pytest.raises(DataError, match="one entry for each row"):
        ARRAYS.generate(arrays_config(tmp_path))
    assert len(ARRAYS.validate(arrays_config(tmp_path))) == 1


def text_config(folder: Path, **changes: Any) -> Any:
    settings = {"folder": str(folder), "files": [{"name": "lines.txt", "sha256": None}], "column": "-"}
    return TEXT.Config.model_validate_json(
        json.dumps({**settings, "length": 12, "similarity": 0.8, "maximum_mib": 1, **changes})
    )


def test_text_becomes_bytes_and_the_next_byte_is_asked(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("abc\nHello, wide world\n", encoding="utf-8")
    samples = TEXT.generate(text_config(tmp_path))
    assert samples.inputs[0, :4].tolist() == [*b"abc", 256]
    assert samples.targets[0, :3].tolist() == [*b"bc", IGNORED_TARGET]
    assert bytes(samples.targets[1].astype(np.uint8)) == b"ello, wide w"


def test_text_without_content_is_named_by_row(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("abc\n\n...\n", encoding="utf-8")
    assert [each.row for each in TEXT.validate(text_config(tmp_path))] == [2, 3]
    (tmp_path / "t.csv").write_text("a,b\nx,1\n,2\n", encoding="utf-8")
    packed = text_config(tmp_path, files=[{"name": "t.csv", "sha256": None}], column="a")
    assert [each.row for each in TEXT.validate(packed)] == [3]
    with pytest.raises(DataError, match=r"t\.csv, row 3: expected text"):
        TEXT.generate(packed)
