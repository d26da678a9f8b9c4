import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import experiment_hub as hub_client
from experiment_hub.errors import BadInputError, DiskFullError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.tracking import output
from experiment_hub.tracking.history import describe, one_run
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.output import OutputLog, Position, read_log
from experiment_hub.tracking.series import read

FIVE_LINES = """
import experiment_hub as hub
run = hub.start("mnist", config={"learning_rate": 0.1, "model": {"layers": [8, 8], "name": "mlp"}}, seed=3)
for step in range(5):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.log({"accuracy": 0.75}, step=5)
"""


def script(home: Path, text: str, *, exits: int = 0) -> subprocess.CompletedProcess[str]:
    path = home.parent / "train.py"
    path.write_text(textwrap.dedent(text))
    environment = {**os.environ, "HUB_HOME": str(home)}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == exits, done.stderr
    return done


def every_run(store: MetadataStore) -> list[Run]:
    refresh(store)
    return store.runs()


def only_run(home: Path) -> dict[str, Any]:
    store = MetadataStore(home)
    [run] = every_run(store)
    return describe(store, run)


def quiet(home: Path, name: str = "run", **options: Any) -> hub_client.TrackedRun:
    return hub_client.start(name, home=home, system_seconds=None, capture=False, **options)


def test_five_lines_track_a_script(any_home: Path) -> None:
    script(any_home, FIVE_LINES)
    found = only_run(any_home)
    assert (found["name"], found["state"], found["kind"], found["seed"]) == ("mnist", "finished", "script", 3)
    assert found["config"] == {"learning_rate": 0.1, "model": {"layers": [8, 8], "name": "mlp"}}
    assert found["metrics"] == {"accuracy": 0.75, "loss": 0.2}
    assert found["curves"]["loss"]["points"] == 5
    assert found["environment"]["script"] == str(any_home.parent.resolve() / "train.py")
    assert found["source_hash"]
    assert 0 < found["seconds"] < 60
    assert list((any_home / "inbox").iterdir()) == []


@pytest.mark.slow
def test_importing_and_starting_need_nothing_heavy(home: Path) -> None:
    done = script(
        home,
        """
        import sys
        import experiment_hub as hub
        assert "json" not in sys.modules and "pathlib" not in sys.modules, "the import itself is free"
        run = hub.start("x", config={"a": 1})
        run.log({"loss": 1.0})
        print(sorted(sys.modules))
        """,
    )
    heavy = {"numpy", "sqlalchemy", "pydantic", "torch", "psutil", "typer", "dataclasses", "inspect"}
    assert not heavy & set(json.loads(done.stdout.replace("'", '"')))
    assert not (home / "hub.sqlite").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "exits", "state", "error"),
    [
        ("raise ValueError('no data')", 1, "failed", "ValueError: no data"),
        ("import sys; sys.exit(3)", 3, "failed", "exit status 3"),
        ("import sys; sys.exit(0)", 0, "finished", None),
        ("raise KeyboardInterrupt", -signal.SIGINT, "killed", "KeyboardInterrupt: "),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "killed", "process \\d+ is gone"),
        ("import os; os._exit(0)", 0, "killed", "process \\d+ is gone"),
        ("run.finish()", 0, "finished", None),
    ],
)
def test_every_end_of_a_process_is_known(home: Path, ending: str, exits: int, state: str, error: str | None) -> None:
    script(home, f"{FIVE_LINES}\n{ending}", exits=exits)
    found = only_run(home)
    assert (found["state"], found["metrics"]) == (state, {"accuracy": 0.75, "loss": 0.2})
    assert error is found["error"] is None or re.fullmatch(str(error), found["error"])
    assert found["ended_at"] >= found["created_at"]


def test_a_with_block_ends_the_run_as_it_ended(home: Path) -> None:
    with pytest.raises(ZeroDivisionError), quiet(home) as run:
        run.note(str(1 / 0))
    assert (only_run(home)["state"], only_run(home)["error"]) == ("failed", "ZeroDivisionError: division by zero")


def test_a_run_at_work_is_seen_with_what_it_logged_so_far(home: Path) -> None:
    with quiet(home) as run:
        for step in range(4):
            run.log({"loss": step})
            assert only_run(home)["curves"]["loss"]["last"] == step
        assert only_run(home)["state"] == "running"
    assert only_run(home)["state"] == "finished"


def test_steps_count_by_themselves(home: Path) -> None:
    with quiet(home) as run:
        run.log({"a": 1})
        run.log({"a": 2})
        run.log({"a": 3}, step=10)
        run.log({"a": 4})
    assert read(run.folder)["a"].steps.tolist() == [0, 1, 10, 11]


