"""An ordinary LightningModule: nothing in it knows the hub."""

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional


class Classifier(LightningModule):  # type: ignore[misc] # Lightning's types are not read
    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__()
        self.network = network
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002 -- Lightning's
        inputs, targets = batch
        loss = functional.cross_entropy(self(inputs), targets)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002 -- Lightning's
        inputs, targets = batch
        self.log("val_loss", functional.cross_entropy(self(inputs), targets))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.rate)
