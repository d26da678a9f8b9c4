import itertools
import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiment_hub.errors import BadInputError, CorruptError, DiskFullError
from experiment_hub.tracking.series import SeriesWriter, curve, names, pack, read, summaries, unpack
from experiment_hub.tracking.series.reader import read_one
from experiment_hub.tracking.series.summary import CACHE
from experiment_hub.tracking.series.tail import Tail

HOSTILE = [
    "",
    "a/b",
    "../../etc",
    "line\nbreak",
    "nul\0",
    "ü漢🙂",
    "\ud800 half",
    "\u202eright",
    "x" * 10_000,
    '"',
    "\\",
]

LOGGER = """
import os, sys
from pathlib import Path
from experiment_hub.tracking.series import SeriesWriter
writer = SeriesWriter(Path(sys.argv[1]))
step = 0
while True:
    writer.log({"loss": step * 0.5, "other": -step}, step)
    if step % 50 == 0:
        os.write(1, b"%d\\n" % step)
    step += 1
"""


def logged(folder: Path, rows: dict[int, dict[str, float]]) -> None:
    writer = SeriesWriter(folder)
    for step, values in rows.items():
        writer.log(values, step)
    writer.close()


def test_everything_that_was_logged_is_read_back(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    for step in range(10_000):
        writer.log({"loss": step / 7, "step": step}, step)
    for closed in (False, True):
        if closed:
            writer.close()
        found = read(tmp_path)
        assert names(tmp_path) == list(found) == ["loss", "step"]
        assert found["loss"].steps.tolist() == list(range(10_000))
        assert found["loss"].values.tolist() == [step / 7 for step in range(10_000)]
        assert bool(np.all(np.diff(found["loss"].times) >= 0))


def test_nan_infinity_and_the_ends_of_numbers_are_kept(tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    logged(tmp_path, {step - 2**63: {"x": value} for step, value in enumerate(values)})
    logged(tmp_path, {2**63 - 1: {"x": 1.0}})
    found = read(tmp_path)["x"]
    assert found.values.tobytes() == np.array([*values, 1.0]).tobytes()
    assert (found.steps[0], found.steps[-1]) == (-(2**63), 2**63 - 1)


def test_names_may_hold_any_characters(tmp_path: Path) -> None:
    logged(tmp_path, {0: {name: index for index, name in enumerate(HOSTILE)}})
    assert names(tmp_path) == HOSTILE
    for index, name in enumerate(HOSTILE):
        assert read_one(tmp_path, name).values.tolist() == [index]
    assert {path.suffix for path in tmp_path.rglob("*")} == {".points", ".names"}


@pytest.mark.long
def test_a_hundred_thousand_names(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    writer.log({f"layer.{index}.gradient": index for index in range(100_000)}, 1)
    assert read_one(tmp_path, "layer.99999.gradient").values.tolist() == [99_999]
    assert len(summaries(tmp_path)) == 100_000
    writer.close()


@pytest.mark.parametrize("value", ["text", None, [1.0], {}, object()])
def test_a_value_that_is_no_number_is_refused_by_name_and_harms_nothing(tmp_path: Path, value: object) -> None:
    writer = SeriesWriter(tmp_path)
    with pytest.raises(BadInputError, match="metric 'loss': a value is one number, got"):
        writer.log({"before": 1.0, "loss": value}, 0)  # type: ignore[dict-item] # that is the point
    writer.log({"after": 2.0}, 1)
    assert {name: points.values.tolist() for name, points in read(tmp_path).items()} == {
        "before": [1.0],
        "loss": [],
        "after": [2.0],
    }


def test_steps_and_names_of_another_kind_are_refused(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    with pytest.raises(BadInputError, match=r"a step is a whole number, got float 1\.5"):
        writer.log({"loss": 1.0}, 1.5)  # type: ignore[arg-type] # that is the point
    with pytest.raises(BadInputError, match="not one number that fits"):
        writer.log({"loss": 1.0}, 2**63)
    with pytest.raises(BadInputError, match="names of metrics are text, got int"):
        writer.log({7: 1.0}, 1)  # type: ignore[dict-item] # that is the point


def test_scalars_of_numpy_and_booleans_are_numbers(tmp_path: Path) -> None:
    logged(tmp_path, {np.int64(3): {"a": np.float32(0.5), "b": np.array(2), "c": True}})  # type: ignore[dict-item] # numpy's own types
    assert {name: points.values.tolist() for name, points in read(tmp_path).items()} == {"a": [0.5], "b": [2], "c": [1]}


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kill_9_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(5)
    for attempt in range(8):
        folder = tmp_path / str(attempt)
        command = [sys.executable, "-c", LOGGER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            child.kill()
            acknowledged = int(child.stdout.read().split()[-1])
        found = read(folder)
        assert len(found["loss"].steps) > acknowledged
        for name, factor in (("loss", 0.5), ("other", -1.0)):
            steps = found[name].steps
            assert steps.tolist() == list(range(len(steps)))
            assert found[name].values.tolist() == [step * factor for step in range(len(steps))]


def test_a_reader_sees_every_point_while_it_is_written(tmp_path: Path) -> None:
    writer, tail, seen = SeriesWriter(tmp_path), Tail(tmp_path), 0
    for step in range(5000):
        writer.log({"loss": step}, step)
        if step % 500 == 0:
            seen += len(list(tail.fresh()))
            assert seen == len(read_one(tmp_path, "loss").steps) == summaries(tmp_path)["loss"].points == step + 1
    writer.close()
    assert seen + len(list(tail.fresh())) == 5000


def test_threads_share_a_writer(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)

    def work(name: str) -> None:
        for step in range(3000):
            writer.log({name: step, f"{name}'": -step}, step)

    threads = [threading.Thread(target=work, args=(f"thread {index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(points.steps) for name, points in read(tmp_path).items()} == dict.fromkeys(names(tmp_path), 3000)
    assert len(names(tmp_path)) == 8


def test_a_forked_child_writes_into_files_of_its_own(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    writer.log({"parent": 1.0, "both": 1.0}, 1)
    child = os.fork()
    if child == 0:
        for step in range(100):
            writer.log({"child": step, "both": step}, 10 + step)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    writer.log({"parent": 2.0}, 2)
    assert {name: len(points.steps) for name, points in read(tmp_path).items()} == {
        "parent": 2,
        "both": 101,
        "child": 100,
    }
    assert len(list(tmp_path.glob("*.points"))) == 2


@pytest.mark.slow
def test_two_processes_log_into_one_run(tmp_path: Path) -> None:
    program = LOGGER.replace("while True", "while step < 3000").replace('"loss"', "sys.argv[2]")
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name], stdout=subprocess.DEVNULL)
        for name in ("a", "b", "c")
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert [len(read_one(tmp_path, name).steps) for name in "abc"] == [3000] * 3


def test_a_signal_handler_may_log_in_the_middle_of_a_call(tmp_path: Path) -> None:
    writer, numbers = SeriesWriter(tmp_path), itertools.count()

    def handler(*_: object) -> None:
        number = next(numbers)  # a slow machine interrupts the handler as well
        writer.log({"handler": number}, number)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for step in range(60_000):
            writer.log({"loop": step}, step)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    calls = next(numbers)
    assert calls > 10
    assert read_one(tmp_path, "loop").values.tolist() == list(range(60_000))
    assert read_one(tmp_path, "handler").values.tolist() == list(range(calls))


def test_a_jump_of_the_clock_does_not_bend_the_time_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SeriesWriter(tmp_path)
    writer.log({"loss": 1.0}, 1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    writer.log({"loss": 2.0}, 2)
    first, second = read(tmp_path)["loss"].times
    assert 0 <= second - first < 60


def test_what_a_later_attempt_took_back_does_not_count(tmp_path: Path) -> None:
    logged(tmp_path, {step: {"loss": 1.0, "rare": 5.0} if step == 9 else {"loss": 1.0} for step in range(10)})
    logged(tmp_path, {1_795_000_000: {"system/cpu_percent": 50.0}})
    writer = SeriesWriter(tmp_path)
    writer.rewind(5)
    for step in (6, 7):
        writer.log({"loss": 2.0}, step)
    found = read(tmp_path)
    assert found["loss"].steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert found["loss"].values.tolist() == [1.0] * 6 + [2.0] * 2
    assert found["rare"].steps.tolist() == []
    assert {name: each.points for name, each in summaries(tmp_path).items()} == {
        "loss": 8,
        "system/cpu_percent": 1,
    }
    writer.close()


def test_of_two_values_for_one_step_the_last_one_counts(tmp_path: Path) -> None:
    logged(tmp_path, {3: {"x": 1.0}, 1: {"x": 2.0}})
    logged(tmp_path, {3: {"x": 9.0}})
    found = read(tmp_path)["x"]
    assert (found.steps.tolist(), found.values.tolist()) == ([1, 3], [2.0, 9.0])


def limited(work: Callable[[], object], size: int) -> object:
    """What `work` gives while no file may grow beyond `size` bytes: a full disk for one process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_points_wait_while_the_disk_is_full_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = SeriesWriter(tmp_path)

    def log_from(begin: int) -> None:
        for step in range(begin, begin + 10_000):
            writer.log({"loss": step, f"late {step // 6000}": step}, step)

    limited(lambda: log_from(0), 100_000)
    assert "the disk is full" in capsys.readouterr().err
    assert 1000 < read_one(tmp_path, "loss").steps.size < 10_000
    log_from(10_000)
    writer.close()
    assert "there is room again" in capsys.readouterr().err
    assert read_one(tmp_path, "loss").values.tolist() == list(range(20_000))
    assert names(tmp_path) == ["loss", "late 0", "late 1", "late 2", "late 3"]


def test_a_disk_that_stays_full_is_an_error_that_says_how_much_it_cost(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)

    def work() -> None:
        for step in range(10_000):
            writer.log({"loss": step}, step)
        writer.close()

    with pytest.raises(DiskFullError, match=r"\d+ points could not be written"):
        limited(work, 100_000)
    found = read_one(tmp_path, "loss").values.tolist()
    assert len(found) > 1000
    assert found == list(range(len(found)))


@pytest.mark.slow
def test_memory_for_waiting_points_is_bounded(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)

    def work() -> int:
        step = 0
        while True:
            try:
                writer.log({"loss": step}, step)
            except DiskFullError:
                return step
            step += 1

    most = 16 * 1024 * 1024 // 32
    assert most <= int(str(limited(work, 50_000))) < most + 5000


@pytest.mark.slow
def test_a_really_full_disk_neither_crashes_nor_loses(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        (disk / "other").write_bytes(bytes(800_000))
        writer = SeriesWriter(disk / "series")
        for step in range(20_000):
            writer.log({"loss": step}, step)
        (disk / "other").unlink()
        writer.close()
        assert read_one(disk / "series", "loss").values.tolist() == list(range(20_000))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_removed_meanwhile_does_not_stop_the_writer(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    writer = SeriesWriter(folder)
    writer.log({"loss": 0.0}, 0)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    for step in range(10_000):
        writer.log({"loss": step}, step)
    writer.close()
    assert not folder.exists()


def test_a_place_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written"):
        SeriesWriter(tmp_path / "file" / "series").log({"x": 1.0}, 0)


def test_unused_room_is_given_back(tmp_path: Path) -> None:
    logged(tmp_path, {step: {"loss": 1.0} for step in range(10)})
    assert [path.stat().st_size for path in tmp_path.glob("*.points")] == [320]


def test_torn_and_damaged_files_lose_only_what_is_damaged(tmp_path: Path) -> None:
    logged(tmp_path, {step: {"a": step, "b": step} for step in range(100)})
    [points] = tmp_path.glob("*.points")
    [names_file] = tmp_path.glob("*.names")
    points.write_bytes(points.read_bytes()[:-13])
    names_file.write_bytes(names_file.read_bytes()[:-2])
    found = read(tmp_path)
    assert found["a"].values.tolist() == list(range(100))
    assert found["(name lost: 0000, key 2)"].values.tolist() == list(range(99))


def test_a_thinned_curve_keeps_extremes_ends_and_gaps(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    odd = {12_345: 99.0, 23_456: -99.0, 34_567: math.nan, 45_678: math.inf}
    for step in range(50_000):
        writer.log({"loss": odd.get(step, math.sin(step))}, step)
    found = curve(tmp_path, "loss", points=200)
    shown = dict(zip(found.x.tolist(), found.y.tolist(), strict=True))
    assert found.total == 50_000
    assert len(shown) <= 210
    assert {0.0, 49_999.0, *map(float, odd)} <= shown.keys()
    assert math.isnan(shown[34_567])
    assert (shown[12_345], shown[23_456], shown[45_678]) == (99.0, -99.0, math.inf)
    part = curve(tmp_path, "loss", points=10_000, first=100, last=199)
    assert (part.total, part.x.tolist()) == (100, [float(step) for step in range(100, 200)])
    times = curve(tmp_path, "loss", points=50, axis="time")
    assert bool(np.all(np.diff(times.x) >= 0))
    assert curve(tmp_path, "absent").total == 0
    writer.close()


def test_thinning_gives_all_points_when_they_are_few(tmp_path: Path) -> None:
    for count in (1, 2, 3, 5, 1000):
        logged(tmp_path / str(count), {step: {"x": step} for step in range(count)})
        for points in (1, 2, 3, 7, 999, 1000, 1001):
            found = curve(tmp_path / str(count), "x", points=points)
            assert (found.x[0], found.x[-1]) == (0, count - 1)
            assert len(found.x) <= max(points, 4) + 1


def test_summaries_go_on_where_they_stopped(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    for step in range(101_000):
        writer.log({"loss": abs(step - 50_000)}, step)
    assert summaries(tmp_path)["loss"].points == 101_000
    assert (tmp_path / CACHE).exists()
    writer.log({"loss": math.nan, "fresh": -1.0}, 101_000)
    found = summaries(tmp_path)
    loss = found["loss"]
    assert (loss.points, loss.minimum, loss.maximum, loss.last_step) == (101_001, 0.0, 50_999.0, 101_000)
    assert math.isnan(loss.last)
    assert (found["fresh"].last, found["fresh"].minimum) == (-1.0, -1.0)
    (tmp_path / CACHE).write_text("{")
    assert summaries(tmp_path)["loss"].points == 101_001
    writer.close()


def test_a_packed_run_is_the_same_run(tmp_path: Path) -> None:
    logged(tmp_path / "run", {step: dict.fromkeys(HOSTILE, step / 3) for step in range(20)})
    first, second = (pack(tmp_path / "run", tmp_path / name) for name in ("1.zip", "2.zip"))
    assert first.read_bytes() == second.read_bytes()
    unpack(first, tmp_path / "copy")
    assert {name: points.values.tolist() for name, points in read(tmp_path / "copy").items()} == {
        name: points.values.tolist() for name, points in read(tmp_path / "run").items()
    }


@pytest.mark.parametrize("name", ["../evil.points", "/tmp/evil.points", "0000.py", "x.points", "0000.points/../../x"])
def test_an_archive_that_is_none_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(CorruptError, match="no file of points"):
        unpack(tmp_path / "evil.zip", tmp_path / "copy")
    assert list((tmp_path / "copy").rglob("*")) == []
    (tmp_path / "torn.zip").write_bytes(b"PK\3\4")
    with pytest.raises(CorruptError, match="no whole file"):
        unpack(tmp_path / "torn.zip", tmp_path / "copy")


@pytest.mark.slow
def test_writing_points_needs_nothing_heavy() -> None:
    program = "import sys; from experiment_hub.tracking.series import SeriesWriter; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "sqlalchemy", "pydantic", "psutil"} & set(json.loads(done.stdout.replace("'", '"')))
