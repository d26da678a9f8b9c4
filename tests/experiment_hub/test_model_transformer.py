from collections.abc import Callable
from typing import Any

import torch

from experiment_hub.plugins.transformer import PLUGIN
from experiment_hub.tasks import IGNORED_TARGET, Batch, DataSpec

CONFIG = PLUGIN.Config(width=8, layers=2, heads=2, feedforward=16, dropout=0.0)


def test_it_builds_a_model_of_the_promised_shape() -> None:
    model = PLUGIN.build(CONFIG, DataSpec(input_shape=(6,), outputs=5))
    tokens = torch.randint(0, 5, (3, 6))
    assert PLUGIN.outputs(model, Batch(tokens, tokens)).shape == (3, 6, 5)
    assert PLUGIN.loss(model, Batch(tokens, tokens)).shape == ()


def test_no_token_sees_the_future() -> None:
    model = PLUGIN.build(CONFIG, DataSpec(input_shape=(6,), outputs=5))
    tokens = torch.zeros(1, 6, dtype=torch.int64)
    changed = tokens.clone()
    changed[0, 4] = 3
    before, after = (PLUGIN.outputs(model, Batch(each, each)) for each in (tokens, changed))
    assert torch.equal(before[0, :4], after[0, :4])
    assert not torch.equal(before[0, 4:], after[0, 4:])


def test_ignored_targets_do_not_count() -> None:
    model = PLUGIN.build(CONFIG, DataSpec(input_shape=(6,), outputs=5))
    tokens = torch.randint(0, 5, (2, 6))
    targets = tokens.clone()
    targets[:, :3] = IGNORED_TARGET
    expected = torch.nn.functional.cross_entropy(
        PLUGIN.outputs(model, Batch(tokens, targets))[:, 3:].flatten(0, 1), tokens[:, 3:].flatten()
    )
    assert torch.allclose(PLUGIN.loss(model, Batch(tokens, targets)), expected)


def test_the_same_smoke_run_twice_gives_the_same_metrics(smoke_run: Callable[..., dict[str, Any]]) -> None:
    first, second = smoke_run("transformer"), smoke_run("transformer")
    assert first["state"] == second["state"] == "finished"
    assert first["metrics"] == second["metrics"] != {}


def test_the_loss_falls(smoke_run: Callable[..., dict[str, Any]]) -> None:
    run = smoke_run("transformer", "training.epochs=4")
    losses = [row["value"] for row in run["history"] if row["metric"] == "train.objective"]
    assert losses[-1] < losses[0]
