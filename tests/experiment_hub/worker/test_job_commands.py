"""`hub jobs` and `hub worker` as somebody types them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.errors import BadInputError
from experiment_hub.metadata.database import FILE
from experiment_hub.worker import asking

Hub = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _begun(hub: Hub, home: Path, empty_home: Path) -> None:
    """The home has been used before, which saves each test the migrations."""
    assert hub is not None
    home.mkdir()
    shutil.copy(empty_home / FILE, home / FILE)


def submitted(hub: Hub, *arguments: object) -> dict[str, Any]:
    code, out, err = hub("jobs", "submit", "--json", *arguments)
    assert code == 0, err
    jobs: list[dict[str, Any]] = json.loads(out)["jobs"]
    return jobs[0]


def test_a_command_is_queued_worked_on_and_looked_at(hub: Hub) -> None:
    job = submitted(hub, "--name", "greeting", "--", "sh", "-c", "echo hello; echo world")["id"]
    assert hub("worker", "--once", "--gpus", 0)[0] == 0
    assert hub("jobs", "wait", job)[0] == 0
    assert "finished" in hub("jobs", "list")[1]
    code, out, _ = hub("jobs", "show", job[:10], "--json")
    shown = json.loads(out)
    assert (code, shown["state"], shown["name"]) == (0, "finished", "greeting")
    assert [event["kind"] for event in shown["events"]] == ["queued", "starting", "running", "finished"]
    code, out, _ = hub("jobs", "logs", job, "--json", "--tail", 1)
    assert json.loads(out)["text"] == "world\n"
    (worker,) = json.loads(hub("jobs", "workers", "--json")[1])["workers"]
    assert worker["state"] == "gone"


@pytest.mark.slow
def test_wait_tells_a_failure_by_its_exit_code(hub: Hub) -> None:
    job = submitted(hub, "--", "false")["id"]
    hub("worker", "--once", "--gpus", 0)
    code, out, _ = hub("jobs", "wait", job)
    assert code == 1
    assert "exit code 1" in out
    assert hub("jobs", "retry", job)[0] == 0
    assert hub("jobs", "pause", job)[0] == 0
    assert hub("jobs", "wait", job)[0] == 3
    assert hub("jobs", "resume", job)[0] == 0
    assert hub("jobs", "cancel", job)[0] == 0
    assert hub("jobs", "cancel", job)[0] == 2
    assert hub("jobs", "wait", job, "--timeout", "0s")[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what shall run?"),
        (("--config", "mlp", "--", "true"), "what shall run?"),
        (("--seed", "1", "--", "true"), "belong to --config"),
        (("--timeout", "soon", "--", "true"), "'soon'"),
        (("--retry", "lost", "--", "true"), "--retry lost"),
        (("--retry", "error=2", "--", "true"), "retries.error"),
        (("--env", "=x", "--", "true"), "--env"),
        (("--launcher", "starship", "--", "true"), "known: "),
        (("--needs", "j-none", "--", "true"), "j-none"),
        (("--priority", "5000", "--", "true"), "priority"),
        (("--gpus", "-1", "--", "true"), "gpus"),
        (("--config", "no-such-config"), "no-such-config"),
        (("--config", "mlp", "--halve", "training.colour"), "training.colour"),
        (("--file", "no-such-file.yaml"), "no-such-file.yaml"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_queued(hub: Hub, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = hub("jobs", "submit", *arguments)
    assert code == 2
    assert said in err
    assert json.loads(hub("jobs", "list", "--json")[1])["jobs"] == []


def test_a_configuration_becomes_one_job_for_each_seed_and_carries_all_that_it_needs(hub: Hub) -> None:
    code, out, _ = hub(
        "jobs", "submit", "--json", "--config", "mlp", "--set", "batch_size=32", "--halve", "training.batch_size"
    )
    jobs = json.loads(out)["jobs"]
    assert (code, [job["payload"]["argv"][4] for job in jobs]) == (0, ["0", "1", "2"])
    assert "batch_size: 32" in jobs[0]["payload"]["files"]["config.yaml"]
    assert jobs[0]["payload"]["again"] == ["hub", "run", "--resume", "{run}"]
    assert jobs[0]["retries"]["out_of_memory"]["argv"][-1] == "training.batch_size=16"
    assert jobs[0]["retries"]["preempted"]["times"] == 3


@pytest.mark.slow
def test_a_file_of_jobs_is_queued_whole_with_its_needs(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(
        "jobs:\n"
        "- {key: prepare, name: prepare, argv: [sh, -c, 'echo data >data']}\n"
        "- {name: use, argv: [cat, data], needs: [prepare]}\n",
        encoding="utf-8",
    )
    code, out, _ = hub("jobs", "submit", "--json", "--file", file)
    prepare, use = json.loads(out)["jobs"]
    assert (code, prepare["state"], use["state"]) == (0, "queued", "waiting")
    hub("worker", "--once", "--gpus", 0)
    assert json.loads(hub("jobs", "logs", use["id"], "--json")[1])["text"] == "data\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "jobs: []",
        "jobs: {}",
        "- 1",
        "jobs: [1]",
        "jobs:\n- {name: x, argv: true}",
        "jobs:\n- {key: a, name: x, argv: [a]}\n- {key: a, name: y, argv: [a]}",
        "jobs:\n- {name: x, argv: [a], needs: b}",
        "jobs:\n- {key: a, name: x, argv: [a], needs: [a]}",
    ],
)
def test_a_broken_file_of_jobs_is_refused(hub: Hub, tmp_path: Path, text: str) -> None:
    (tmp_path / "jobs.yaml").write_text(text, encoding="utf-8")
    assert hub("jobs", "submit", "--file", tmp_path / "jobs.yaml")[0] == 2
    assert json.loads(hub("jobs", "list", "--json")[1])["jobs"] == []


@pytest.mark.slow
def test_the_log_of_a_job_that_has_not_begun_is_explained(hub: Hub) -> None:
    job = submitted(hub, "--", "true")["id"]
    code, out, err = hub("jobs", "logs", job)
    assert (code, out) == (0, "")
    assert "has not been started: it is queued" in err
    assert hub("jobs", "logs", job, "--attempt", 7)[0] == 2


@pytest.mark.slow
def test_named_leases_are_shown_with_their_holders(hub: Hub) -> None:
    assert hub("jobs", "leases", "licence", "--slots", 2)[0] == 0
    assert hub("jobs", "leases", "licence")[0] == 2
    found = json.loads(hub("jobs", "leases", "--json")[1])["leases"]
    assert [(each["name"], each["slot"], each["job"]) for each in found] == [("licence", 0, None), ("licence", 1, None)]


def test_times_are_written_as_people_write_them() -> None:
    assert [asking.seconds(text) for text in ("90", "45m", "2h", "1.5d")] == [90.0, 2700.0, 7200.0, 129_600.0]
    for wrong in ("", "h", "-1", "1w", "1e3", "nan"):
        with pytest.raises(BadInputError):
            asking.seconds(wrong)


def test_launcher_options_are_values_and_go_as_deep_as_they_say() -> None:
    asked = asking.launcher_options(["slurm.partition=gpu", "slurm.nice=5", "ray.address=auto"])
    assert asked == {"slurm": {"partition": "gpu", "nice": 5}, "ray": {"address": "auto"}}
    with pytest.raises(BadInputError):
        asking.launcher_options(["a=1", "a.b=2"])