def test_notes_tags_and_a_summary_can_change_while_the_run_goes_on(any_home: Path) -> None:
    with quiet(any_home, tags=["a", "b"], notes="first", project="p", parent="r-before") as run:
        run.note("second")
        run.tag("c")
        run.untag("a")
        run.summary["best"] = 0.5
        run.summary.update({"words": "fine", "odd": float("nan")})
        run.use("images", digest="sha256:1")
        run.use("teacher", run="r-before")
        run.dataset("abc")
    found = only_run(any_home)
    assert (found["tags"], found["notes"], found["project"]) == (["b", "c"], "first\n\nsecond", "p")
    assert found["summary"] == {"best": 0.5, "words": "fine", "odd": "NaN"}
    assert found["inputs"] == [
        {"name": "images", "digest": "sha256:1", "run": None},
        {"name": "teacher", "digest": None, "run": "r-before"},
    ]
    assert (found["dataset_hash"], found["parent_id"]) == ("abc", "r-before")


def test_names_with_any_characters_reach_both_databases(any_home: Path) -> None:
    names = ["ü/\n\t'\"<script>", "nul\0byte", "half \ud800", "x" * 10_000, "y" * 9_999 + "\0", "漢" * 3_000]
    config = {name: name for name in names} | {"n\0": [float("inf")], "big": 10**400}
    with quiet(any_home, names[0], config=config, tags=names, notes="\0\ud800") as run:
        run.log({name: index for index, name in enumerate(names)} | {"nan": float("nan"), "inf": -float("inf")}, 1)
        run.note("nul \0")
    found = only_run(any_home)
    assert (found["state"], found["config"]["big"]) == ("finished", 10**400)
    assert len(found["curves"]) == len(names) + 2
    assert len(found["tags"]) == len(names)
    assert (found["metrics"]["nan"], found["metrics"]["inf"]) == ("NaN", "-Infinity")
    json.dumps(found, allow_nan=False)


def test_a_configuration_may_be_anything_with_names(home: Path) -> None:
    quiet(home, config=argparse.Namespace(rate=0.1, path=Path("/data"), nested={"a": (1, 2)})).finish()
    assert only_run(home)["config"] == {"rate": 0.1, "path": "/data", "nested": {"a": [1, 2]}}
    circle: dict[str, Any] = {}
    circle["again"] = circle
    for config, expected in ((circle, "contains itself"), ([1], "expected names with values, got list")):
        with pytest.raises(BadInputError, match=expected):
            quiet(home, config=config)
    assert len(list((home / "runs").iterdir())) == 1


def test_bad_names_and_places_are_refused_in_words(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written: Not a directory"):
        quiet(tmp_path / "file")
    for name in ("", 7):
        with pytest.raises(BadInputError, match="name: expected text that is not empty"):
            quiet(home, name)  # type: ignore[arg-type] # that is the point
    with quiet(home) as run, pytest.raises(BadInputError, match="a run ends as finished"):
        run.finish("splendid")
    with quiet(home) as run, pytest.raises(BadInputError, match="nowhere does not exist"):
        run.log_artifact(tmp_path / "nowhere")


@pytest.mark.long
def test_readers_at_once_take_a_run_in_once(home: Path) -> None:
    for index in range(20):
        with quiet(home, f"run {index}", tags=["t"]) as run:
            run.log({"loss": index})
    MetadataStore(home)
    program = "import sys; from pathlib import Path; from experiment_hub.metadata.store import MetadataStore; "
    program += "from experiment_hub.tracking.index import refresh; refresh(MetadataStore(Path(sys.argv[1])))"
    readers = [subprocess.Popen([sys.executable, "-c", program, str(home)]) for _ in range(3)]
    assert [reader.wait(timeout=60) for reader in readers] == [0, 0, 0]
    runs = every_run(MetadataStore(home))
    assert sorted(run.name for run in runs) == sorted(f"run {index}" for index in range(20))
    assert {run.state for run in runs} == {"finished"}


def test_a_reader_that_died_before_it_took_the_marker_away_changes_nothing(home: Path) -> None:
    with quiet(home, tags=["a"]) as run:
        run.log({"loss": 1.0})
    before = only_run(home)
    (home / "inbox" / run.id).touch()
    assert only_run(home) == before
    assert list((home / "inbox").iterdir()) == []


def test_a_run_whose_folder_is_gone_stays_known_and_stops_no_reader(home: Path) -> None:
    with quiet(home) as run:
        run.log({"loss": 1.0})
        only_run(home)
    only_run(home)
    shutil.rmtree(run.folder)
    (home / "inbox" / run.id).touch()
    assert (only_run(home)["metrics"], only_run(home)["folder_host"]) == ({"loss": 1.0}, os.uname().nodename)


def test_a_damaged_run_is_left_out_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"", b"[]", b"\xff", b'{"format": 2}'):
        run = quiet(home)
        run.finish()
        (run.folder / "run.json").write_bytes(content)
    quiet(home, "good").finish()
    assert [run.name for run in every_run(MetadataStore(home))] == ["good"]
    assert capsys.readouterr().err.count("run.json is damaged") == 4


