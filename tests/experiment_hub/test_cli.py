import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Hub = Callable[..., tuple[int, str, str]]
Small = Callable[..., Path]
HEAVY = ("torch", "sqlalchemy", "numpy", "pydantic", "alembic", "rich")


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules that the command has loaded when it ends."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        f"sys.argv = ['hub', *{list(arguments)!r}]\n"
        "from experiment_hub.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    assert not loaded_by("--help") & set(HEAVY)
    assert not loaded_by("run", "--help") & (set(HEAVY) - {"pydantic"})  # typer looks at pydantic by itself
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "experiment_hub", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < 0.5  # of the processor, not of a busy machine's clock; 0.1 when it is quiet


@pytest.mark.slow
def test_reading_commands_do_without_torch(home: Path) -> None:
    assert "torch" not in loaded_by("runs", "--home", str(home))
    assert "torch" not in loaded_by("metrics")


def test_a_run_is_one_document_with_everything_about_it(hub: Hub, small: Small, home: Path) -> None:
    code, out, err = hub("run", small(), "--json", "--set", "hidden=[4]")
    document = json.loads(out)
    assert code == 0
    assert err
    assert [each["seed"] for each in document["runs"]] == [0, 1]
    first = document["runs"][0]
    assert first["parameters"] == {"trainable": 2 * 4 + 4 + 4 * 3 + 3, "total": 27}
    assert set(first["metrics"]) >= {"val.accuracy", "val.loss", "test.accuracy", "test.loss"}
    mean = sum(each["metrics"]["val.loss"] for each in document["runs"]) / 2
    assert document["figures"]["val.loss"] == pytest.approx(mean)
    shown = json.loads(hub("show", first["run"], "--json")[1])
    assert shown["overrides"] == {"model.hidden": [4]}
    assert shown["config"]["model"]["hidden"] == [4]
    assert shown["environment"]["torch"]
    assert len(shown["source_hash"]) == len(shown["dataset_hash"]) == 64
    assert shown["extensions"]["model"]["sha256"]
    assert Path(shown["folder"]).parent == home.resolve() / "runs"
    assert {path.name for path in Path(shown["folder"]).iterdir()} == {
        "checkpoints",
        "config.yaml",
        "health.json",
        "metrics.json",
        "output.log",
        "parameters.json",
        "series",
        "snapshot.json",
    }


@pytest.mark.slow
def test_the_resolved_configuration_of_a_run_gives_the_same_run(hub: Hub, small: Small) -> None:
    first = json.loads(hub("run", small(), "--seed", 1, "--set", "epochs=2", "--json")[1])["runs"][0]
    again = json.loads(hub("run", f"{first['folder']}/config.yaml", "--seed", 1, "--json")[1])["runs"][0]
    assert first["metrics"] == again["metrics"]


@pytest.mark.slow
def test_compare_tells_better_from_worse_by_direction(hub: Hub, small: Small) -> None:
    runs = json.loads(hub("run", small(), "--json", "--set", "epochs=1", "--seed", 0)[1])["runs"]
    runs += json.loads(hub("run", small(), "--json", "--set", "epochs=6", "--seed", 0)[1])["runs"]
    document = json.loads(hub("compare", runs[0]["run"], runs[1]["run"], "--json")[1])
    assert document["config"] == {"training.epochs": [1, 6]}
    row = document["metrics"]["val.loss"]
    assert row["verdict"] == ("better" if row["difference"] < 0 else "worse") == "better"
    assert document["metrics"]["val.accuracy"]["verdict"] in {"better", "equal"}
    same = json.loads(hub("compare", runs[0]["run"], runs[0]["run"], "--json")[1])
    assert same["config"] == {}
    assert {each["verdict"] for each in same["metrics"].values()} == {"equal"}


