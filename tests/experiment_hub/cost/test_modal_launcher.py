"""Modal's own client against a server on loopback that speaks its protocol; containers are processes, images are not built."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.cost import reports
from experiment_hub.metadata.database import open_engine
from experiment_hub.worker.launchers.modal import LAUNCHER
from experiment_hub.worker.launchers.modal_gpus import misfit
from experiment_hub.worker.launchers.protocol import Launch, Launcher, Reference, Status

SERVER = Path(__file__).with_name("modal_server.py")
POLL_ELSEWHERE = """
import json, sys
from experiment_hub.worker.launchers.modal import LAUNCHER
status = LAUNCHER.poll(json.loads(sys.argv[1]))
print(json.dumps([status.state, status.exit_code]))
"""
remote = [pytest.mark.integrations, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def client_environment(folder: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(Path("platform").absolute()),
        "MODAL_TOKEN_ID": "ak-test",
        "MODAL_TOKEN_SECRET": "as-test",  # the server does not look at it
        "MODAL_CONFIG_PATH": str(folder / "none.toml"),
        "MODAL_BUILD_VALIDATION": "ignore",  # or else a start fails while somebody edits the hub's source
    }


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a server that runs as long as this module's tests, because a client keeps its first connection."""
    pytest.importorskip("modal")
    folder = tmp_path_factory.mktemp("modal")
    ours = client_environment(folder)
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(folder)], stdout=subprocess.PIPE, text=True, env={**os.environ, **ours}
    )
    assert server.stdout is not None
    ours["MODAL_SERVER_URL"] = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    with pytest.MonkeyPatch.context() as patch:
        for name, text in ours.items():
            patch.setenv(name, text)
        yield folder
    server.terminate()
    server.communicate()


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Launch]:
    def make(script: str, *, attempt: int = 1, timeout_s: float = 60.0, **resources: Any) -> Launch:
        folder = tmp_path / str(attempt)
        folder.mkdir(exist_ok=True)
        ours = {"commit_every_s": 0.2, **resources.pop("modal", {})}
        return Launch(
            job_id=f"j-{tmp_path.name}",
            attempt=attempt,
            argv=("sh", "-c", script),
            folder=folder,
            working_folder=folder,
            environment={"HUB_JOB": "j", "WORD": "hello", "PATH": "/nowhere"},
            timeout_s=timeout_s,
            resources={**resources, "modal": ours},
        )

    return make


def wait_for(reference: Reference) -> Status:
    end = time.monotonic() + 60
    while (status := LAUNCHER.poll(reference)).state != "ended":
        assert time.monotonic() < end
        time.sleep(0.1)
    return status


def definition(provider: Path) -> dict[str, Any]:
    newest: dict[str, Any] = json.loads((provider / "functions.jsonl").read_text().splitlines()[-1])
    return newest


