"""`hub eval` on real trainings: what was trained is what is measured, on exactly the recorded split, twice."""

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.configuration.document import from_record, load
from experiment_hub.datasets.declared import declared
from experiment_hub.errors import ConflictError, HubError, NotAllowedError
from experiment_hub.evaluation import frozen, holdout
from experiment_hub.evaluation.evaluate import Request, evaluate
from experiment_hub.evaluation.outputs import twice
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run
from experiment_hub.metrics.registry import metrics
from experiment_hub.plugins.registry import plugins
from experiment_hub.tracking.history import describe
from experiment_hub.training.experiment import assemble
from experiment_hub.training.runner import run_one

pytestmark = pytest.mark.slow

Hub = Callable[..., tuple[int, str, str]]
Small = Callable[..., Path]
HIDDEN = {"train": 0.6, "val": 0.1, "test": 0.2, "final": 0.1}
REGIONS = ("north", "south")


def train(home: Path, config: Path, seed: int = 0) -> str:
    done = run_one(assemble(load(str(config))), MetadataStore(home), seed, smoke=False, progress=lambda _: None)
    assert done.error is None
    return done.run


def described(home: Path, run: str) -> dict[str, Any]:
    store = MetadataStore(home)
    return describe(store, store.run(run))


@pytest.fixture
def clinic(tmp_path: Path, small: Small) -> Path:
    """A configuration over a file with patients and regions."""
    lines = [
        f"x{row},{row % 2 + row / 997},{row % 5},{'sick' if row % 2 else 'well'},p{row * 7 % 31 % 5},{REGIONS[row % 3 % 2]}"
        for row in range(160)
    ]
    (tmp_path / "clinic.csv").write_text("id,a,b,state,patient,region\n" + "\n".join(lines) + "\n", encoding="utf-8")
    data = {
        "name": "files",
        "folder": str(tmp_path),
        "files": [{"name": "clinic.csv", "sha256": None}],
        "id": ["id"],
        "label": "state",
        "classes": ["well", "sick"],
        "features": ["a", "b"],
        "group": [],
        "near_duplicates": "exact",
        "slices": ["region"],
        "maximum_mib": 1,
        "splits": {"train": 0.6, "val": 0.2, "test": 0.2},
    }
    return small("clinic.yaml", data=data)


def test_the_figures_are_those_of_the_run_and_twice_is_one_row(any_home: Path, small: Small) -> None:
    run = train(any_home, small())
    trained = described(any_home, run)
    row = evaluate(any_home, run, Request("test"))
    for name in ("loss", "accuracy"):
        assert row.metrics[name]["value"] == pytest.approx(trained["metrics"][f"test.{name}"], abs=1e-6)
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in row.metrics.values())
    assert row.dataset_hash == trained["dataset_hash"]
    assert row.digest == catalog(any_home).links("run", run)[0].digest
    again = evaluate(any_home, row.digest, Request("test"))
    assert again.metrics == row.metrics
    assert evaluate(any_home, run, Request("test")).id == row.id != again.id
    assert evaluate(any_home, run, Request("val")).split_hash != row.split_hash


