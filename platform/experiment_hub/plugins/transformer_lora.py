"""The small decoder with low-rank adapters: its own weights stay as they are, only the adapters learn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from experiment_hub.errors import BadInputError
from experiment_hub.plugins.transformer import Decoder, Transformer
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import NEXT_TOKEN, Batch, DataSpec


class Adaptation(Hyperparameters):
    rank: PositiveInt
    """Rank of the change that is learned for each adapted matrix."""
    alpha: float = Field(gt=0)
    """The change is scaled by alpha / rank."""
    dropout: float = Field(ge=0, lt=1)
    """Probability of zeroing an input of an adapter during training."""


class TransformerLora:
    name = "transformer_lora"
    task = NEXT_TOKEN
    requires = ("peft",)
    extra = "lora"

    class Config(Transformer.Config):
        """Hyperparameters of `model`: those of the decoder, and those of its adapters."""

        base: str
        """`fresh`; or a run, or the digest of its model, whose weights are adapted."""
        lora: Adaptation

    def build(self, config: Config, spec: DataSpec) -> nn.Module:
        from experiment_hub.plugins.adapters.lora import Adapted

        return Adapted(Decoder(config, spec), **config.lora.model_dump())

    def starts_from(self, config: Config) -> str | None:
        return None if config.base == "fresh" else config.base

    def start(self, model: Any, state: Mapping[str, Tensor]) -> None:
        try:
            model.fill_base(state)
        except (KeyError, RuntimeError) as error:
            raise BadInputError(f"model.base: these weights do not fit the decoder: {error}") from error

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return Transformer().loss(model, batch)

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [batch, sequence, vocabulary]."""
        return Transformer().outputs(model, batch)

    def keep(self, model: Any, folder: Path) -> None:
        """The adapters alone, in PEFT's own format."""
        model.keep_adapters(folder / "adapter")


PLUGIN = TransformerLora()
