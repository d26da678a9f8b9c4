from collections.abc import Callable
from typing import Any

import torch

from experiment_hub.plugins.mlp import PLUGIN
from experiment_hub.tasks import Batch, DataSpec


def test_it_builds_a_model_of_the_promised_shape() -> None:
    config = PLUGIN.Config(hidden=(8, 4), activation="gelu", dropout=0.0)
    model = PLUGIN.build(config, DataSpec(input_shape=(2,), outputs=3))
    batch = Batch(torch.randn(5, 2), torch.tensor([0, 1, 2, 0, 1]))
    assert PLUGIN.outputs(model, batch).shape == (5, 3)
    assert PLUGIN.loss(model, batch).shape == ()
    assert sum(each.numel() for each in model.parameters()) == (2 * 8 + 8) + (8 * 4 + 4) + (4 * 3 + 3)


def test_the_same_smoke_run_twice_gives_the_same_metrics(smoke_run: Callable[..., dict[str, Any]]) -> None:
    first, second = smoke_run("mlp"), smoke_run("mlp")
    assert first["state"] == second["state"] == "finished"
    assert first["metrics"] == second["metrics"] != {}


def test_the_loss_falls(smoke_run: Callable[..., dict[str, Any]]) -> None:
    run = smoke_run("mlp", "training.epochs=8")
    losses = [row["value"] for row in run["history"] if row["metric"] == "train.objective"]
    assert losses[-1] < losses[0]
