import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integrations, pytest.mark.slow]

Smoke = Callable[..., dict[str, Any]]
SETTINGS = {"width": 8, "layers": 2, "heads": 2, "feedforward": 16, "dropout": 0.0, "base": "fresh"}


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("peft")


def build(rank: int = 2) -> Any:
    from experiment_hub.plugins.transformer_lora import PLUGIN
    from experiment_hub.tasks import DataSpec

    config = PLUGIN.Config.model_validate({**SETTINGS, "lora": {"rank": rank, "alpha": 4.0, "dropout": 0.0}})
    return PLUGIN.build(config, DataSpec(input_shape=(6,), outputs=5))


def disturb(model: Any) -> None:
    """Adapters that do something: fresh ones change nothing."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()


@pytest.mark.parametrize("rank", [1, 3])
def test_exactly_the_adapters_are_trainable(rank: int) -> None:
    from experiment_hub.training.runtimes.tensors import count

    model = build(rank)
    for_each_layer = rank * (8 + 24) + rank * (8 + 8)  # projection is 8 -> 24, output 8 -> 8
    assert count(model).trainable == 2 * for_each_layer
    assert {name.split(".lora_")[0] != name for name, each in model.named_parameters() if each.requires_grad} == {True}


def test_fresh_adapters_change_nothing_and_merged_ones_compute_the_same() -> None:
    import torch

    model = build().eval()
    plain = model.merged().eval()
    tokens = torch.arange(30).reshape(5, 6) % 5
    assert torch.equal(model(tokens), plain(tokens))
    disturb(model)
    assert not torch.allclose(model(tokens), plain(tokens), atol=1e-2)
    assert torch.allclose(model(tokens), model.merged().eval()(tokens), atol=1e-5)
    assert 0 < model.merge_difference() < 1e-4


def test_training_leaves_the_base_as_it_was_and_a_changed_base_is_noticed(tmp_path: Path) -> None:
    import torch

    from experiment_hub.errors import CorruptError
    from experiment_hub.plugins.transformer_lora import PLUGIN
    from experiment_hub.tasks import Batch

    model = build()
    tokens = torch.arange(30).reshape(5, 6) % 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        PLUGIN.loss(model, Batch(tokens, tokens)).backward()  # type: ignore[no-untyped-call] # torch ships it without types
        optimizer.step()
    model.keep_adapters(tmp_path / "adapter")
    check = json.loads((tmp_path / "adapter" / "check.json").read_text())
    assert check["base_sha256"] == model.base_digest
    assert check["merge_difference"] <= check["tolerance"]
    with torch.no_grad():
        model.base_state()["head.bias"].add_(1e-6)
    with pytest.raises(CorruptError, match="the base weights changed"):
        model.keep_adapters(tmp_path / "again")


def test_a_run_starts_from_the_model_of_another_and_keeps_only_adapters_beside_it(smoke_run: Smoke, home: Path) -> None:
    from safetensors.numpy import load_file

    from experiment_hub.artifacts.catalog import catalog
    from experiment_hub.training.runtimes import tensors

    base = smoke_run("transformer")
    run = smoke_run("transformer_lora", f"base={base['run']}", "training.epochs=2")
    assert run["state"] == "finished"
    found = catalog(home)
    links = {link.name: link.digest for link in found.links("run", run["run"])}
    assert links["base"] == {link.name: link.digest for link in found.links("run", base["run"])}["model"]
    found.fetch(links["base"], home / "base")
    found.fetch(links["model"], home / "adapted")
    before, after = (tensors.read(home / each / tensors.FILE) for each in ("base", "adapted"))
    plain = {
        name.removeprefix("decoder.base_model.model.").replace(".base_layer", ""): each for name, each in after.items()
    }
    assert all(plain[name].equal(weight) for name, weight in before.items())
    adapters = load_file(home / "adapted" / "adapter" / "adapter_model.safetensors")
    assert len(adapters) == 2 * 2 * 2
    assert all("lora_" in name for name in adapters)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("r-20200101-000000-abcdef", "has left no model"),
        ("nothing", "is no digest"),
        ("sha256:" + "0" * 64, "is not in this home"),
    ],
)
def test_a_base_that_is_not_there_is_said(smoke_run: Smoke, home: Path, base: str, expected: str) -> None:
    from experiment_hub.errors import BadInputError

    with pytest.raises(BadInputError, match=expected):
        smoke_run("transformer_lora", f"base={base}")
    assert home.is_dir()


def test_a_base_of_another_shape_is_said(smoke_run: Smoke) -> None:
    from experiment_hub.errors import BadInputError

    base = smoke_run("transformer", "model.width=32")
    with pytest.raises(BadInputError, match=r"model\.base: these weights do not fit the decoder: .*expected"):
        smoke_run("transformer_lora", f"base={base['run']}")
