"""Weights & Biases: offline runs in a folder, by wandb's own client; `wandb sync` sends them on."""

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from experiment_hub.errors import MissingExtraError
from experiment_hub.tracking.mirrors.protocol import Shown
from experiment_hub.tracking.plain import storable
from experiment_hub.tracking.series.tail import Point

STEP, TIME = "hub_step", "hub_time"
LONGEST_TAG = 64


class _WandbRun:
    def __init__(self, run: Shown, target: str) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("the mirror to W&B", "wandb", "wandb") from error
        Path(target).mkdir(parents=True, exist_ok=True)
        self._wandb = wandb
        self._run = wandb.init(
            mode="offline",
            dir=target,
            id=run.id,
            name=storable(run.name)[:128],
            project=storable(run.project)[:128],
            notes=storable(run.notes or ""),
            tags=[storable(tag)[:LONGEST_TAG] for tag in run.tags],
            config={storable(name): value for name, value in run.parameters.items()},
            settings=wandb.Settings(silent=True, disable_git=True, x_disable_stats=True, console="off"),
        )
        self._run.define_metric("*", step_metric=STEP)

    def points(self, points: Iterable[Point]) -> None:
        """W&B counts its own steps; ours go along as a value of their own, so that going back to a step loses nothing."""
        for step, group in groupby(points, key=lambda each: each.step):
            rows = list(group)
            self._run.log({storable(each.name): each.value for each in rows} | {STEP: step, TIME: rows[-1].time})

    def artifact(self, name: str, path: Path) -> None:
        artifact = self._wandb.Artifact(f"run-{self._run.id}-{len(name)}", type="output")
        (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
        self._run.log_artifact(artifact)

    def close(self, state: str, ended: float | None) -> None:  # noqa: ARG002 -- W&B takes the time itself
        self._run.finish(exit_code=0 if state == "finished" else 1)


class Wandb:
    name = "wandb"

    def open(self, run: Shown, target: str) -> Any:
        return _WandbRun(run, os.path.abspath(target))  # noqa: PTH100 -- wandb changes links by itself


MIRROR = Wandb()
