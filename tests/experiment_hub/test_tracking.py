import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from experiment_hub.errors import NonFiniteError, ResumeError, RunFailedError, RunKilledError
from experiment_hub.files import write_atomically
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tracking.history import one_run
from experiment_hub.tracking.home import find_home
from experiment_hub.tracking.identity import new_run_id
from experiment_hub.tracking.index import refresh
from experiment_hub.tracking.process import Owner, is_dead, this_process
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.tracking.source import PACKAGE, module_hash, source, source_hash

PLAN = Plan("plan", 7, smoke=True, config={"a": {"b": 1}}, overrides={"a.b": 1})


def test_a_run_is_recorded_before_anything_else(home: Path) -> None:
    store = MetadataStore(home)
    recorder = RunRecorder.start(store, PLAN)
    run = store.run(recorder.run_id)
    assert (run.state, run.seed, run.smoke, run.config) == ("running", 7, True, {"a": {"b": 1}})
    assert (run.pid, run.host) == (os.getpid(), socket.gethostname())
    assert (recorder.folder / "config.yaml").read_text() == "a:\n  b: 1\n"
    with recorder:
        pass
    assert store.run(recorder.run_id).state == "finished"


def test_ids_are_unique_and_tell_the_time() -> None:
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"r-\d{8}-\d{6}-[0-9a-f]{6}", run_id) for run_id in ids)


def test_the_snapshot_names_code_and_content(home: Path) -> None:
    with RunRecorder.start(MetadataStore(home), PLAN) as recorder:
        recorder.snapshot(**asdict(source()), environment={"device": "cpu"})
    written = json.loads((recorder.folder / "snapshot.json").read_text())
    assert written["source_hash"] == source_hash(PACKAGE)
    assert written["environment"] == {"device": "cpu"}
    assert (written["seed"], written["overrides"], written["config"]) == (7, {"a.b": 1}, {"a": {"b": 1}})
    assert MetadataStore(home).run(recorder.run_id).source_hash == written["source_hash"]


def test_git_is_all_or_nothing() -> None:
    found = source()
    known = [value is not None for value in (found.git_commit, found.git_tree, found.git_dirty)]
    assert len(set(known)) == 1


def test_the_source_hash_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = source_hash(tmp_path)
    (tmp_path / "notes.txt").write_text("not code")
    assert source_hash(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    changed = source_hash(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, source_hash(tmp_path)}) == 3


def test_a_modules_hash_is_of_its_file() -> None:
    assert module_hash("experiment_hub.errors") == module_hash("experiment_hub.errors:HubError") is not None


def test_code_without_a_repository_is_known_by_its_content(tmp_path: Path) -> None:
    copy = tmp_path / "experiment_hub"
    for path in PACKAGE.rglob("*.py"):
        (copy / path.relative_to(PACKAGE)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(PACKAGE)).write_bytes(path.read_bytes())
    program = "import json, dataclasses; from experiment_hub.tracking.source import source, PACKAGE; "
    program += "print(json.dumps([str(PACKAGE), dataclasses.asdict(source())]))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    package, found = json.loads(done.stdout)
    assert Path(package) == copy.resolve()
    assert found["git_commit"] is found["git_tree"] is found["git_dirty"] is None
    assert found["source_hash"] == source_hash(copy)


@pytest.mark.parametrize(
    ("error", "seen", "state"),
    [
        (NonFiniteError("loss is nan"), None, "nan"),
        (RunKilledError(15), RunKilledError, "killed"),
        (KeyboardInterrupt(), KeyboardInterrupt, "killed"),
        (ZeroDivisionError("x"), RunFailedError, "failed"),
        (ResumeError("x"), ResumeError, "failed"),
    ],
)
def test_the_end_is_recorded_whatever_happens(
    home: Path, error: BaseException, seen: type[BaseException] | None, state: str
) -> None:
    store = MetadataStore(home)
    recorder = RunRecorder.start(store, PLAN)

    def work() -> None:
        with recorder:
            recorder.record(1, 1, {"val.loss": 0.5}, {"loss": 1})
            raise error

    if seen is None:
        work()
    else:
        with pytest.raises(seen):
            work()
    run = store.run(recorder.run_id)
    assert (run.state, run.error) == (state, f"{type(error).__name__}: {error}")
    assert store.last_metrics([run.id])[run.id] == {"val.loss": 0.5}
    assert (recorder.folder / "traceback.txt").exists() == (seen is RunFailedError)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_is_recorded_and_handlers_come_back(home: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    recorder = RunRecorder.start(MetadataStore(home), PLAN)
    with pytest.raises(RunKilledError) as caught, recorder:
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert MetadataStore(home).run(recorder.run_id).state == "killed"


def test_a_process_is_known_by_number_and_start() -> None:
    me = this_process()
    assert not is_dead(me)
    assert is_dead(replace(me, started=me.started - 0.01))
    assert not is_dead(replace(me, host="another-host", started=0.0))


def test_a_process_of_an_earlier_start_of_the_machine_is_dead() -> None:
    me = this_process()
    if me.boot is None:
        pytest.skip("only Linux names the starts of a machine")
    assert is_dead(replace(me, boot="00000000-0000-0000-0000-000000000000"))


def test_a_process_that_an_older_hub_recorded_is_known_by_the_clock() -> None:
    me = Owner(socket.gethostname(), os.getpid(), psutil.Process().create_time())
    assert not is_dead(me)
    assert is_dead(replace(me, started=me.started - 100))


def test_a_clock_that_jumps_back_or_forth_kills_no_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MetadataStore(home)
    run_id = RunRecorder.start(store, PLAN).run_id
    real = time.time
    for jump in (-86_400, 86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        assert one_run(store, run_id).state == "running"


def test_a_dead_child_that_nobody_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = Owner(socket.gethostname(), child.pid, psutil.Process(child.pid).create_time())
        assert not is_dead(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(owner)
    assert is_dead(owner)


def test_a_run_of_a_dead_process_is_shown_as_killed(home: Path) -> None:
    store = MetadataStore(home)
    alive, gone = (RunRecorder.start(store, PLAN).run_id for _ in range(2))
    store.update_run(gone, process_started=1.0)
    refresh(store)
    assert {run.id: run.state for run in store.runs()} == {alive: "running", gone: "killed"}
    assert one_run(store, gone).error == f"process {os.getpid()} is gone"


def test_only_one_of_two_takes_a_run_over(home: Path) -> None:
    store = MetadataStore(home)
    run_id = RunRecorder.start(store, PLAN).run_id
    store.update_run(run_id, state="killed")
    run = store.run(run_id)
    RunRecorder.resume(store, run)
    with pytest.raises(ResumeError, match="is running; only killed and failed"):
        RunRecorder.resume(store, run)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_the_home_is_option_then_environment_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_HOME", "elsewhere")
    assert find_home(Path("here")) == tmp_path.resolve() / "here"
    assert find_home(None) == tmp_path.resolve() / "elsewhere"
    monkeypatch.delenv("HUB_HOME")
    assert find_home(None) == tmp_path.resolve() / ".hub"
