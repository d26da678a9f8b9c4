"""Statistics against values worked out by hand, printed tables and simulations with a known truth."""

import numpy as np
import pytest

from experiment_hub.configuration.schema import DecisionRule
from experiment_hub.errors import BadInputError
from experiment_hub.evaluation.bootstrap import intervals, resamples, units
from experiment_hub.evaluation.correction import holm
from experiment_hub.evaluation.decision import as_document, corrected, judge
from experiment_hub.evaluation.intervals import mean_interval, paired_p_value
from experiment_hub.evaluation.seeds import over_seeds, summaries
from experiment_hub.metadata.tables import Evaluation
from experiment_hub.metrics.calibration import reliability
from experiment_hub.metrics.registry import metric
from experiment_hub.training.runner import RunResult

OUTPUTS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]))
TARGETS = np.array([0, 1, 1, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("balanced_accuracy", (1 + 1 / 3) / 2),  # class 0: 1 of 1; class 1: 1 of 3; class 2 does not occur
        ("macro_f1", (2 / 3 + 2 / 4 + 0) / 3),  # class 2 was predicted once, wrongly
        ("calibration_error", (0.3 + 0.2 + 0.6 + 0.6) / 4),  # 0.7 and 0.8 right, both of 0.6 wrong, each bin on its own
    ],
)
def test_metrics_worked_out_by_hand(name: str, expected: float) -> None:
    assert metric(name).compute(OUTPUTS, TARGETS) == pytest.approx(expected, rel=1e-12)


def test_reliability_counts_every_prediction_and_forgives_honest_ones() -> None:
    rng = np.random.default_rng(0)
    sureness = rng.uniform(0.5, 1.0, 20_000)
    outputs = np.log(np.stack([sureness, 1 - sureness], axis=1))
    honest = (rng.random(20_000) > sureness).astype(np.int64)
    found = reliability(outputs, honest)
    assert found.counts.sum() == 20_000
    assert found.expected_error() < 0.02
    always_wrong = np.ones(20_000, dtype=np.int64)
    assert reliability(outputs, always_wrong).expected_error() == pytest.approx(sureness.mean(), abs=1e-9)


def test_certainty_falls_into_the_last_bin() -> None:
    found = reliability(np.array([[1e4, 0.0], [0.0, 0.0]]), np.array([0, 0]))
    assert (found.counts[-1], found.counts.sum()) == (1, 2)


@pytest.mark.slow
@pytest.mark.integrations
def test_scikit_learn_says_the_same() -> None:
    measures = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    outputs, targets = rng.standard_normal((500, 7)), rng.integers(0, 7, 500)
    predicted = outputs.argmax(axis=1)
    f1 = measures.f1_score(targets, predicted, average="macro")
    balanced = measures.balanced_accuracy_score(targets, predicted)
    assert metric("macro_f1").compute(outputs, targets) == pytest.approx(f1, rel=1e-12)
    assert metric("balanced_accuracy").compute(outputs, targets) == pytest.approx(balanced, rel=1e-12)


@pytest.mark.integrations
def test_scipy_says_the_same_about_pairs() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    for count in (2, 3, 5, 12):
        values = rng.normal(0.4, 1.0, count).tolist()
        assert paired_p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)


def test_holm_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_a_p_value_and_its_interval_agree() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        values = rng.normal(0.8, 1.0, 4).tolist()
        interval = mean_interval(values)
        assert (interval.low > 0 or interval.high < 0) == (paired_p_value(values) < 0.05)
    assert (paired_p_value([0.0, 0.0]), paired_p_value([0.1, 0.1])) == (1.0, 0.0)


def result(value: float) -> RunResult:
    return RunResult(f"r-{value}", "finished", 0, {"val.accuracy": value}, 1.0, {"trainable": 1, "total": 1}, "", None)


def pairs(*differences: float) -> list[tuple[RunResult, RunResult]]:
    return [(result(0.5), result(0.5 + difference)) for difference in differences]


def test_a_lucky_candidate_among_many_is_not_better() -> None:
    rule = DecisionRule(metric="accuracy", split="val", minimum_effect=0.01)
    lucky = pairs(0.03, 0.05, 0.08, 0.04)
    alone = judge(rule, lucky)
    assert (alone.decision, corrected([alone])[0]) == ("better", alone)
    assert "adjusted_p_value" not in as_document(alone)
    others = [judge(rule, pairs(0.05, -0.04, 0.03, -0.05)) for _ in range(9)]
    first, *rest = corrected([alone, *others])
    assert (first.decision, first.family) == ("inconclusive", 10)
    assert "Holm's correction for 10 comparisons" in first.reason
    assert as_document(first)["adjusted_p_value"] == pytest.approx(10 * as_document(first)["p_value"])
    assert {each.decision for each in rest} == {"inconclusive"}
    strong = judge(rule, pairs(0.100, 0.101, 0.099, 0.1005))
    assert corrected([strong, *others])[0].decision == "better"


