"""One seed for every generator, and their states as data that a checkpoint can hold."""

import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from experiment_hub.errors import ConfigurationError

DEBUG_MODES = {"strict": "error", "warn": "warn", "off": "default"}
SURPRISE = "does not have a deterministic implementation"


def seed_everything(seed: int, mode: str = "strict") -> None:
    """Seed python, numpy and torch; `strict` refuses operations that are not deterministic, `warn` warns of them."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    # torch.use_deterministic_algorithms does the same and loads torch's compiler, which takes seconds
    torch.set_deterministic_debug_mode(DEBUG_MODES[mode])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 -- plugins may use the global generator, so it must be seeded too
    torch.manual_seed(seed)


@contextmanager
def surprises() -> Iterator[list[str]]:
    """Names of the operations that torch warns of because they are not deterministic; complete at the end."""
    named: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{SURPRISE}")
        show = warnings.showwarning

        def note(message: Warning | str, *rest: Any, **more: Any) -> None:
            text = str(message)
            if SURPRISE not in text:
                show(message, *rest, **more)
            elif (name := text.partition(" ")[0]) not in named:
                named.append(name)

        warnings.showwarning = note
        yield named


def capture_rng() -> dict[str, Any]:
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 -- see seed_everything
    return {
        "python": random.getstate(),
        "numpy": (str(name), [int(key) for key in keys], int(position), int(has_gauss), float(cached)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_rng(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002 -- see seed_everything
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def resolve_device(device: str) -> torch.device:
    """`auto` and device names as torch knows them; raises ConfigurationError when there is no such device."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.device(device)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"training.device: {device} is not present on this machine")
    return found