def test_a_removed_folder_is_said_at_the_end(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = quiet(home)
    run.log({"loss": 1.0})
    shutil.rmtree(run.folder)
    for step in range(5000):
        run.log({"loss": step})
    run.finish()
    assert f"the folder of run {run.id} was removed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_forked_child_does_not_end_the_run(home: Path) -> None:
    script(
        home,
        f"""{FIVE_LINES}
import os, sys
if os.fork() == 0:
    run.log({{"child": 1.0}}, step=9)
    sys.exit(7)
os.wait()
run.log({{"late": 1.0}}, step=9)
""",
    )
    found = only_run(home)
    assert (found["state"], found["error"]) == ("finished", None)
    assert {"child", "late", "loss"} <= set(found["metrics"])


def test_what_is_printed_is_kept_and_streams_come_back(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with hub_client.start("x", home=home, system_seconds=None) as run:
        sys.stdout.write("hello ü\n")
        sys.stderr.write("trouble\n")
        assert (run.folder / "output.log").read_text() == "hello ü\ntrouble\n"
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "hello ü\n"


def test_a_log_of_any_length_keeps_its_beginning_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "HEAD_BYTES", 1000)
    monkeypatch.setattr(output, "PIECE_BYTES", 500)
    log, seen, position = OutputLog(tmp_path), b"", Position()
    for number in range(2000):
        log.write(b"line %05d\n" % number)
        if number < 250:
            for block, end in read_log(tmp_path, position):
                seen, position = seen + block, end
    log.close()
    kept = b"".join(block for block, _ in read_log(tmp_path, Position()))
    assert kept.startswith(b"line 00000\nline 00001")
    assert kept.endswith(b"line 01998\nline 01999\n")
    assert b"left out" in kept
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000 + 3 * 500
    assert seen == b"".join(b"line %05d\n" % number for number in range(250))


def test_artifacts_wait_for_a_reader_and_are_kept_as_they_were(hub: Any, home: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"1")
    with quiet(home) as run:
        run.log_artifact(tmp_path / "model", "the model", role="model")
        (tmp_path / "model" / "weights.bin").write_bytes(b"2")
        run.log_artifact(tmp_path / "model" / "weights.bin")
        run.log_artifact(tmp_path / "model" / "weights.bin", "../../outside")
    code, out, err = hub("show", run.id, "--json")
    assert code == 0, err
    found = {row["name"]: row for row in json.loads(out)["artifacts"]}
    assert {name: row["role"] for name, row in found.items()} == {"the model": "model", "weights.bin": "output"}
    assert "artifact '../../outside' is refused" in err
    from experiment_hub.artifacts.catalog import catalog

    catalog(home).fetch(found["the model"]["digest"], tmp_path / "back")
    assert (tmp_path / "back" / "weights.bin").read_bytes() == b"1"
    assert hub("show", run.id)[2] == ""


@pytest.mark.slow
def test_the_machine_is_watched(home: Path) -> None:
    with hub_client.start("x", home=home, system_seconds=0.05, capture=False) as run:
        until = time.monotonic() + 20
        while time.monotonic() < until and "system/process_memory_mib" not in read(run.folder):
            time.sleep(0.05)
    found = only_run(home)
    assert found["curves"]["system/process_memory_mib"]["last"] > 1
    assert found["metrics"] == {}


@pytest.mark.slow
def test_the_end_on_a_full_disk_is_said_and_what_was_logged_stays(home: Path) -> None:
    done = script(
        home,
        """
        import resource
        import experiment_hub as hub
        run = hub.start("x", system_seconds=None)
        for step in range(1000):
            run.log({"loss": step})
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        run.log({"loss": 1000})
        run.finish()
        """,
        exits=1,
    )
    assert "DiskFullError" in done.stderr
    found = only_run(home)
    assert (found["state"], found["curves"]["loss"]["points"]) == ("killed", 1001)


def test_disk_errors_of_notes_are_errors_of_ours(home: Path) -> None:
    run = quiet(home)
    shutil.rmtree(run.folder)
    with pytest.raises(BadInputError, match="cannot be written: No such file"):
        run.note("x")
    run.finish()
    assert issubclass(DiskFullError, Exception)


def test_a_run_is_moved_with_its_home(home: Path, tmp_path: Path) -> None:
    with quiet(home) as run:
        run.log({"loss": 1.0})
    only_run(home)
    home.rename(tmp_path / "moved")
    store = MetadataStore(tmp_path / "moved")
    refresh(store)
    assert describe(store, one_run(store, run.id))["folder"] == str(tmp_path / "moved" / "runs" / run.id)
