from collections.abc import Callable
from typing import Any

import pytest
import torch

from experiment_hub.errors import ConfigurationError
from experiment_hub.plugins.convnet import PLUGIN
from experiment_hub.tasks import Batch, DataSpec

CONFIG = PLUGIN.Config(channels=(4, 8), dropout=0.0)
SPEC = DataSpec(input_shape=(1, 8, 8), outputs=6)


def test_it_builds_a_model_of_the_promised_shape_and_size() -> None:
    model = PLUGIN.build(CONFIG, SPEC)
    batch = Batch(torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 5]))
    assert PLUGIN.outputs(model, batch).shape == (5, 6)
    assert PLUGIN.loss(model, batch).shape == ()
    convolutions = (1 * 9 * 4 + 4) + (4 * 9 * 8 + 8)
    assert sum(each.numel() for each in model.parameters()) == convolutions + 2 * (4 + 8) + (8 * 6 + 6)


def test_a_sample_does_not_depend_on_the_others_in_its_batch() -> None:
    model = PLUGIN.build(CONFIG, SPEC)
    images = torch.randn(4, 1, 8, 8)
    together = model(images)
    assert torch.allclose(together[:1], model(images[:1]), atol=1e-6)


def test_data_that_is_no_image_is_refused_with_a_sentence() -> None:
    with pytest.raises(
        ConfigurationError, match=r"needs images \(channels, height, width\), not samples of shape \(2,\)"
    ):
        PLUGIN.build(CONFIG, DataSpec(input_shape=(2,), outputs=3))


def test_the_same_smoke_run_twice_gives_the_same_metrics(smoke_run: Callable[..., dict[str, Any]]) -> None:
    first, second = smoke_run("convnet"), smoke_run("convnet")
    assert first["state"] == second["state"] == "finished"
    assert first["metrics"] == second["metrics"] != {}


def test_the_loss_falls(smoke_run: Callable[..., dict[str, Any]]) -> None:
    run = smoke_run("convnet", "training.epochs=4")
    losses = [row["value"] for row in run["history"] if row["metric"] == "train.objective"]
    assert losses[-1] < losses[0]
