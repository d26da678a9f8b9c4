import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from experiment_hub.configuration.document import load
from experiment_hub.errors import BadInputError, CheckpointError, EmptySplitError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tasks import Batch
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.training import checkpoint
from experiment_hub.training.data import split_arrays
from experiment_hub.training.determinism import capture_rng, restore_rng, seed_everything
from experiment_hub.training.evaluation import evaluate
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.loop import Hooks, Job, Trainer
from experiment_hub.training.runner import RunResult, resume, run_one
from experiment_hub.training.runtimes.protocol import Census
from experiment_hub.training.runtimes.tensors import count, to_batch

Small = Callable[..., Path]
CPU = torch.device("cpu")


def quiet(_: str) -> None:
    return None


def job_of(experiment: Experiment, seed: int = 0) -> Job:
    samples = experiment.dataset.item.generate(experiment.data_config)
    arrays = split_arrays(samples, experiment.config.data.splits.model_dump())
    data = {split: to_batch(each, CPU) for split, each in arrays.items()}
    seed_everything(seed)
    model = experiment.plugin.item.build(experiment.model_config, samples.spec)
    return Job(experiment.plugin.item, model, data, experiment.config.training, experiment.metrics, seed)


def train(path: Path, home: Path, seed: int = 0) -> RunResult:
    return run_one(assemble(load(str(path))), MetadataStore(home), seed, smoke=False, progress=quiet)