@pytest.mark.long
def test_decide_in_both_directions_and_for_no_difference(hub: Hub, small: Small) -> None:
    path = small(seeds=[0, 1, 2])
    weak = small("weak.yaml", seeds=[9], **{"training.learning_rate": 1e-6})
    code, out, _ = hub("decide", weak, path, "--json")
    assert (code, json.loads(out)["error"].split(";")[0]) == (2, "baseline small has one seed")
    weak = small("weak.yaml", seeds=[0, 1, 2], **{"training.learning_rate": 1e-6})
    code, out, _ = hub("decide", weak, path, "--json")
    better = json.loads(out)
    assert (code, better["decision"]) == (0, "better")
    assert better["mean_difference"] < 0 < better["figures"]["mean_improvement"]
    assert better["interval"][0] < better["mean_difference"] < better["interval"][1] < 0
    assert len(better["baseline"]) == len(better["candidate"]) == 3
    assert len(better["runs"]) == 6
    code, out, _ = hub("decide", path, path, "--set", "learning_rate=1e-6", "--json")
    assert (code, json.loads(out)["decision"]) == (1, "worse")
    code, out, _ = hub("decide", path, path, "--baseline-set", "learning_rate=1e-6", "--json")
    assert (code, json.loads(out)["decision"]) == (0, "better")
    code, out, _ = hub("decide", path, path, "--json")
    same = json.loads(out)
    assert (code, same["decision"], same["mean_difference"]) == (1, "inconclusive", 0.0)
    code, out, _ = hub("decide", path, path, "--set", "learning_rate=1e30", "--set", "optimizer=sgd", "--json")
    broken = json.loads(out)
    assert (code, broken["decision"], broken["interval"]) == (1, "inconclusive", None)


def test_decide_refuses_what_cannot_be_compared(hub: Hub, small: Small, home: Path) -> None:
    path = small()
    for arguments, expected in [
        ((small("none.yaml", decision=None), path), "registers no decision rule"),
        ((path, path, "--set", "noise=0.9"), "different `data`"),
        ((path, small("other.yaml", metrics=["accuracy"], decision=None)), "does not measure loss"),
    ]:
        code, _, err = hub("decide", *arguments)
        assert (code, expected in err) == (2, True), err
    assert not home.exists()


def test_bad_input_is_one_line_and_exit_code_two_and_leaves_no_run(hub: Hub, small: Small, home: Path) -> None:
    for arguments, expected in [
        (("run",), "CONFIG is missing"),
        (("run", "absent.yaml"), "no such configuration file"),
        (("run", "absent"), "unknown configuration"),
        (("run", small(), "--set", "nonsense=1"), "unknown key; candidates"),
        (("run", small(), "--set", "learning_rate=-1"), "greater than 0"),
        (("run", small("bad.yaml", unknown=1)), "unknown: unknown key"),
        (("run", "--resume", "r-x", "--smoke"), "--smoke cannot be combined"),
    ]:
        code, out, err = hub(*arguments)
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        assert expected in err
    assert not home.exists()
    for arguments in (("show", "r-x"), ("compare", "r-x", "r-y"), ("run", "--resume", "r-x")):
        code, out, err = hub(*arguments, "--json")
        assert (code, "no run 'r-x'" in json.loads(out)["error"]) == (2, True), err


def test_resume_takes_its_settings_from_the_record(hub: Hub, small: Small) -> None:
    run = json.loads(hub("run", small(), "--seed", 0, "--json")[1])["runs"][0]["run"]
    code, _, err = hub("run", small("other.yaml", name="other"), "--resume", run)
    assert (code, f"run {run} is of experiment 'small'" in err) == (2, True)
    code, _, err = hub("run", small(), "--resume", run)
    assert (code, "is finished; only killed and failed" in err) == (2, True)


def test_a_run_that_diverges_is_reported_and_exits_with_one(hub: Hub, small: Small) -> None:
    code, out, _ = hub("run", small(), "--set", "learning_rate=1e30", "--set", "optimizer=sgd", "--json")
    document = json.loads(out)
    assert code == 1
    assert [each["state"] for each in document["runs"]] == ["nan", "nan"]
    assert document["figures"] == {"finished": 0.0}


def test_lists_show_what_is_registered(hub: Hub) -> None:
    models = {row["name"]: row for row in json.loads(hub("plugins", "--json")[1])["plugins"]}
    assert models["mlp"]["config"] == ["activation", "dropout", "hidden"]
    assert "spirals" in {row["name"] for row in json.loads(hub("datasets", "--json")[1])["datasets"]}
    rows = {row["name"]: row for row in json.loads(hub("metrics", "--json")[1])["metrics"]}
    assert (rows["loss"]["direction"], rows["accuracy"]["direction"]) == ("min", "max")
    for command in ("plugins", "datasets", "metrics", "runs"):
        code, out, _ = hub(command)
        assert (code, out.startswith(("name", "run"))) == (0, True)


@pytest.mark.slow
@pytest.mark.long
def test_two_commands_train_into_one_home_at_once(small: Small, home: Path) -> None:
    command = [sys.executable, "-m", "experiment_hub", "run", str(small()), "--json", "--home", str(home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    documents = []
    for each in both:
        out, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
        documents.append(json.loads(out))
    runs = [run for document in documents for run in document["runs"]]
    assert len({run["run"] for run in runs}) == 4
    assert runs[0]["metrics"] == runs[2]["metrics"]
    assert (home / "runs").is_dir()
