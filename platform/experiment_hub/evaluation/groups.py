"""Leave one group out: train once for each group, without it, and measure on it alone."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiment_hub.configuration.document import from_record
from experiment_hub.datasets.declared import declared
from experiment_hub.errors import BadInputError
from experiment_hub.evaluation.seeds import summaries
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.training.experiment import Experiment, assemble
from experiment_hub.training.progress import Say
from experiment_hub.training.runner import RunResult, run_one

MEASURED = "test"
FEWEST, MOST = 3, 50


@dataclass(frozen=True)
class LeftOut:
    group: str
    result: RunResult


def leave_one_group_out(
    config: dict[str, Any], seed: int, store: MetadataStore, *, smoke: bool, progress: Say
) -> list[LeftOut]:
    """One recorded run for each group; raises BadInputError when the data has no groups, or too many."""
    experiments = {group: _without(config, group) for group in groups_of(config)}
    made = []
    for number, (group, experiment) in enumerate(experiments.items(), 1):
        progress(f"group {number} of {len(experiments)} left out")
        made.append(LeftOut(group, run_one(experiment, store, seed, smoke=smoke, progress=progress)))
    return made


def groups_of(config: dict[str, Any]) -> list[str]:
    samples = declared(from_record(config, "configuration")).samples()
    found = sorted(set(samples.groups or ()))
    if not FEWEST <= len(found) <= MOST:
        raise BadInputError(
            f"the dataset has {len(found)} groups; leave-one-group-out trains once for each and takes {FEWEST} to {MOST}: "
            "name a column that says what belongs together"
        )
    return found


def summary(made: Sequence[LeftOut]) -> dict[str, dict[str, Any]]:
    """Over the groups, by metric; a group whose run did not finish has no figures."""
    values: dict[str, list[float]] = {}
    for each in made:
        for name, value in each.result.metrics.items():
            split, _, metric = name.partition(".")
            if split == MEASURED:
                values.setdefault(metric, []).append(value)
    return summaries(values)


def _without(config: dict[str, Any], group: str) -> Experiment:
    changed = copy.deepcopy(config)
    changed["data"]["splits"]["leave_out"] = group
    return assemble(from_record(changed, f"configuration without group {group}"))