def test_confusion_calibration_slices_and_plots(hub: Hub, home: Path, clinic: Path) -> None:
    run = train(home, clinic)
    code, out, _ = hub("eval", run, "--json")
    made = json.loads(out)["evaluations"][0]
    assert code == 0
    counts = made["details"]["confusion"]
    assert sum(map(sum, counts)) == made["samples"] == sum(made["details"]["calibration"]["counts"])
    hits = sum(counts[index][index] for index in range(2))
    assert hits / made["samples"] == pytest.approx(made["metrics"]["accuracy"]["value"])
    slices = made["details"]["slices"]
    assert set(slices) == {"label", "region"}
    assert set(slices["label"]["parts"]) == {"well", "sick"}
    for column in slices.values():
        assert sum(part["samples"] for part in column["parts"].values()) == made["samples"]
    store = catalog(home)
    names = {link.name: link.digest for link in store.links("evaluation", made["id"])}
    assert set(names) == {"calibration.svg", "metrics.svg", "confusion.svg"}
    for digest in names.values():
        with store.open(digest) as stream:
            assert ET.fromstring(stream.read()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 -- our own
    listed = json.loads(hub("evaluations", run, "--json")[1])["evaluations"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert json.loads(hub("evaluations", "--show", made["id"][:9], "--json")[1]) == made
    assert "x1" not in json.dumps(made)


def test_changed_data_and_damaged_models_are_not_measured(home: Path, clinic: Path, tmp_path: Path) -> None:
    run = train(home, clinic)
    file = tmp_path / "clinic.csv"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("x5,", "y5,"), encoding="utf-8")
    with pytest.raises(HubError, match="is not what was recorded") as raised:
        evaluate(home, run, Request("test"))
    assert raised.value.exit_code == 4
    file.write_text(text, encoding="utf-8")
    store = catalog(home)
    digest = store.links("run", run)[0].digest
    weights = next(each.digest for each in store.entries(digest) if each.path == "weights.pt")
    stored = next(path for path in home.rglob(f"*{weights.removeprefix('sha256:')[2:]}*") if path.is_file())
    stored.chmod(0o644)
    raw = bytearray(stored.read_bytes())
    raw[len(raw) // 2] ^= 1
    stored.write_bytes(raw)
    with pytest.raises(HubError) as raised:
        evaluate(home, run, Request("test"))
    assert raised.value.exit_code == 4


def test_what_cannot_be_evaluated_is_refused(hub: Hub, home: Path, small: Small) -> None:
    run = train(home, small())
    store = MetadataStore(home)
    columns = {column.key: getattr(store.run(run), column.key) for column in Run.__table__.columns}
    with writing(store.engine) as session:
        session.add(Run(**{**columns, "id": "r-failed", "state": "failed"}))
    wide = small("wide.yaml", **{"data.classes": 5})
    hub("data", "register", wide, "--name", "wide")
    for arguments, expected in [
        (("r-failed",), "run 'r-failed' left no model"),
        (("nothing",), "expected a run, MODEL@ALIAS"),
        (("nothing@best",), "registered model"),
        (("sha256:" + "0" * 64,), "not in this home"),
        ((run, "--split", "nonsense"), "has no nonsense split"),
        ((run, "--split", "final"), "the final split is hidden"),
        ((run, "--final"), "--final needs --reason"),
        ((run, "--final", "--reason", "x"), "has no final split"),
        ((run, "--dataset", "wide"), "has inputs (2,) and 5 outputs"),
        ((run, "--dataset", "none"), "no registered dataset"),
        ((run, run), "the same artifact"),
        ((run, "--leave-one-group-out"), "0 groups"),
    ]:
        code, _, err = hub("eval", *arguments)
        assert (code, expected in err) == (2, True), (arguments, err)


@pytest.mark.long
def test_a_registered_dataset_and_several_seeds(hub: Hub, home: Path, small: Small) -> None:
    config = small(seeds=[0, 1, 2])
    hub("data", "register", config)
    assert evaluate(home, train(home, config), Request("test")).dataset == "blobs@1"
    runs = [train(home, config, seed) for seed in (0, 1, 2)]
    code, out, _ = hub("eval", *runs, "--dataset", "blobs@1", "--json")
    document = json.loads(out)
    values = [each["metrics"]["loss"]["value"] for each in document["evaluations"]]
    over = document["seeds"]["blobs@1"]["loss"]
    assert (code, over["count"], over["mean"]) == (0, 3, pytest.approx(sum(values) / 3))
    assert over["low"] < over["mean"] < over["high"]


def test_samples_that_the_model_was_trained_on_are_not_measured(hub: Hub, home: Path, small: Small) -> None:
    run = train(home, small())
    hub("data", "register", small("turned.yaml", **{"data.splits": {"train": 0.1, "val": 0.1, "test": 0.8}}))
    code, _, err = hub("eval", run, "--dataset", "blobs@1")
    assert (code, "were in the training split of this model" in err) == (2, True)
    assert json.loads(hub("evaluations", "--json")[1])["evaluations"] == []


def test_the_hidden_split_is_counted_and_refused_when_used_up(hub: Hub, home: Path, small: Small) -> None:
    run = train(home, small(**{"data.splits": HIDDEN}))
    assert not any(name.startswith("final") for name in described(home, run)["metrics"])
    code, out, _ = hub("eval", run, "--final", "--reason", "the paper", "--json")
    made = json.loads(out)["evaluations"][0]
    assert (code, made["split"]) == (0, "final")
    uses = json.loads(hub("evaluations", "--final", "--json")[1])["uses"]
    assert [(each["evaluation_id"], each["reason"]) for each in uses] == [(made["id"], "the paper")]
    code, _, err = hub("eval", run, "--final", "--reason", "once more")
    assert (code, "was used 1 times and may be used 1 times" in err) == (2, True)
    larger = train(home, small("more.yaml", **{"data.splits": {**HIDDEN, "train": 0.55, "test": 0.25}}))
    code, _, err = hub("eval", larger, "--final", "--reason", "the same final samples in another setting")
    assert (code, "was used 1 times" in err) == (2, True)
    (home / "hub.yaml").write_text("evaluation: {final_uses: 2}\n", encoding="utf-8")
    assert hub("eval", run, "--final", "--reason", "a second look")[0] == 0
    assert len(json.loads(hub("evaluations", "--final", "--json")[1])["uses"]) == 2


def test_of_many_who_claim_the_last_use_one_gets_it(any_home: Path, small: Small) -> None:
    config = json.loads(small(**{"data.splits": HIDDEN}).read_text(encoding="utf-8"))
    found = declared(from_record(config, "test"))
    samples = found.samples()
    split = frozen.FrozenSplit("blobs", "d" * 64, "final", "f" * 64, samples, None)
    engine = MetadataStore(any_home).engine
    granted = []

    def claim() -> None:
        try:
            granted.append(holdout.claim(engine, split, reason="race", allowed=1))
        except (ConflictError, NotAllowedError):
            return

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len(holdout.uses(engine)) == 1


MOODY = """
import torch
from experiment_hub.plugins.{module} import PLUGIN as BASE

class Moody(type(BASE)):
    name = "moody"

    def outputs(self, model, batch):
        logits = super().outputs(model, batch)
        return logits + 1e-3 * torch.randn_like(logits)

PLUGIN = Moody()
"""


@pytest.fixture
def moody(distribution: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A plugin of another distribution whose outputs are never the same."""
    place = distribution("moody", module="moody", source=MOODY.format(module="mlp"))
    monkeypatch.syspath_prepend(str(place))
    importlib.invalidate_caches()
    plugins.cache_clear()
    yield "moody"
    plugins.cache_clear()
    sys.modules.pop("moody", None)


def test_a_model_that_answers_differently_twice_is_refused(hub: Hub, home: Path, small: Small, moody: str) -> None:
    run = train(home, small(**{"model.type": moody}))
    code, _, err = hub("eval", run)
    assert (code, "two evaluations of the same model on the same inputs differ" in err) == (4, True)
    assert json.loads(hub("evaluations", "--json")[1])["evaluations"] == []


def test_outputs_agree_bit_for_bit_for_a_model_that_is_the_same(home: Path, small: Small, tmp_path: Path) -> None:
    config = small()
    run = train(home, config)
    store = catalog(home)
    store.fetch(store.links("run", run)[0].digest, tmp_path / "model")
    inputs = declared(load(str(config))).samples().inputs
    first, second = (twice(tmp_path / "model", inputs) for _ in range(2))
    assert first[1] == second[1]
    assert (first[0] == second[0]).all()


@pytest.mark.long
def test_leave_one_group_out_trains_without_each_group(hub: Hub, home: Path, clinic: Path) -> None:
    config = json.loads(clinic.read_text(encoding="utf-8"))
    config["data"]["group"] = ["patient"]
    config["training"]["epochs"] = 1
    clinic.write_text(json.dumps(config), encoding="utf-8")
    samples = declared(load(str(clinic))).samples()
    run = train(home, clinic)
    code, out, err = hub("eval", run, "--leave-one-group-out", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert [each["group"] for each in document["groups"]] == ["p0", "p1", "p2", "p3", "p4"]
    assert document["summary"]["accuracy"]["count"] == 5
    for each in document["groups"]:
        made = described(home, each["run"])
        assert made["config"]["data"]["splits"]["leave_out"] == each["group"]
        row = evaluate(home, each["run"], Request("test"))
        assert row.samples == sum(group == each["group"] for group in samples.groups or ())
        assert row.metrics["accuracy"]["value"] == pytest.approx(made["metrics"]["test.accuracy"])


def test_decide_among_several_candidates_is_corrected(hub: Hub, small: Small) -> None:
    weak = small("weak.yaml", seeds=[0, 1, 2], **{"training.learning_rate": 1e-6})
    strong = small("strong.yaml", seeds=[0], **{"training.epochs": 8})
    code, out, _ = hub("decide", weak, strong, weak, "--json")
    document = json.loads(out)
    assert (code, document["decision"], document["family"], document["correction"]) == (0, "better", 2, "Holm")
    first, second = document["candidates"]
    assert (first["decision"], second["decision"]) == ("better", "inconclusive")
    assert first["adjusted_p_value"] == pytest.approx(2 * first["p_value"])
    assert len(first["runs"]) == 6
    assert {run["run"] for run in first["runs"] if run["role"] == "baseline"} == {
        run["run"] for run in second["runs"] if run["role"] == "baseline"
    }


def test_every_metric_of_the_task_is_measured(home: Path, small: Small) -> None:
    row = evaluate(home, train(home, small()), Request("val"))
    task = "classification"
    assert set(row.metrics) == {name for name, each in metrics().items() if task in each.item.tasks}


def test_reading_evaluations_needs_no_torch() -> None:
    code = "import sys, experiment_hub.commands.evaluation as _; sys.exit('torch' in sys.modules)"
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, **paths}, check=False).returncode == 0
