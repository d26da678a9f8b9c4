"""The state of a run at one moment, free of everything that goes on changing."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from experiment_hub.training.determinism import capture_rng
from experiment_hub.training.distributed import Team, laid_out, spread


def frozen(value: Any) -> Any:
    """The same structure with every tensor copied, from an accelerator to the CPU, and put together where processes share it."""
    if isinstance(value, torch.Tensor):
        if hasattr(value, "full_tensor"):
            return (
                value.full_tensor().detach().clone().cpu()
            )  # the copy waits for the exchange, here and not in a thread
        return value.detach().clone() if value.is_cpu else value.detach().cpu()
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return [frozen(item) for item in value]
    if isinstance(value, tuple):
        return tuple(frozen(item) for item in value)
    return value


def load(model: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Weights and what the optimizer remembers, from whole tensors; raises RuntimeError or ValueError where they do not fit."""
    model.load_state_dict(spread(state["model"], model.state_dict()))
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    remembered = {
        index: {key: laid_out(value, parameters[index]) for key, value in each.items()}
        for index, each in state["optimizer"]["state"].items()
    }
    optimizer.load_state_dict({**state["optimizer"], "state": remembered})


def captured_rng(team: Team) -> dict[str, Any]:
    """The generators of this process, and of each one where there are several."""
    own = capture_rng()
    return {"rng": own} if team.size == 1 else {"rng": own, "rng_of_ranks": team.gathered(own)}


def own_rng(state: dict[str, Any], team: Team) -> dict[str, Any]:
    states: dict[str, Any] = state["rng"] if team.size == 1 else state["rng_of_ranks"][team.rank]
    return states
