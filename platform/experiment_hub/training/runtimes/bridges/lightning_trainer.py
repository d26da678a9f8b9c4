"""One training by Lightning's Trainer, told to the hub through its own hooks; imported only where Lightning is."""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader, Sampler, TensorDataset

from experiment_hub.errors import NonFiniteError
from experiment_hub.training.determinism import capture_rng, restore_rng
from experiment_hub.training.loop import OBJECTIVE
from experiment_hub.training.runtimes.measuring import measure_splits
from experiment_hub.training.runtimes.protocol import Arrays, Hooks, Runtime, Work

FOLDER = "checkpoints"


def fit(runtime: Runtime, work: Work, model: LightningModule, hooks: Hooks) -> dict[str, float]:
    """To the last epoch, going on at the last checkpoint in the work's folder; the hub has set determinism already."""
    _quiet()
    reporter = Reporter(runtime, work, hooks)
    folder = work.folder / FOLDER
    keeper = ModelCheckpoint(
        dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    trainer = Trainer(
        **_place(work.device),
        max_epochs=work.training.epochs,
        logger=SeriesLogger(hooks),
        callbacks=[reporter, keeper],
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=work.folder,
    )
    last = folder / "last.ckpt"
    trainer.fit(
        model,
        _loader(work, "train"),
        _loader(work, "val") if trainer_overrides(model, "validation_step") else None,
        ckpt_path=last if last.is_file() else None,
        weights_only=True,
    )
    return reporter.values or measure_splits(runtime, work, model, last=True)


def trainer_overrides(model: LightningModule, method: str) -> bool:
    return getattr(type(model), method) is not getattr(LightningModule, method)


class Reporter(Callback):  # type: ignore[misc] # Lightning's types are not read
    """Measures after each epoch, watches the loss, and carries the generators' states through checkpoints."""

    def __init__(self, runtime: Runtime, work: Work, hooks: Hooks) -> None:
        self._runtime, self._work, self._hooks = runtime, work, hooks
        self._objective = 0.0
        self._generators: dict[str, Any] | None = None
        self.values: dict[str, float] = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 -- Lightning's
        self._objective = 0.0
        if self._generators is not None:
            restore_rng(self._generators)
            self._generators = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 -- Lightning's signature
        outputs: Any,
        batch: Any,
        batch_idx: int,  # noqa: ARG002 -- Lightning's signature
    ) -> None:
        if outputs is None:  # the module skipped this batch
            return
        loss = float(outputs["loss"] if isinstance(outputs, Mapping) else outputs)
        if not math.isfinite(loss):
            raise NonFiniteError(f"loss is {loss} in epoch {trainer.current_epoch + 1}, step {trainer.global_step}")
        self._objective += loss * len(batch[0])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        last = epoch == self._work.training.epochs
        self.values = {
            OBJECTIVE: self._objective / len(self._work.data["train"].targets),
            **measure_splits(self._runtime, self._work, pl_module, last=last),
        }
        self._hooks.on_epoch(epoch, trainer.global_step, self.values)

    def on_save_checkpoint(self, *_: Any) -> None:
        self._hooks.on_checkpoint()

    def state_dict(self) -> dict[str, Any]:
        return {"generators": capture_rng()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._generators = state_dict["generators"]


class SeriesLogger(Logger):  # type: ignore[misc] # Lightning's types are not read
    """What the module logs becomes series of the run, under the names that it gives."""

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self._hooks = hooks

    @property
    def name(self) -> str:
        return "hub"

    @property
    def version(self) -> str:
        return "1"

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The hub has them already, in the run's configuration."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if values:
            self._hooks.on_step((step or 0) + 1, values)


class Shuffled(Sampler[int]):
    """An order that depends on seed and epoch alone, so that a resumed epoch sees what it would have seen."""

    def __init__(self, samples: int, seed: int) -> None:
        self._samples, self._seed, self._epoch = samples, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        return iter(torch.randperm(self._samples, generator=generator).tolist())


def _loader(work: Work, split: str) -> "DataLoader[Any]":
    """The loader draws from a generator of its own: the model's numbers do not depend on it."""
    data: Arrays = work.data[split]
    return DataLoader(
        TensorDataset(*map(torch.from_numpy, data)),
        batch_size=work.training.batch_size,
        sampler=Shuffled(len(data.targets), work.seed) if split == "train" else None,
        generator=torch.Generator().manual_seed(work.seed),
    )


def _place(device: str) -> dict[str, Any]:
    kind, _, index = device.partition(":")
    return {"accelerator": kind, "devices": [int(index or 0)] if kind == "cuda" else 1}


def _quiet() -> None:
    """Lightning's notes about hardware and tips are not the run's output."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
