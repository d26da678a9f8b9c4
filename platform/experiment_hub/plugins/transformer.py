"""Small decoder-only transformer for next-token prediction."""

from typing import Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import IGNORED_TARGET, NEXT_TOKEN, Batch, DataSpec


class Attention(nn.Module):
    """Causal self-attention; plain matrix products, whose gradients are deterministic on every device."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, sequence, width] -> the same shape."""
        batch, sequence, width = hidden.shape
        heads = self.projection(hidden).view(batch, sequence, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        future = torch.ones(sequence, sequence, dtype=torch.bool, device=hidden.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, sequence, width)
        attended: Tensor = self.output(mixed)
        return attended


class Block(nn.Module):
    def __init__(self, config: "Transformer.Config") -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = nn.Sequential(
            nn.Linear(config.width, config.feedforward), nn.GELU(), nn.Linear(config.feedforward, config.width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden)))
        residual: Tensor = hidden + self.dropout(self.feedforward(self.feedforward_norm(hidden)))
        return residual


class Decoder(nn.Module):
    def __init__(self, config: "Transformer.Config", spec: DataSpec) -> None:
        super().__init__()
        self.tokens = nn.Embedding(spec.outputs, config.width)
        self.positions = nn.Parameter(torch.randn(spec.input_shape[0], config.width) * 0.02)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, spec.outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, sequence] int64 -> logits [batch, sequence, vocabulary]."""
        hidden = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        logits: Tensor = self.head(self.norm(self.blocks(hidden)))
        return logits


class Transformer:
    name = "transformer"
    task = NEXT_TOKEN

    class Config(Hyperparameters):
        """Hyperparameters of `model`."""

        width: PositiveInt
        """Size of a token's vector; a multiple of `heads`."""
        layers: PositiveInt
        heads: PositiveInt
        feedforward: PositiveInt
        """Width of the hidden layer inside each block."""
        dropout: float = Field(ge=0, lt=1)

        @model_validator(mode="after")
        def heads_divide_width(self) -> Self:
            if self.width % self.heads:
                raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
            return self

    def build(self, config: Config, spec: DataSpec) -> nn.Module:
        return Decoder(config, spec)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        logits = self.outputs(model, batch)
        return functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED_TARGET)

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits [batch, sequence, vocabulary]."""
        logits: Tensor = model(batch.inputs)
        return logits


PLUGIN = Transformer()
