"""A model on PyTorch as ONNX, checked against onnxruntime before anybody gets the file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from experiment_hub.errors import BadInputError, CorruptError, MissingExtraError
from experiment_hub.files import write_atomically
from experiment_hub.plugins.protocol import LightningPlugin, framework
from experiment_hub.tasks import CLASSIFICATION, IGNORED_TARGET, Batch, DataSpec
from experiment_hub.training.runtimes.folder import SavedModel

BATCHES = (1, 3, 16)  # sizes of the probing batches: the exported batch dimension is open
INPUTS, OUTPUTS = "inputs", "logits"


@dataclass(frozen=True)
class Exported:
    file: Path
    bytes: int
    maximum_difference: float
    """Of any logit between PyTorch and onnxruntime, over all probing batches."""
    tolerance: float
    inputs: list[Any]
    outputs: list[Any]
    """Shapes; a name stands for an open dimension."""


def export(saved: SavedModel, target: Path, *, tolerance: float) -> Exported:
    """Write `target` atomically; raises CorruptError when the exported model computes something else."""
    if target.exists():
        raise BadInputError(f"{target} exists already; nothing was written")
    if not target.parent.is_dir():
        raise BadInputError(f"{target.parent}: no such folder")
    content = _exported(saved)
    session = _session(content)
    difference = _difference(saved, session)
    if not difference <= tolerance:
        raise CorruptError(
            f"onnxruntime gives logits that differ from PyTorch's by {difference:.3g}, more than {tolerance:g}; "
            "nothing was written"
        )
    write_atomically(target, content)
    shapes = [[place.name, *place.shape] for place in (session.get_inputs()[0], session.get_outputs()[0])]
    return Exported(target, len(content), difference, tolerance, shapes[0], shapes[1])


class _Logits(torch.nn.Module):
    """The plugin's own outputs as a function of inputs alone."""

    def __init__(self, saved: SavedModel) -> None:
        super().__init__()
        self.model = saved.model
        self._plugin = cast("LightningPlugin", saved.blueprint.plugin)
        self._task = saved.blueprint.plugin.task

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        shape = inputs.shape[:1] if self._task == CLASSIFICATION else inputs.shape
        return self._plugin.outputs(self.model, Batch(inputs, torch.full(shape, IGNORED_TARGET)))


def _exported(saved: SavedModel) -> bytes:
    if not isinstance(saved.model, torch.nn.Module):
        raise BadInputError(
            f"model {saved.blueprint.plugin.name!r} is of framework {framework(saved.blueprint.plugin)}; "
            "ONNX export takes models on PyTorch only"
        )
    _require("onnxscript")
    example = torch.from_numpy(probes(saved.blueprint.spec, saved.blueprint.plugin.task, BATCHES[1]))
    with _quiet():
        program = torch.onnx.export(
            _Logits(saved).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={INPUTS: {0: torch.export.Dim("batch")}},
            input_names=[INPUTS],
            output_names=[OUTPUTS],
            verbose=False,
        )
    content: bytes = cast("torch.onnx.ONNXProgram", program).model_proto.SerializeToString()
    return content


def probes(spec: DataSpec, task: str, count: int) -> NDArray[Any]:
    """Inputs of the right shape and type, the same ones each time."""
    generator = np.random.default_rng(count)
    shape = (count, *spec.input_shape)
    if task == CLASSIFICATION:
        return generator.standard_normal(shape).astype(np.float32)
    return generator.integers(0, spec.outputs, shape, dtype=np.int64)


def _difference(saved: SavedModel, session: Any) -> float:
    worst = 0.0
    for size in BATCHES:
        inputs = probes(saved.blueprint.spec, saved.blueprint.plugin.task, size)
        expected = saved.runtime.outputs(saved.blueprint, saved.model, inputs)
        (found,) = session.run(None, {INPUTS: inputs})
        if found.shape != expected.shape:
            raise CorruptError(f"onnxruntime gives logits of shape {found.shape}, expected {expected.shape}")
        worst = max(worst, float(np.abs(found.astype(np.float64) - expected).max()))
    return worst


def _session(content: bytes) -> Any:
    runtime = _require("onnxruntime")
    return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _require(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError("ONNX export", module, "onnx") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's notes about libraries that nobody asked for are not the command's output."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, about its own internals
            yield
    finally:
        logger.setLevel(before)
