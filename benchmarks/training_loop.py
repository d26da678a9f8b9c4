"""The hub's training loop against a bare PyTorch loop, and what Fabric, Lightning and Hugging Face cost beside it.

All sides train the same multilayer perceptron from the same weights on the same batches with AdamW under deterministic
algorithms, on the CPU, with one thread. `bare` does nothing else. `hub` is the whole training of a run: every loss
looked at and logged to the run's curves on the disk, gradients checked, a checkpoint at the end and every 30 seconds
and every `checkpoint_every_steps` steps, progress, stop signals, throughput, validation. The peers get their batches
as cheaply as bare does, keep no checkpoints, and are timed from their 20th step to their last, so that what they set
up does not count; `with logging` adds each loss by Lightning's own CSV logger.

Rounds go through all sides in turns that alternate. Each round gives one ratio to bare, so that a machine that gets
slower for a minute slows all; the table shows medians. CPU time counts all threads of the process, the writer of
checkpoints included; where other work loads the machine it is the steadier of the two.

    python benchmarks/training_loop.py --rounds 5
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import logging
import os
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from _project import machine
from experiment_hub.configuration.document import load
from experiment_hub.tracking.series.writer import SeriesWriter
from experiment_hub.training.data import split_arrays
from experiment_hub.training.determinism import seed_everything
from experiment_hub.training.experiment import assemble
from experiment_hub.training.fitting import fit
from experiment_hub.training.runtimes.protocol import Arrays, Blueprint, Hooks, Work
from experiment_hub.training.runtimes.tensors import to_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from experiment_hub.tasks import Batch

SEED, WARM = 0, 20
RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    label: str
    width: int
    batch: int
    steps: int


WORKLOADS = {
    "0.5": Workload("about 0.5 ms a step", 128, 64, 4000),
    "5": Workload("about 5 ms a step", 640, 256, 1000),
}


class Clock:
    """Wall and CPU seconds between two moments."""

    def start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu


@dataclass(frozen=True)
class Task:
    """One epoch; `rows` are the same batches for every side."""

    load: Workload
    work: Work
    train: Batch
    val: Batch
    rows: tuple[torch.Tensor, ...]
    model: torch.nn.Module

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in self.rows:
            yield self.train.inputs[rows], self.train.targets[rows]

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)


def prepare(load_: Workload, folder: Path) -> Task:
    samples = load_.batch * load_.steps
    assignments = [
        f"samples={samples * 10 // 9}",
        f"hidden=[{load_.width}, {load_.width}]",
        f"batch_size={load_.batch}",
        f"learning_rate={RATE}",
        "epochs=1",
        "device=cpu",
        "splits={train: 0.9, val: 0.05, test: 0.05}",
    ]
    experiment = assemble(load("mlp", assignments=assignments))
    data = experiment.dataset.item.generate(experiment.data_config)
    arrays = split_arrays(data, experiment.config.data.splits.model_dump())
    arrays["train"] = Arrays(arrays["train"].inputs[:samples], arrays["train"].targets[:samples])
    blueprint = Blueprint(experiment.plugin.item, experiment.model_config, data.spec)
    work = Work(blueprint, arrays, experiment.config.training, experiment.metrics, SEED, "cpu", folder)
    train, val = (to_batch(arrays[split], torch.device("cpu")) for split in ("train", "val"))
    order = torch.randperm(len(train.targets), generator=torch.Generator().manual_seed(SEED))
    seed_everything(SEED)
    model = blueprint.plugin.build(blueprint.config, blueprint.spec)
    return Task(load_, work, train, val, torch.split(order, load_.batch), model)


def bare(task: Task, clock: Clock) -> int:
    model = copy.deepcopy(task.model)
    optimizer = task.optimizer(model)
    clock.start()
    running = torch.zeros(())
    for inputs, targets in task.batches():
        loss = functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch ships it without types
        optimizer.step()
        running += loss.detach() * len(targets)
    running.item()
    model.eval()
    with torch.no_grad():
        functional.cross_entropy(model(task.val.inputs), task.val.targets).item()
    clock.stop()
    return len(task.rows)


def hub(task: Task, clock: Clock) -> int:
    """The whole of `fit`, its start and its end included."""
    model = copy.deepcopy(task.model)
    with tempfile.TemporaryDirectory(dir=task.work.folder) as folder:
        work = Work(**{**vars(task.work), "folder": Path(folder)})
        clock.start()
        series = SeriesWriter(Path(folder) / "series")
        log = series.log

        def on_step(step: int, values: Any) -> None:
            log(values, step)

        fit(work, model, Hooks(on_step))
        series.close()
        clock.stop()
    return len(task.rows)


def fabric(task: Task, clock: Clock) -> int:
    from lightning import Fabric

    tools = Fabric(accelerator="cpu", devices=1)
    model, optimizer = tools.setup(copy.deepcopy(task.model), task.optimizer(task.model))
    optimizer = tools.setup_optimizers(task.optimizer(model))
    for step, (inputs, targets) in enumerate(task.batches()):
        if step == WARM:
            clock.start()
        loss = functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        tools.backward(loss)
        optimizer.step()
    clock.stop()
    return len(task.rows) - WARM


def lightning(task: Task, clock: Clock, *, logs: bool = False) -> int:
    import lightning as pl

    class Module(pl.LightningModule):  # type: ignore[misc] # a peer that ships without types
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(task.model)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            if index == WARM:
                clock.start()
            loss = functional.cross_entropy(self.inner(batch[0]), batch[1])
            if logs:
                self.log("loss", loss)
            return loss

        def on_train_epoch_end(self) -> None:
            clock.stop()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return task.optimizer(self.inner)

    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    with tempfile.TemporaryDirectory() as folder:
        logger = pl.pytorch.loggers.CSVLogger(folder) if logs else False
        pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            logger=logger,
            log_every_n_steps=1,
            default_root_dir=folder,
            **quiet,
        ).fit(Module(), Batches(task))
    return len(task.rows) - WARM


def lightning_logging(task: Task, clock: Clock) -> int:
    return lightning(task, clock, logs=True)


def transformers(task: Task, clock: Clock) -> int:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Watch(TrainerCallback):  # type: ignore[misc] # a peer that ships without types
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, control
            if state.global_step == WARM:
                clock.start()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            clock.stop()

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(task.model)

        def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": functional.cross_entropy(self.inner(inputs), targets)}

    class Given(Trainer):  # type: ignore[misc] # a peer that ships without types
        def get_train_dataloader(self) -> Any:
            return Batches(task, names=("inputs", "targets"))

    model = Model()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        arguments = TrainingArguments(
            folder,
            num_train_epochs=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            logging_steps=500,
        )
        Given(model, arguments, optimizers=(task.optimizer(model), None), callbacks=[Watch()]).train()
    return len(task.rows) - WARM


class Batches:
    """What the peers take for a loader."""

    dataset = None
    batch_sampler = None
    sampler = None

    def __init__(self, task: Task, names: tuple[str, ...] = ()) -> None:
        self._task, self._names = task, names

    def __len__(self) -> int:
        return len(self._task.rows)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._task.batches():
            yield dict(zip(self._names, batch, strict=True)) if self._names else batch


SIDES: dict[str, tuple[str, Callable[[Task, Clock], int]]] = {
    "bare PyTorch": ("torch", bare),
    "hub: curves, checkpoints, guards": ("torch", hub),
    "Fabric": ("lightning", fabric),
    "Lightning": ("lightning", lightning),
    "Lightning with logging": ("lightning", lightning_logging),
    "Hugging Face Trainer": ("transformers", transformers),
}


def measure(task: Task, rounds: int, names: list[str]) -> list[str]:
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else names[::-1]:
            clock = Clock()
            steps = SIDES[name][1](task, clock)
            if turn:  # the first round warms up
                seconds[name].append((clock.wall / steps, clock.cpu / steps))
    return [row(name, seconds[name], seconds[names[0]]) for name in names]


def row(name: str, values: list[tuple[float, float]], peers: list[tuple[float, float]]) -> str:
    wall, cpu = ([value[kind] / peer[kind] for value, peer in zip(values, peers, strict=True)] for kind in (0, 1))
    median = 1000 * statistics.median(value[0] for value in values)
    return (
        f"| {name} | {median:.3f} | {statistics.median(wall):.3f} | {min(wall):.3f} to {max(wall):.3f} "
        f"| {statistics.median(cpu):.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workload", choices=WORKLOADS, action="append")
    parser.add_argument("--side", choices=SIDES, action="append", help="beside bare PyTorch; default: all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for logger in ("lightning", "lightning.pytorch", "lightning.fabric", "transformers"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    wanted = options.side or list(SIDES)
    names = ["bare PyTorch", *(name for name in wanted if name != "bare PyTorch" and find_spec(SIDES[name][0]))]
    print(f"{machine()}, {os.cpu_count()} cores, torch {torch.__version__}, 1 thread, {max(5, options.rounds)} rounds")
    for key in options.workload or WORKLOADS:
        with tempfile.TemporaryDirectory() as folder:
            task = prepare(WORKLOADS[key], Path(folder))
            print(
                f"\n{task.load.label}: {len(task.rows)} steps of {task.load.batch} samples, width {task.load.width}\n"
            )
            print("| side | ms a step | to bare, wall | least to greatest | to bare, CPU |\n|---|---|---|---|---|")
            print("\n".join(measure(task, max(5, options.rounds), names)), flush=True)


if __name__ == "__main__":
    main()