class TestWithServer:
    pytestmark = remote

    def test_a_call_is_spawned_with_retries_time_out_limits_and_the_volume(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        mine = launch("echo $WORD from $HUB_HOME", gpu="H100", gpus=2, cpus=2.0, memory_mib=4096)
        assert LAUNCHER.check(mine) == []
        reference = LAUNCHER.start(mine)
        status = wait_for(reference)
        assert (status.exit_code, status.failure) == (0, None)
        assert status.billed_seconds is not None
        assert LAUNCHER.log(reference, 6).startswith(b"from /")
        made = definition(provider)
        assert made["retryPolicy"]["retries"] == 1
        assert made["timeoutSecs"] == 60
        assert made["resources"]["gpuConfig"] == {"gpuType": "H100", "count": 2}
        limits = made["resources"]
        assert (limits["milliCpu"], limits["milliCpuMax"], limits["memoryMbMax"]) == (2000, 2000, 4096)
        assert made["volumeMounts"][0]["mountPath"] == "/hub"
        assert made["supportedOutputFormats"] == ["DATA_FORMAT_CBOR"]  # no pickle from outside
        assert made["singleUseContainers"] is True
        mounted = (provider / "mounted.txt").read_text()
        assert "experiment_hub/training/loop.py" in mounted
        assert "experiment_hub/configs/mlp.yaml" in mounted

    def test_a_call_outlives_its_client_and_is_found_again_by_its_id(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        assert provider
        reference = LAUNCHER.start(launch("sleep 1; exit 7"))
        assert LAUNCHER.poll(reference).state == "running"
        end = time.monotonic() + 60
        answer: list[Any] = ["running", None]
        while answer[0] == "running":
            assert time.monotonic() < end
            command = [sys.executable, "-c", POLL_ELSEWHERE, json.dumps(reference)]
            answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert answer == ["ended", 7]

    def test_a_call_that_was_started_is_not_started_again(self, provider: Path, launch: Callable[..., Launch]) -> None:
        mine = launch("sleep 1")
        before = LAUNCHER.start(mine)
        created = (provider / "functions.jsonl").read_text()
        assert LAUNCHER.start(mine) == before
        assert (provider / "functions.jsonl").read_text() == created

    def test_a_call_whose_id_was_lost_is_stopped_before_another_one_begins(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        assert provider
        mine = launch("sleep 30")
        lost = LAUNCHER.start(mine)
        (mine.folder / "modal.json").unlink()  # as if the worker had been killed before it wrote this down
        again = LAUNCHER.start(mine)
        assert wait_for(lost).failure == "lost"
        assert LAUNCHER.poll(again).state == "running"
        LAUNCHER.stop(again, grace_s=1)
        assert "Modal ended the call" in wait_for(again).detail
        LAUNCHER.stop(again, grace_s=1)

    def test_output_and_health_are_seen_while_it_runs_because_they_are_committed(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        assert provider
        mine = launch("echo early; echo '{}' > $HUB_HEALTH_FILE; sleep 30")
        reference = LAUNCHER.start(mine)
        end = time.monotonic() + 30
        while not ((mine.folder / "health.json").exists() and LAUNCHER.log(reference, 0) == b"early\n"):
            assert time.monotonic() < end
            assert LAUNCHER.poll(reference).state == "running"
            time.sleep(0.1)
        LAUNCHER.stop(reference, grace_s=1)

    def test_a_lost_container_is_tried_once_more_and_both_count_against_one_time_out(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        (provider / "crash").write_text("5")
        reference = LAUNCHER.start(launch("echo begun; while :; do echo tick; sleep 0.5; done", timeout_s=8.0))
        status = wait_for(reference)
        assert status.failure == "time_out"
        assert status.billed_seconds is not None
        assert 7 < status.billed_seconds < 10
        lines = LAUNCHER.log(reference, 0).decode().split()
        assert lines.count("begun") == 2
        assert lines.count("tick") <= 20  # two time-outs of eight seconds would have had room for 25

    def test_an_attempt_of_the_same_job_that_still_runs_is_named(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        assert provider
        first, second = launch("sleep 30"), launch("true", attempt=2)
        reference = LAUNCHER.start(first)
        assert [f"app hub-{first.job_id}-1" in each for each in LAUNCHER.check(second)] == [True]
        assert f"hub-{first.job_id}-1" in json.loads((second.folder / "modal-apps.json").read_text())
        LAUNCHER.stop(reference, grace_s=1)

    def test_what_cannot_work_is_said_before_anything_is_paid(
        self, provider: Path, launch: Callable[..., Launch]
    ) -> None:
        assert provider
        wrong = launch("true", timeout_s=90_000.0, nodes=2, gpu="B200", modal={"cuda": "12.4"})
        said = " ".join(LAUNCHER.check(wrong))
        assert all(word in said for word in ("after 86400 s", "several nodes", "needs CUDA 12.8"))
        assert LAUNCHER.check(launch("true", modal={"cuda": 3}))[0].startswith("modal: cuda:")

    def test_a_call_that_modal_does_not_know_is_lost(self, provider: Path, launch: Callable[..., Launch]) -> None:
        assert provider
        reference = {**LAUNCHER.start(launch("true")), "call": "fc-unknown"}
        assert LAUNCHER.poll(reference).failure == "lost"
        LAUNCHER.stop(reference, grace_s=1)


def test_the_launcher_keeps_the_contract() -> None:
    assert isinstance(LAUNCHER, Launcher)
    assert (LAUNCHER.name, LAUNCHER.paid) == ("modal", True)


@pytest.mark.parametrize(
    ("gpu", "cuda", "message"),
    [
        ("T4", "12.8", ""),
        ("H100", "11.8", ""),
        ("H100!", "12.8", ""),
        ("H100", "11.7", "needs CUDA 11.8"),
        ("B200", "12.6", "needs CUDA 12.8"),
        ("RTX-PRO-6000", "12.8", ""),
        ("K80", "12.8", "Modal has no GPU 'K80'"),
        ("H100", "new", "expected a version"),
    ],
)
def test_a_gpu_needs_a_build_of_torch_that_knows_it(gpu: str, cuda: str, message: str) -> None:
    found = misfit(gpu, cuda)
    assert message in found
    assert bool(found) == bool(message)


@pytest.mark.integrations
@pytest.mark.slow
def test_a_job_of_the_queue_runs_at_the_server_and_is_paid(provider: Path, home: Path) -> None:
    """Submission, worker, Modal's client, server, container and ledger, all real but the provider."""
    assert provider
    home.mkdir()
    today = datetime.now(UTC).date()
    prices = {"H100": 3.95, "cpu": 0.05, "memory": 0.01}
    card = [
        f'[[rates]]\nlauncher = "modal"\nitem = "{item}"\nprice = {price}\ncurrency = "USD"\nsource = "a test"\nas_of = {today}\n'
        for item, price in prices.items()
    ]
    (home / "prices.toml").write_text("".join(card))
    (home / "hub.yaml").write_text("cost: {rates: prices.toml}\n")
    hub = [sys.executable, "-m", "experiment_hub"]
    asked = "--launcher modal --gpu H100 --gpus 1 --timeout 30m --retry lost=0 --option modal.commit_every_s=1 --json"
    submitted = subprocess.run(
        [*hub, "jobs", "submit", *asked.split(), "--home", str(home), "--", "sh", "-c", "echo trained on $HUB_JOB"],
        check=True,
        capture_output=True,
        text=True,
    )
    job = json.loads(submitted.stdout)["jobs"][0]["id"]
    subprocess.run([*hub, "worker", "--once", "--home", str(home)], check=True, timeout=100)
    entries = reports.rows(open_engine(home))
    assert [row["kind"] for row in entries] == ["reserve", "spend", "release"]
    assert entries[0]["usd"] == pytest.approx((3.95 + 0.05) / 2, abs=1e-6)
    assert 0 < entries[1]["usd"] < 0.1
    shown = subprocess.run(
        [*hub, "jobs", "logs", job, "--home", str(home)], check=True, capture_output=True, text=True
    ).stdout
    assert f"trained on {job}" in shown
