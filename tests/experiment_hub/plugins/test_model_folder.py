"""A model as a folder: what is written comes back, and nothing else is believed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiment_hub.configuration.document import load
from experiment_hub.errors import BadInputError, CorruptError
from experiment_hub.training.experiment import assemble
from experiment_hub.training.runtimes.folder import read_model, write_model
from experiment_hub.training.runtimes.protocol import Work
from experiment_hub.training.runtimes.registry import runtime_of

WorkOf = Callable[..., Work]


@pytest.fixture
def written(work_of: WorkOf, tmp_path: Path) -> tuple[Path, Any, Work]:
    work = work_of("mlp")
    model = runtime_of(work.blueprint.plugin).build(work)
    config = assemble(load("mlp", smoke=True)).resolved()
    write_model(tmp_path / "model", model, blueprint=work.blueprint, config=config, facts={"run": "r-1"})
    return tmp_path / "model", model, work


def test_what_is_written_comes_back_with_the_same_outputs(written: tuple[Path, Any, Work]) -> None:
    folder, model, work = written
    saved = read_model(folder)
    inputs = work.data["test"].inputs
    expected = saved.runtime.outputs(work.blueprint, model, inputs)
    assert np.array_equal(saved.runtime.outputs(saved.blueprint, saved.model, inputs), expected)
    assert (saved.facts, saved.config.name) == ({"run": "r-1"}, "mlp")
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "model.json", "weights.pt"]


def test_a_model_never_sees_the_answers_while_it_is_measured(work_of: WorkOf, monkeypatch: pytest.MonkeyPatch) -> None:
    work = work_of("mlp")
    seen: list[torch.Tensor] = []

    def outputs(_plugin: Any, _model: Any, batch: Any) -> torch.Tensor:
        seen.append(batch.targets)
        return torch.zeros(len(batch.inputs), 3)

    monkeypatch.setattr(type(work.blueprint.plugin), "outputs", outputs)
    runtime = runtime_of(work.blueprint.plugin)
    runtime.outputs(work.blueprint, runtime.build(work), work.data["test"].inputs)
    assert {int(value) for each in seen for value in each} == {-100}


@pytest.mark.parametrize("damage", ["cut", "empty", "other shape", "no tensors", "missing"])
def test_weights_that_are_not_the_models_are_refused(written: tuple[Path, Any, Work], damage: str) -> None:
    folder, model, _ = written
    path = folder / "weights.pt"
    content = path.read_bytes()
    path.unlink()
    if damage in {"cut", "empty"}:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    if damage == "other shape":
        torch.save({name: torch.zeros(1) for name in model.state_dict()}, path)
    if damage == "no tensors":
        torch.save({"a": [1, 2]}, path)
    with pytest.raises(CorruptError, match=r"weights\.pt: these are not the weights of this model"):
        read_model(folder)


class Evil:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_is_never_run(written: tuple[Path, Any, Work], tmp_path: Path, how: str) -> None:
    folder, _, _ = written
    evil = {"0.weight": Evil(tmp_path / "ran")}
    if how == "torch":
        torch.save(evil, folder / "weights.pt")
    else:
        (folder / "weights.pt").write_bytes(pickle.dumps(evil, protocol=2))  # as torch writes it
    with pytest.raises(CorruptError):
        read_model(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"type": None},
        {"spec": {"input_shape": ["x"], "outputs": 3}},
        {"surprise": 1},
        {"framework": "lightning"},
    ],
    ids=str,
)
def test_a_description_that_is_not_the_hubs_is_refused(
    written: tuple[Path, Any, Work], changes: dict[str, Any]
) -> None:
    path = written[0] / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(CorruptError, match=r"model\.json"):
        read_model(written[0])


@pytest.mark.parametrize("content", ["", "{", "[1]", "a: [", "\x00"])
@pytest.mark.parametrize("file", ["model.json", "config.yaml"])
def test_a_damaged_file_is_one_of_our_errors(written: tuple[Path, Any, Work], file: str, content: str) -> None:
    (written[0] / file).write_text(content)
    with pytest.raises((CorruptError, BadInputError), match=file):
        read_model(written[0])


def test_a_model_whose_plugin_is_gone_names_it(written: tuple[Path, Any, Work]) -> None:
    path = written[0] / "model.json"
    path.write_text(path.read_text().replace('"mlp"', '"gone"'))
    with pytest.raises(BadInputError, match="unknown model 'gone'"):
        read_model(written[0])