def test_correction_never_turns_worse_into_better() -> None:
    rule = DecisionRule(metric="accuracy", split="val", minimum_effect=0.01)
    decisions = corrected([judge(rule, pairs(-0.1, -0.101, -0.099)), judge(rule, pairs(0.1, 0.101, 0.099))])
    assert [each.decision for each in decisions] == ["worse", "better"]


def test_no_difference_is_seldom_called_one() -> None:
    """Twenty candidates that are all the same: at most 5 % of the families may hold a verdict."""
    rule = DecisionRule(metric="accuracy", split="val", minimum_effect=0.0)
    rng = np.random.default_rng(4)
    families = [corrected([judge(rule, pairs(*rng.normal(0, 0.1, 5).tolist())) for _ in range(20)]) for _ in range(60)]
    wrong = [family for family in families if any(each.decision != "inconclusive" for each in family)]
    assert len(wrong) / len(families) < 0.12


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    accuracy = metric("accuracy")
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(25):
        right = rng.random(80) < 0.7
        outputs = np.stack([right.astype(float), 1 - right], axis=1)
        ends = intervals([accuracy], outputs, np.zeros(80, dtype=np.int64), drawn=units(80, None), seed=seed)
        held += ends["accuracy"][0] <= 0.7 <= ends["accuracy"][1]
    assert held >= 21


def test_a_figure_that_grows_with_repeated_samples_stays_inside_its_interval() -> None:
    rng = np.random.default_rng(7)
    sureness = rng.uniform(0.5, 1.0, 150)
    outputs = np.log(np.stack([sureness, 1 - sureness], axis=1))
    targets = (rng.random(150) > sureness).astype(np.int64)
    calibration = metric("calibration_error")
    low, high = intervals([calibration], outputs, targets, drawn=units(150, None), seed=1)["calibration_error"]
    assert low <= calibration.compute(outputs, targets) <= high
    assert low < high


def test_groups_are_drawn_whole_and_widen_the_interval() -> None:
    accuracy = metric("accuracy")
    rng = np.random.default_rng(6)
    right = np.repeat(rng.random(20) < 0.5, 30).astype(float)
    outputs, targets = np.stack([right, 1 - right], axis=1), np.zeros(600, dtype=np.int64)
    groups = [f"g{number}" for number in np.repeat(np.arange(20), 30)]
    ends = [
        intervals([accuracy], outputs, targets, drawn=units(600, each), seed=1)["accuracy"] for each in (None, groups)
    ]
    widths = [high - low for low, high in ends]
    assert widths[1] > 3 * widths[0]
    again = intervals([accuracy], outputs, targets, drawn=units(600, groups), seed=1)["accuracy"]
    assert again == ends[1]
    assert intervals([accuracy], outputs, targets, drawn=units(600, ["g"] * 600), seed=1) == {}
    assert sorted(np.concatenate(units(600, groups)).tolist()) == list(range(600))


def test_large_outputs_are_drawn_less_often_but_never_seldom() -> None:
    assert [resamples(np.empty(shape)) for shape in ((10, 3), (40_000, 10), (1_000_000, 3))] == [1000, 250, 200]


def row(digest: str, value: float, split: str = "s") -> Evaluation:
    return Evaluation(digest=digest, split_hash=split, metrics={"accuracy": {"value": value}})


def test_several_seeds_become_mean_deviation_and_interval() -> None:
    found = over_seeds([row("a", 1.0), row("b", 2.0), row("c", 3.0)])["accuracy"]
    assert (found["mean"], found["deviation"], found["minimum"], found["maximum"]) == (2.0, 1.0, 1.0, 3.0)
    assert (found["low"], found["high"]) == pytest.approx((2 - 2.48414, 2 + 2.48414), rel=1e-5)
    assert summaries({"x": [1.0]})["x"]["deviation"] is None
    with pytest.raises(BadInputError, match="different splits"):
        over_seeds([row("a", 1.0), row("b", 2.0, "t")])
    with pytest.raises(BadInputError, match="a seed counts once"):
        over_seeds([row("a", 1.0), row("a", 1.0)])
