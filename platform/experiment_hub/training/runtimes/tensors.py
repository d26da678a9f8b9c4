"""What every framework on top of PyTorch shares: measuring, counting, weights as a file."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from experiment_hub.errors import CorruptError
from experiment_hub.plugins.protocol import KeepsMore, LightningPlugin
from experiment_hub.tasks import Batch
from experiment_hub.training.runtimes.measuring import MEASURING_BATCH, without_targets
from experiment_hub.training.runtimes.protocol import Arrays, Blueprint, Census

FILE = "weights.pt"


def to_batch(arrays: Arrays, device: torch.device) -> Batch:
    return Batch(*(torch.from_numpy(array).to(device) for array in arrays))


def outputs(blueprint: Blueprint, model: torch.nn.Module, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """In chunks, in evaluation mode; the model goes back to the mode in which it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = [_logits(blueprint, model, chunk) for chunk in _chunks(inputs)]
    finally:
        model.train(was_training)
    found: NDArray[np.float64] = torch.cat(parts).cpu().numpy().astype(np.float64)
    return found


def _chunks(inputs: NDArray[Any]) -> list[NDArray[Any]]:
    starts = range(0, len(inputs), MEASURING_BATCH)
    return [np.array(inputs[start : start + MEASURING_BATCH]) for start in starts]  # copies: a mapped file is read-only


def _logits(blueprint: Blueprint, model: torch.nn.Module, inputs: NDArray[Any]) -> torch.Tensor:
    plugin = cast("LightningPlugin", blueprint.plugin)  # discovery has checked that it has `outputs`
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    return plugin.outputs(model, to_batch(without_targets(blueprint, inputs), device)).float()


def count(model: torch.nn.Module) -> Census:
    parameters = list(model.parameters())
    trainable = sum(each.numel() for each in parameters if each.requires_grad)
    return Census(trainable, sum(each.numel() for each in parameters))


def save(blueprint: Blueprint, model: torch.nn.Module, folder: Path) -> None:
    """All weights, and what the plugin wants to keep beside them."""
    torch.save({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}, folder / FILE)
    if isinstance(blueprint.plugin, KeepsMore):
        blueprint.plugin.keep(model, folder)


def load(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    fill(model, folder / FILE)
    return model.eval()


def fill(model: torch.nn.Module, path: Path) -> None:
    with refusing(path):
        model.load_state_dict(read(path))


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors only: an archive that holds anything else is refused, never run."""
    with refusing(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
            raise TypeError("a table of tensors was expected")
    return state


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Whatever torch raises about a file becomes CorruptError."""
    try:
        yield
    except (OSError, RuntimeError, TypeError, AttributeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptError(f"{path}: these are not the weights of this model: {reason}") from error
