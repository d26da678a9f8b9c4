"""Paired comparison of two experiments by the rule that the baseline registered beforehand."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from experiment_hub.configuration.schema import DecisionRule
from experiment_hub.errors import ConfigurationError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.metrics.registry import metric
from experiment_hub.tracking.history import FINISHED
from experiment_hub.training.experiment import Experiment
from experiment_hub.training.intervals import Interval, mean_interval
from experiment_hub.training.runner import Progress, RunResult, run_one

Verdict = Literal["better", "worse", "inconclusive"]
MINIMUM_PAIRS = 2


@dataclass(frozen=True)
class Decision:
    decision: Verdict
    reason: str
    rule: DecisionRule
    metric: MetricDefinition
    difference: Interval | None
    """Candidate minus baseline, in the metric's unit; None unless every run finished."""
    pairs: tuple[tuple[RunResult, RunResult], ...]
    """Baseline and candidate of each seed."""


def decide(baseline: Experiment, candidate: Experiment, store: MetadataStore, progress: Progress) -> Decision:
    """Train both with the baseline's seeds, in turn, and apply the rule; raises ConfigurationError."""
    rule = registered_rule(baseline, candidate)
    pairs = tuple(
        (
            run_one(baseline, store, seed, smoke=False, progress=progress),
            run_one(candidate, store, seed, smoke=False, progress=progress),
        )
        for seed in baseline.config.seeds
    )
    return judge(rule, pairs)


def judge(rule: DecisionRule, pairs: Sequence[tuple[RunResult, RunResult]]) -> Decision:
    """The verdict on runs that are already there."""
    definition = metric(rule.metric)
    broken = [run.run for run in itertools.chain(*pairs) if run.state != FINISHED]
    if broken:
        reason = f"not finished: {', '.join(broken)}"
        return Decision("inconclusive", reason, rule, definition, None, tuple(pairs))
    name = f"{rule.split}.{rule.metric}"
    difference = mean_interval([candidate.metrics[name] - baseline.metrics[name] for baseline, candidate in pairs])
    verdict, reason = _verdict(rule, definition, difference)
    return Decision(verdict, reason, rule, definition, difference, tuple(pairs))


def registered_rule(baseline: Experiment, candidate: Experiment) -> DecisionRule:
    """The baseline's rule; raises ConfigurationError when it cannot judge this candidate."""
    rule = baseline.config.decision
    if rule is None:
        raise ConfigurationError(f"baseline {baseline.config.name} registers no decision rule: add `decision`")
    if len(baseline.config.seeds) < MINIMUM_PAIRS:
        raise ConfigurationError(f"baseline {baseline.config.name} has one seed; an interval needs two or more")
    if rule.metric not in candidate.config.metrics:
        raise ConfigurationError(
            f"candidate {candidate.config.name} does not measure {rule.metric}: add it to `metrics`"
        )
    if baseline.config.data != candidate.config.data:
        raise ConfigurationError("baseline and candidate have different `data`: a paired comparison needs the same")
    return rule


def _verdict(rule: DecisionRule, definition: MetricDefinition, difference: Interval) -> tuple[Verdict, str]:
    ends = sorted(definition.improvement(0.0, end) for end in (difference.low, difference.high))
    gain = definition.improvement(0.0, difference.mean)
    if gain >= rule.minimum_effect and ends[0] > 0:
        return "better", "the effect is large enough and its interval excludes zero"
    if -gain >= rule.minimum_effect and ends[1] < 0:
        return "worse", "the candidate loses by the minimum effect and the interval excludes zero"
    if abs(gain) < rule.minimum_effect:
        return "inconclusive", "the mean difference is smaller than the minimum effect"
    return "inconclusive", "the interval of the difference includes zero"


def as_document(decision: Decision) -> dict[str, Any]:
    """The decision as plain data for `--json`."""
    name = f"{decision.rule.split}.{decision.rule.metric}"
    values = [[run.metrics.get(name) for run in side] for side in zip(*decision.pairs, strict=True)]
    difference = decision.difference
    return {
        "decision": decision.decision,
        "reason": decision.reason,
        "metric": name,
        "direction": decision.metric.direction,
        "unit": decision.metric.unit,
        "metric_version": decision.metric.version,
        "minimum_effect": decision.rule.minimum_effect,
        "mean_difference": difference.mean if difference else None,
        "interval": [difference.low, difference.high] if difference else None,
        "seeds": [run.seed for run, _ in decision.pairs],
        "baseline": values[0],
        "candidate": values[1],
        "runs": [
            {"role": role, "run": run.run, "seed": run.seed, "state": run.state}
            for pair in decision.pairs
            for role, run in zip(("baseline", "candidate"), pair, strict=True)
        ],
        "figures": _figures(decision, values),
    }


def _figures(decision: Decision, values: list[list[float | None]]) -> dict[str, float]:
    fixed = {"minimum_effect": decision.rule.minimum_effect, "pairs": float(len(decision.pairs))}
    if decision.difference is None:
        return fixed
    means = [sum(value for value in side if value is not None) / len(side) for side in values]
    return {
        **fixed,
        "mean_difference": decision.difference.mean,
        "mean_improvement": decision.metric.improvement(0.0, decision.difference.mean),
        "interval_low": decision.difference.low,
        "interval_high": decision.difference.high,
        "baseline_mean": means[0],
        "candidate_mean": means[1],
    }
