"""`hub data`: manifests in the database, on SQLite and on PostgreSQL."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.datasets.versions import register, versions
from experiment_hub.metadata.database import open_engine

Hub = Callable[..., tuple[int, str, str]]
Small = Callable[..., Path]
TABLE = "".join(f"x{row},{row % 7},{row / 8},{'red' if row % 3 else 'blue'}\n" for row in range(90))


@pytest.fixture
def flowers(tmp_path: Path, small: Small) -> Path:
    """A configuration over a file that stands beside it."""
    (tmp_path / "flowers.csv").write_text(f"id,a,b,kind\n{TABLE}", encoding="utf-8")
    data = {
        "name": "files",
        "folder": str(tmp_path),
        "files": [{"name": "flowers.csv", "sha256": None}],
        "id": ["id"],
        "label": "kind",
        "classes": ["red", "blue"],
        "features": ["a", "b"],
        "group": [],
        "near_duplicates": "exact",
        "slices": [],
        "maximum_mib": 1,
        "splits": {"train": 0.6, "val": 0.2, "test": 0.2},
    }
    return small("flowers.yaml", data=data)


def test_a_dataset_is_registered_shown_and_compared(hub: Hub, flowers: Path, tmp_path: Path) -> None:
    code, out, _ = hub("data", "register", flowers, "--name", "flowers", "--json")
    first = json.loads(out)
    assert (code, first["new"], first["version"], first["samples"]) == (0, True, 1, 90)
    manifest = first["manifest"]
    assert manifest["classes"] == [60, 30]
    assert sum(split["samples"] for split in manifest["splits"].values()) == 90
    assert [sum(split["classes"]) for split in manifest["splits"].values()] == [
        split["samples"] for split in manifest["splits"].values()
    ]
    assert manifest["groups"] == {"count": 90, "largest": 1, "samples_with_relatives": 0}
    assert "x1" not in out.replace(first["hash"], "")
    again = json.loads(hub("data", "register", flowers, "--name", "flowers", "--json")[1])
    assert (again["new"], again["hash"]) == (False, first["hash"])
    with (tmp_path / "flowers.csv").open("a", encoding="utf-8") as file:
        file.write("x90,1,99,red\n")
    second = json.loads(hub("data", "register", flowers, "--name", "flowers", "--json")[1])
    assert (second["version"], second["parent_hash"]) == (2, first["hash"])
    changed = json.loads(hub("data", "diff", "flowers@1", "flowers@2", "--json")[1])
    assert (changed["same_content"], changed["changed"]["samples"]) == (False, [90, 91])
    shown = json.loads(hub("data", "show", first["fingerprint"][:12], "--json")[1])
    assert (shown["version"], shown["manifest"]) == (1, manifest)
    listed = json.loads(hub("data", "list", "--json")[1])["datasets"]
    assert [(row["name"], row["version"]) for row in listed] == [("flowers", 1), ("flowers", 2)]


def test_verify_finds_content_that_changed_under_a_version(hub: Hub, flowers: Path, tmp_path: Path) -> None:
    hub("data", "register", flowers)
    assert hub("data", "verify")[0] == 0
    text = (tmp_path / "flowers.csv").read_text(encoding="utf-8")
    (tmp_path / "flowers.csv").write_text(text.replace("x5,5,", "x5,6,"), encoding="utf-8")
    code, out, _ = hub("data", "verify", "files@1", "--json")
    assert (code, "changed" in json.loads(out)["datasets"][0]["state"]) == (4, True)
    (tmp_path / "flowers.csv").unlink()
    code, out, _ = hub("data", "verify", "--json")
    assert (code, "cannot be read" in json.loads(out)["datasets"][0]["state"]) == (4, True)


def test_check_names_what_is_wrong_and_registers_nothing(hub: Hub, flowers: Path, tmp_path: Path, home: Path) -> None:
    assert json.loads(hub("data", "check", flowers, "--json")[1])["problems"] == []
    text = (tmp_path / "flowers.csv").read_text(encoding="utf-8")
    (tmp_path / "flowers.csv").write_text(text.replace("x5,5,", "x5,five,"), encoding="utf-8")
    code, out, _ = hub("data", "check", flowers, "--json")
    assert (code, json.loads(out)["problems"]) == (
        2,
        [{"file": "flowers.csv", "row": 7, "column": "a", "expected": "a finite number, or an array of such"}],
    )
    leaky = "id,a,b,kind,who\n" + "".join(f"x{row},1,1,red,p{row}\n" for row in range(90))
    (tmp_path / "flowers.csv").write_text(leaky, encoding="utf-8")
    code, _, err = hub("data", "check", flowers, "--set", "data.group=[who]")
    assert (code, "stand in two splits" in err) == (2, True)
    (tmp_path / "flowers.csv").write_text("id,a,b,kind\nx1,1,1,red\n", encoding="utf-8")
    code, _, err = hub("data", "check", flowers)
    assert (code, "is empty: 1 samples" in err) == (2, True)
    assert not home.exists()


@pytest.mark.slow
def test_a_run_on_broken_data_is_recorded_as_failed_without_its_content(
    hub: Hub, flowers: Path, tmp_path: Path
) -> None:
    text = (tmp_path / "flowers.csv").read_text(encoding="utf-8")
    (tmp_path / "flowers.csv").write_text(text.replace("x5,5,", "x5,five,"), encoding="utf-8")
    code, _, err = hub("run", flowers)
    assert (code, "row 7, column a" in err, "five" in err) == (2, True, False)
    run = json.loads(hub("runs", "--json")[1])["runs"][0]
    assert run["state"] == "failed"
    assert "five" not in hub("show", run["run"])[1]


def test_unknown_references_are_refused(hub: Hub, flowers: Path, small: Small) -> None:
    hub("data", "register", flowers)
    for reference in ("nothing", "files@9", "files@x", "0123456789", "%", "' OR 1=1 --"):
        code, _, err = hub("data", "show", reference)
        assert (code, "no registered dataset" in err) == (2, True), reference
    code, _, err = hub("data", "check", small("none.yaml", data=None))
    assert (code, "expected a section" in err) == (2, True)


def test_registering_at_the_same_moment_gives_numbers_without_gaps(any_home: Path) -> None:
    engine = open_engine(any_home)
    document = {"samples": 1, "splits": {}}
    conflicts = []

    def add(number: int) -> None:
        from experiment_hub.errors import ConflictError

        while True:
            try:
                register(engine, "same", {**document, "fingerprint": f"{number:064x}"})
            except ConflictError as error:
                conflicts.append(error)
            else:
                return

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = versions(engine, "same")
    assert [each.version for each in found] == list(range(1, 9))
    assert [each.parent_hash for each in found] == [None, *(each.hash for each in found[:-1])]
