"""The hub's training loop against the same loop in bare PyTorch.

Both sides: same model, initial weights, data, batches, seed, optimizer, deterministic algorithms, validation loss and
accuracy after every epoch. The hub's side adds what the hub adds: finite checks, the plugin's indirection, metrics
recorded in a real database. Rows "with checkpoints" save on both sides at the same steps, the bare side with a plain
`torch.save` of model and optimizer, which neither syncs the disk nor sums a digest. Rounds alternate which side goes
first. Each round gives one ratio, hub by bare, so a machine that gets slower for a minute slows both; the table shows
the median ratio and its quartiles. One thread by default, because on a shared machine two wait for each other.

    python benchmarks/training_loop.py --rounds 9
"""

import argparse
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from experiment_hub.configuration.document import load
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.tasks import Batch
from experiment_hub.tracking.recorder import Plan, RunRecorder
from experiment_hub.training import checkpoint
from experiment_hub.training.data import split_tensors
from experiment_hub.training.determinism import seed_everything
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.loop import Hooks, Job, Trainer

SEED = 0
NEVER = 10**9
WORKLOADS = {
    "mlp as shipped": (),
    "mlp 2 x 256, 20000 samples": ("samples=20000", "hidden=[256, 256]", "epochs=4", "batch_size=128"),
}


@dataclass(frozen=True)
class Side:
    job: Job
    folder: Path
    checkpoints: bool


def job_of(experiment: Experiment) -> Job:
    device = torch.device("cpu")
    samples = experiment.dataset.item.generate(experiment.data_config)
    data = split_tensors(samples, experiment.config.data.splits.model_dump(), device)
    seed_everything(SEED)
    model = experiment.plugin.item.build(experiment.model_config, samples.spec)
    return Job(experiment.plugin.item, model, data, experiment.config.training, experiment.metrics, SEED)


def bare_validation(model: torch.nn.Module, data: Batch) -> tuple[float, float]:
    model.eval()
    with torch.no_grad():
        logits = model(data.inputs)
        loss = functional.cross_entropy(logits, data.targets).item()
        accuracy = (logits.argmax(1) == data.targets).float().mean().item()
    model.train()
    return loss, accuracy


def bare(side: Side) -> float:
    """Bare PyTorch; returns the last validation loss."""
    job, settings = side.job, side.job.training
    model, train = job.model, job.data["train"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    sampler = torch.Generator().manual_seed(SEED)
    step, loss_value = 0, math.nan
    for _ in range(settings.epochs):
        running = torch.zeros(())
        for rows in torch.split(torch.randperm(len(train.targets), generator=sampler), settings.batch_size):
            loss = functional.cross_entropy(model(train.inputs[rows]), train.targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch ships it without types
            optimizer.step()
            running += loss.detach() * len(rows)
            step += 1
            if side.checkpoints and step % settings.checkpoint_every_steps == 0:
                bare_save(side, optimizer)
        running.item()
        loss_value, _ = bare_validation(model, job.data["val"])
    if side.checkpoints:
        bare_save(side, optimizer)
    return loss_value


def bare_save(side: Side, optimizer: torch.optim.Optimizer) -> None:
    torch.save({"model": side.job.model.state_dict(), "optimizer": optimizer.state_dict()}, side.folder / "bare.pt")


def hub(side: Side, recorder: RunRecorder) -> float:
    """The hub's loop with its recording; returns the last validation loss."""
    versions = {metric.name: metric.version for metric in side.job.metrics} | {"objective": 1}

    def on_checkpoint(state: dict[str, object]) -> None:
        if side.checkpoints:
            checkpoint.save(side.folder, state)
        recorder.flush()

    hooks = Hooks(lambda epoch, step, values: recorder.record(epoch, step, values, versions), on_checkpoint)
    values = Trainer(side.job, hooks).run()
    recorder.flush()
    return values["val.loss"]


def timed(action: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    value = action()
    return time.perf_counter() - began, value


def one_round(experiment: Experiment, folder: Path, *, checkpoints: bool, hub_first: bool) -> tuple[float, float]:
    """Seconds of bare and hub; refuses to compare loops that do not compute the same."""
    store = MetadataStore(folder)
    plan = Plan("benchmark", SEED, smoke=False, config=experiment.resolved(), overrides={})
    seconds, losses = {}, {}
    for name in ("hub", "bare") if hub_first else ("bare", "hub"):
        side = Side(job_of(experiment), folder, checkpoints)
        with RunRecorder.start(store, plan) as recorder:
            seconds[name], losses[name] = timed(lambda: hub(side, recorder) if name == "hub" else bare(side))  # noqa: B023 -- called at once
    if not math.isclose(losses["hub"], losses["bare"], rel_tol=1e-4):
        raise SystemExit(f"the loops differ: {losses}")
    return seconds["bare"], seconds["hub"]


def measure(label: str, assignments: tuple[str, ...], rounds: int, *, checkpoints: bool) -> str:
    extra = () if checkpoints else (f"checkpoint_every_steps={NEVER}",)
    experiment = assemble(load("mlp", assignments=[*assignments, *extra]))
    with tempfile.TemporaryDirectory() as folder:
        results = [
            one_round(experiment, Path(folder), checkpoints=checkpoints, hub_first=bool(index % 2))
            for index in range(rounds + 1)
        ][1:]  # the first round warms up
    bare_seconds, hub_seconds = (statistics.median(side) for side in zip(*results, strict=True))
    low, ratio, high = statistics.quantiles([hub / bare for bare, hub in results], n=4)
    name = f"{label}{', checkpoints' if checkpoints else ''}"
    return f"{name:<42} {bare_seconds:>8.3f} {hub_seconds:>8.3f} {ratio:>7.3f}   {low:.3f} to {high:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rounds = max(5, options.rounds)
    torch.set_num_threads(options.threads)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, CPU, seed {SEED}, {rounds} rounds"
    )
    print(f"{'workload':<42} {'bare s':>8} {'hub s':>8} {'ratio':>7}   quartiles")
    for checkpoints in (False, True):
        for label, assignments in WORKLOADS.items():
            print(measure(label, assignments, rounds, checkpoints=checkpoints), flush=True)


if __name__ == "__main__":
    main()
