"""Paired comparison of two experiments by the rule that the baseline registered beforehand."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from experiment_hub.configuration.schema import DecisionRule
from experiment_hub.errors import ConfigurationError
from experiment_hub.evaluation.correction import holm
from experiment_hub.evaluation.intervals import CONFIDENCE, Interval, mean_interval, paired_p_value
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.metrics.registry import metric
from experiment_hub.tracking.history import FINISHED
from experiment_hub.training.experiment import Experiment
from experiment_hub.training.progress import Say
from experiment_hub.training.runner import RunResult, run_one

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
    p_value: float | None = None
    """Of the paired t-test; None unless every run finished."""
    adjusted_p_value: float | None = None
    family: int = 1
    """Comparisons that were corrected for; above 1 the adjusted p-value is there as well."""


def decide(
    baseline: Experiment, candidates: Sequence[Experiment], store: MetadataStore, progress: Say
) -> list[Decision]:
    """Train all with the baseline's seeds, in turn, and apply the rule to each; raises ConfigurationError."""
    rules = [registered_rule(baseline, candidate) for candidate in candidates]
    rounds = [
        [run_one(each, store, seed, smoke=False, progress=progress) for each in (baseline, *candidates)]
        for seed in baseline.config.seeds
    ]
    pairs = [[(runs[0], runs[index]) for runs in rounds] for index in range(1, len(candidates) + 1)]
    return corrected([judge(rule, each) for rule, each in zip(rules, pairs, strict=True)])


def corrected(decisions: Sequence[Decision]) -> list[Decision]:
    """Of several candidates against one baseline: a verdict stands only if Holm's adjusted p-value is below 0.05.

    The family is all candidates of this comparison that could be measured. One candidate needs no correction: its
    interval excludes zero exactly if its p-value is below 0.05.
    """
    judged = [each for each in decisions if each.p_value is not None]
    adjusted = dict(
        zip(map(id, judged), holm([each.p_value for each in judged if each.p_value is not None]), strict=True)
    )
    return [_corrected(each, adjusted.get(id(each)), len(judged)) for each in decisions]


def _corrected(decision: Decision, adjusted: float | None, family: int) -> Decision:
    if adjusted is None or family == 1:
        return decision
    made = replace(decision, adjusted_p_value=adjusted, family=family)
    if made.decision == "inconclusive" or adjusted < 1 - CONFIDENCE:
        return made
    reason = f"not significant after Holm's correction for {family} comparisons"
    return replace(made, decision="inconclusive", reason=reason)


def judge(rule: DecisionRule, pairs: Sequence[tuple[RunResult, RunResult]]) -> Decision:
    """The verdict on runs that are already there."""
    definition = metric(rule.metric)
    broken = [run.run for run in itertools.chain(*pairs) if run.state != FINISHED]
    if broken:
        reason = f"not finished: {', '.join(broken)}"
        return Decision("inconclusive", reason, rule, definition, None, tuple(pairs))
    name = f"{rule.split}.{rule.metric}"
    differences = [candidate.metrics[name] - baseline.metrics[name] for baseline, candidate in pairs]
    difference = mean_interval(differences)
    verdict, reason = _verdict(rule, definition, difference)
    return Decision(verdict, reason, rule, definition, difference, tuple(pairs), paired_p_value(differences))


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
    """The decision as plain data for `--json`; p-values only where there were several candidates."""
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
        **_correction(decision),
    }


def _correction(decision: Decision) -> dict[str, Any]:
    if decision.adjusted_p_value is None:
        return {}
    return {"p_value": decision.p_value, "adjusted_p_value": decision.adjusted_p_value, "family": decision.family}


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