def go_on(store: MetadataStore, run_id: str, say: Callable[[str], None] = quiet) -> RunResult:
    _, result = resume(store, run_id, say)
    assert result is not None
    return result


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("every", [1, 3, 5])
def test_going_on_from_any_checkpoint_ends_bit_for_bit_the_same(small: Small, optimizer: str, every: int) -> None:
    changes = {"training.optimizer": optimizer, "training.checkpoint_every_steps": every, "model.dropout": 0.3}
    experiment = assemble(load(str(small(**changes))))
    saved: list[dict[str, Any]] = []
    whole = job_of(experiment)
    expected = Trainer(whole, Hooks(on_checkpoint=lambda state: saved.append(copy.deepcopy(state)))).run()
    assert len(saved) >= 3
    for state in saved:
        resumed = job_of(experiment, seed=0)
        torch.rand(7)  # whatever happened in between must not matter
        trainer = Trainer(resumed, Hooks())
        trainer.restore(state)
        assert trainer.run() == expected
        for name, tensor in whole.model.state_dict().items():
            assert resumed.model.state_dict()[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_seeds_matter_and_repeat(small: Small, home: Path) -> None:
    path = small()
    first, again, other = train(path, home, 0), train(path, home, 0), train(path, home, 1)
    assert first.metrics == again.metrics != other.metrics
    assert {first.state, again.state, other.state} == {"finished"}


@pytest.mark.slow
def test_earlier_runs_in_the_process_change_nothing(small: Small, home: Path) -> None:
    path = small(**{"model.dropout": 0.5})
    alone = train(path, home, 1)
    train(path, home, 5)
    assert train(path, home, 1).metrics == alone.metrics


def test_a_diverging_loss_ends_the_run_as_nan(small: Small, home: Path) -> None:
    done = train(small(**{"training.optimizer": "sgd", "training.learning_rate": 1e30}), home)
    assert (done.state, done.metrics) == ("nan", {})
    assert done.error is not None
    assert "NonFiniteError: loss is" in done.error
    with pytest.raises(BadInputError, match="is nan; only killed and failed"):
        resume(MetadataStore(home), done.run, quiet)


def test_no_diverged_model_is_kept_as_checkpoint(small: Small) -> None:
    changes = {"training.optimizer": "sgd", "training.learning_rate": 1e30, "training.checkpoint_every_steps": 1}
    saved: list[dict[str, Any]] = []
    trainer = Trainer(
        job_of(assemble(load(str(small(**changes))))),
        Hooks(on_checkpoint=lambda state: saved.append(copy.deepcopy(state))),
    )
    with pytest.raises(Exception, match="loss is"):
        trainer.run()
    assert all(torch.isfinite(state["objective"]) for state in saved)


def test_an_empty_split_is_recorded_as_failed(small: Small, home: Path) -> None:
    with pytest.raises(EmptySplitError):
        train(small(**{"data.samples": 2}), home)
    run = MetadataStore(home).runs()[0]
    assert run.state == "failed"
    assert "EmptySplitError: split" in str(run.error)


def test_foreign_code_that_raises_is_recorded_with_its_traceback(
    small: Small, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = assemble(load(str(small())))

    def broken(*_: object) -> torch.Tensor:
        raise ValueError("this model has no loss")

    monkeypatch.setattr(type(experiment.plugin.item), "loss", broken)
    failed = run_one(experiment, MetadataStore(home), 0, smoke=False, progress=quiet)
    assert (failed.state, failed.error) == ("failed", "ValueError: this model has no loss")
    run = MetadataStore(home).runs()[0]
    assert run.state == "failed"
    assert "in broken" in (home / run.folder / "traceback.txt").read_text()
    monkeypatch.undo()
    assert go_on(MetadataStore(home), run.id).state == "finished"


def test_a_plugin_that_ends_the_process_only_fails_its_run(
    small: Small, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = assemble(load(str(small())))

    def leaves(*_: object) -> torch.nn.Module:
        sys.exit(9)

    monkeypatch.setattr(type(experiment.plugin.item), "build", leaves)
    failed = run_one(experiment, MetadataStore(home), 0, smoke=False, progress=quiet)
    assert (failed.state, failed.error) == ("failed", "SystemExit: 9")


def test_the_running_loss_is_the_mean_over_samples(small: Small) -> None:
    job = job_of(assemble(load(str(small(**{"training.epochs": 1, "training.learning_rate": 1e-30})))))
    job.model.eval()
    values = Trainer(job, Hooks()).run()
    whole = evaluate(job.plugin, job.model, job.data["train"], job.metrics, "train")
    assert values["train.objective"] == pytest.approx(whole["train.loss"], rel=0.05)


def test_the_test_split_is_looked_at_once(small: Small, home: Path) -> None:
    done = train(small(), home)
    values = MetadataStore(home).metrics(done.run)
    assert {row.epoch for row in values if row.split == "test"} == {3}
    assert {row.epoch for row in values if row.split == "val"} == {1, 2, 3}


def test_evaluation_in_chunks_is_evaluation(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(assemble(load(str(small()))))
    whole = evaluate(job.plugin, job.model, job.data["train"], job.metrics, "train")
    monkeypatch.setattr("experiment_hub.training.evaluation.MEASURING_BATCH", 7)
    chunks = evaluate(job.plugin, job.model, job.data["train"], job.metrics, "train")
    assert chunks == pytest.approx(whole, rel=1e-6)
    assert job.model.training


def test_parameters_are_counted_exactly_and_once() -> None:
    layer = torch.nn.Linear(3, 4)
    model = torch.nn.Sequential(layer, layer, torch.nn.Linear(4, 2))
    layer.bias.requires_grad = False
    assert count(model) == Census(trainable=12 + 10, total=16 + 10)


def test_generator_states_survive_a_checkpoint(tmp_path: Path) -> None:
    import random

    import numpy as np

    seed_everything(3)
    parts: dict[str, Any] = dict.fromkeys(checkpoint.PARTS - {"format"}, None)
    checkpoint.save(tmp_path, {**parts, "position": {"epoch": 0, "step": 1}, "rng": capture_rng()})
    drawn = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002 -- the global generators are the subject
    state = checkpoint.load(tmp_path)
    assert state is not None
    restore_rng(state["rng"])
    assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002 -- see above


def finished_then_killed(small: Small, home: Path) -> tuple[MetadataStore, RunResult]:
    done = train(small(), home)
    store = MetadataStore(home)
    store.update_run(done.run, state="killed")
    return store, done


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda raw: raw[:-100],
    "flip": lambda raw: raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :],
    "empty": lambda _: b"",
    "text": lambda _: b"hello" * 100,
}


def checkpoints(folder: str) -> list[Path]:
    return sorted((Path(folder) / checkpoint.FOLDER).iterdir())


@pytest.mark.slow
def test_damaged_checkpoints_are_refused_and_the_run_stays_as_it_is(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    whole = {path: path.read_bytes() for path in checkpoints(done.folder)}
    for damage in DAMAGE.values():
        for path, content in whole.items():
            path.write_bytes(damage(content))
        with pytest.raises(CheckpointError, match=r"step-000000015\.pt.*every checkpoint of the run is damaged"):
            resume(store, done.run, quiet)
    assert store.run(done.run).state == "killed"


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_aloud_for_the_one_before(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    before, newest = checkpoints(done.folder)
    content = newest.read_bytes()
    for damage in DAMAGE.values():
        newest.write_bytes(damage(content))
        found = checkpoint.newest(Path(done.folder), quiet)
        assert found is not None
        assert found.path == before
    said: list[str] = []
    assert found is not None
    again = go_on(store, done.run, said.append)
    assert (again.state, again.metrics) == ("finished", done.metrics)
    assert f"{newest}: the checkpoint is damaged" in said[0]
    assert said[1] == f"{done.run}: resumed at step {found.step}"


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"position": {"epoch": 0, "step": 1}})
    with pytest.raises(CheckpointError, match="not a checkpoint of format"):
        checkpoint.load(tmp_path)


@pytest.mark.slow
def test_the_only_checkpoint_of_an_earlier_hub_is_found(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    *_, newest = checkpoints(done.folder)
    newest.rename(Path(done.folder) / checkpoint.EARLIER)
    shutil.rmtree(Path(done.folder) / checkpoint.FOLDER)
    said: list[str] = []
    assert go_on(store, done.run, said.append).metrics == done.metrics
    assert said[0] == f"{done.run}: resumed at step 15"


@pytest.mark.slow
def test_a_checkpoint_is_plain_data_that_torch_reads_alone(small: Small, home: Path) -> None:
    done = train(small(), home)
    state = torch.load(checkpoints(done.folder)[-1], weights_only=True)
    assert state["position"] == {"epoch": 2, "batch": 5, "step": 15}
    assert set(state["model"]) == {"0.weight", "0.bias", "3.weight", "3.bias"}


@pytest.mark.slow
def test_resuming_at_the_very_end_only_measures_again(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    later = {"run_id": done.run, "epoch": 9, "split": "val", "metric": "loss", "version": 1, "step": 99, "value": 0.1}
    store.record_metrics([later])  # as if it had gone further than its last checkpoint
    again = go_on(store, done.run)
    assert (again.state, again.metrics) == ("finished", done.metrics)
    assert {row.epoch for row in store.metrics(done.run)} == {1, 2, 3}
    assert store.run(done.run).resumes[0]["from_step"] == 15


@pytest.mark.slow
def test_a_run_that_died_right_after_its_row_starts_from_the_beginning(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    recorded = store.run(done.run)
    plan = Plan(recorded.name, 0, smoke=False, config=recorded.config, overrides={})
    run_id = RunRecorder.start(store, plan).run_id
    shutil.rmtree(home / "runs" / run_id)
    store.update_run(run_id, state="killed")
    again = go_on(store, run_id)
    assert again.metrics == done.metrics
    assert store.run(run_id).source_hash == recorded.source_hash


@pytest.mark.slow
def test_a_dataset_that_changed_is_not_resumed(small: Small, home: Path) -> None:
    store, done = finished_then_killed(small, home)
    store.update_run(done.run, dataset_hash="0" * 64)
    with pytest.raises(BadInputError, match="is not what run"):
        resume(store, done.run, quiet)


def test_metrics_leave_ignored_targets_out() -> None:
    experiment = assemble(load("transformer", smoke=True))
    job = job_of(experiment)
    data = job.data["val"]
    values = evaluate(job.plugin, job.model, data, job.metrics, "val")
    with torch.no_grad():
        loss = job.plugin.loss(job.model, Batch(*data)).item()
    assert values["val.loss"] == pytest.approx(loss, rel=1e-5)
