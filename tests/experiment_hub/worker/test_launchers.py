"""Real launchers, each with its real library."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.worker.launchers.protocol import Launch, Launcher, Status
from experiment_hub.worker.launchers.registry import launcher, launchers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def launch_of(folder: Path, script: str, **resources: Any) -> Launch:
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder), "MINE": "yes"}
    return Launch(f"j-{folder.name}", 1, ("sh", "-c", script), folder, folder, environment, 600.0, resources)


def ended(kind: Launcher, reference: dict[str, Any], seconds: float = 90.0) -> Status:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = kind.poll(reference)
        if status.state == "ended":
            return status
        time.sleep(0.1)
    raise AssertionError(f"it still runs: {kind.poll(reference)}")


def test_every_launcher_keeps_the_contract() -> None:
    assert {"local", "ray", "slurm", "torchrun"} <= set(launchers())
    for name, found in launchers().items():
        assert isinstance(found.item, Launcher)
        assert found.item.name == name


@pytest.mark.long
def test_torchrun_starts_the_command_once_for_each_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    script = 'echo "$RANK of $WORLD_SIZE" >rank-$RANK'
    launch = launch_of(tmp_path, script, torchrun={"processes": 2})
    torchrun = launcher("torchrun")
    assert torchrun.check(launch) == []
    status = ended(torchrun, torchrun.start(launch))
    assert status.exit_code == 0, (tmp_path / "output.log").read_text()
    assert sorted(path.read_text() for path in tmp_path.glob("rank-*")) == ["0 of 2\n", "1 of 2\n"]


@pytest.mark.parametrize("wrong", [0, -1, "two", True, None])
def test_torchrun_refuses_a_number_of_processes_that_is_none(tmp_path: Path, wrong: Any) -> None:
    launch = launch_of(tmp_path, "true", torchrun={"processes": wrong} if wrong is not None else 5)
    if wrong == 0:  # nothing was said
        assert launcher("torchrun").check(launch) == []
    else:
        assert "processes" in launcher("torchrun").check(launch)[0]


@pytest.mark.integrations
def test_slurm_runs_a_command_by_submitit_and_tells_how_it_ended(tmp_path: Path) -> None:
    """With submitit's own executor: there is no sbatch here."""
    pytest.importorskip("submitit")
    slurm = launcher("slurm")
    for number, (script, code) in enumerate((("echo $MINE; exit 0", 0), ("exit 7", 7))):
        folder = tmp_path / str(number)
        folder.mkdir()
        launch = launch_of(folder, script, cpus=1.0, slurm={"cluster": "local"})
        assert slurm.check(launch) == []
        reference = json.loads(json.dumps(slurm.start(launch)))
        assert ended(slurm, reference).exit_code == code
        if code == 0:
            assert slurm.log(reference, 0) == b"yes\n"
            assert slurm.log(reference, 4) == b""


@pytest.mark.integrations
@pytest.mark.long
def test_slurm_submitted_twice_runs_once_and_can_be_stopped(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    slurm = launcher("slurm")
    launch = launch_of(tmp_path, "echo x >>count; sleep 60", cpus=1.0, slurm={"cluster": "local"})
    references = [slurm.start(launch) for _ in range(2)]
    until = time.monotonic() + 60
    while not (tmp_path / "count").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1.0)
    assert (tmp_path / "count").read_text() == "x\n"
    for reference in references:
        slurm.stop(reference, grace_s=0.1)


@pytest.mark.integrations
def test_slurm_without_sbatch_says_so(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    if shutil.which("sbatch"):
        pytest.skip("Slurm is installed here")
    with pytest.raises(RuntimeError, match=r"(?i)slurm|srun"):
        launcher("slurm").start(launch_of(tmp_path, "true", cpus=1.0))


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[str]:
    """A real Ray cluster of one node, in processes of its own."""
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    options = ["--head", f"--port={port}", "--include-dashboard=false", "--num-cpus=2", "--disable-usage-stats"]
    environment = {**os.environ, "RAY_DISABLE_IMPORT_WARNING": "1"}
    node = subprocess.Popen(
        [*ray, "start", "--block", *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(5)
    yield f"127.0.0.1:{port}"
    import ray as client

    client.shutdown()
    node.terminate()
    node.wait(timeout=60)


@pytest.mark.integrations
@pytest.mark.long
def test_ray_keeps_a_command_in_a_detached_actor(tmp_path: Path, ray_cluster: str) -> None:
    ray = launcher("ray")

    def run(name: str, script: str) -> tuple[Launch, dict[str, Any]]:
        folder = tmp_path / name
        folder.mkdir()
        launch = launch_of(folder, script, cpus=1.0, ray={"address": ray_cluster})
        assert ray.check(launch) == []
        return launch, ray.start(launch)

    launch, reference = run("one", "echo x >>count; echo $MINE; exit 7")
    assert ray.start(launch) == reference  # found by its name
    assert ended(ray, reference).exit_code == 7
    assert (launch.folder / "count").read_text() == "x\n"
    assert ray.log(reference, 0) == b"yes\n"
    ray.stop(reference, grace_s=0.0)
    assert ray.poll(reference).failure == "lost"  # let go of
    _, reference = run("two", "sleep 300")
    while ray.poll(reference).state == "starting":
        time.sleep(0.1)
    ray.stop(reference, grace_s=0.5)
    assert ended(ray, reference).exit_code != 0
    ray.stop(reference, grace_s=0.0)
