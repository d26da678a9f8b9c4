"""One training's work as a runtime gets it, from a configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.training.runtimes.protocol import Work


@pytest.fixture
def work_of(tmp_path: Path) -> Callable[..., Work]:
    """`work_of("mlp", "training.epochs=3", seed=1)`: of the smoke configuration, in a run's folder of its own."""
    from experiment_hub.configuration.document import load
    from experiment_hub.training.data import split_arrays
    from experiment_hub.training.determinism import seed_everything
    from experiment_hub.training.experiment import assemble
    from experiment_hub.training.runtimes.protocol import Blueprint

    def make(config: str, *assignments: str, seed: int = 0, run: str = "r-1") -> Work:
        experiment = assemble(load(config, smoke=True, assignments=assignments))
        samples = experiment.dataset.item.generate(experiment.data_config)
        folder = tmp_path / "home" / "runs" / run
        folder.mkdir(parents=True, exist_ok=True)
        seed_everything(seed)
        return Work(
            blueprint=Blueprint(experiment.plugin.item, experiment.model_config, samples.spec),
            data=split_arrays(samples, experiment.config.data.splits.model_dump()),
            training=experiment.config.training,
            metrics=experiment.metrics,
            seed=seed,
            device="cpu",
            folder=folder,
        )

    return make
