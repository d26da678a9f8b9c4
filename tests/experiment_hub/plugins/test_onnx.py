"""ONNX export: the file computes what PyTorch computes, or there is no file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.integrations,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
]

Hub = Callable[..., tuple[int, str, str]]
Smoke = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _installed() -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)


@pytest.mark.parametrize(
    "config",
    ["mlp", pytest.param("transformer", marks=pytest.mark.long), pytest.param("convnet", marks=pytest.mark.long)],
)
def test_the_file_gives_the_same_logits_for_any_batch(hub: Hub, smoke_run: Smoke, tmp_path: Path, config: str) -> None:
    import onnxruntime

    run = smoke_run(config)
    target = tmp_path / "model.onnx"
    code, out, _ = hub("onnx", run["run"], "--output", target, "--json")
    made = json.loads(out)
    assert code == 0
    assert made["maximum_difference"] <= made["tolerance"] == 1e-4
    assert made["inputs"][:2] == ["inputs", "batch"]
    session = onnxruntime.InferenceSession(target.read_bytes(), providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape[0] == "batch"


def test_a_difference_above_the_tolerance_writes_nothing(hub: Hub, smoke_run: Smoke, tmp_path: Path) -> None:
    run = smoke_run("mlp", "model.activation=gelu")
    code, _, err = hub("onnx", run["run"], "--output", tmp_path / "model.onnx", "--tolerance", "1e-30")
    assert code == 4
    assert "nothing was written" in err
    assert not (tmp_path / "model.onnx").exists()


def test_a_registered_model_is_exported_by_its_alias(hub: Hub, smoke_run: Smoke, tmp_path: Path) -> None:
    run = smoke_run("mlp")
    assert hub("models", "register", "spiral", "--run", run["run"])[0] == 0
    assert hub("models", "alias", "spiral", "1", "candidate")[0] == 0
    code, out, err = hub("onnx", "spiral@candidate", "--output", tmp_path / "model.onnx")
    assert code == 0, err
    assert "largest difference to PyTorch" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("r-none", "--output", "{}/a.onnx"), "expected a run, MODEL@ALIAS"),
        (("nobody@champion", "--output", "{}/a.onnx"), "unknown registered model 'nobody'"),
        (("sha256:123456", "--output", "{}/a.onnx"), "is not in this home"),
        (("r-none", "--output", "{}/a.onnx", "--tolerance", "0"), "expected a number above zero"),
        (("r-none", "--output", "{}/a.onnx", "--tolerance", "nan"), "expected a number above zero"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    hub: Hub, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    code, _, err = hub("onnx", *(each.format(tmp_path) for each in arguments))
    assert code == 2
    assert expected in err


def test_neither_a_file_that_is_there_nor_another_framework(hub: Hub, smoke_run: Smoke, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("mine")
    code, _, err = hub("onnx", smoke_run("mlp")["run"], "--output", target)
    assert (code, target.read_text()) == (2, "mine")
    assert "exists already; nothing was written" in err
    pytest.importorskip("skops")
    code, _, err = hub("onnx", smoke_run("forest")["run"], "--output", tmp_path / "forest.onnx")
    assert code == 2
    assert "is of framework estimator" in err
