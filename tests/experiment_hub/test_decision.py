import pytest

from experiment_hub.configuration.schema import DecisionRule
from experiment_hub.evaluation.decision import as_document, judge
from experiment_hub.evaluation.intervals import mean_interval, student_cdf, student_quantile
from experiment_hub.training.runner import RunResult


def result(value: float, state: str = "finished") -> RunResult:
    metrics = {"val.accuracy": value, "val.loss": value} if state == "finished" else {}
    return RunResult(f"r-{value}", state, 0, metrics, 1.0, {"trainable": 1, "total": 1}, "", None)


def verdict(metric: str, minimum: float, pairs: list[tuple[float, float]]) -> str:
    rule = DecisionRule(metric=metric, split="val", minimum_effect=minimum)
    return judge(rule, [(result(baseline), result(candidate)) for baseline, candidate in pairs]).decision


@pytest.mark.parametrize(
    ("freedom", "expected"),  # printed tables of Student's t, two-sided 95 %
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (5, 2.57058), (9, 2.26216), (30, 2.04227), (120, 1.97993)],
)
def test_quantiles_are_those_of_the_tables(freedom: int, expected: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(expected, rel=3e-6)
    assert student_cdf(expected, freedom) == pytest.approx(0.975, abs=1e-6)
    assert student_cdf(-expected, freedom) == pytest.approx(0.025, abs=1e-6)


def test_an_interval_worked_out_by_hand() -> None:
    found = mean_interval([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2 - 2.48414, 2 + 2.48414), rel=1e-5)
    assert mean_interval([0.5, 0.5]).low == 0.5


CLEAR = [(0.5, 0.61), (0.6, 0.70), (0.7, 0.79)]


@pytest.mark.parametrize(
    ("metric", "minimum", "pairs", "expected"),
    [
        ("accuracy", 0.05, CLEAR, "better"),
        ("loss", 0.05, CLEAR, "worse"),
        ("accuracy", 0.05, [(right, left) for left, right in CLEAR], "worse"),
        ("loss", 0.05, [(right, left) for left, right in CLEAR], "better"),
        ("accuracy", 0.2, CLEAR, "inconclusive"),
        ("accuracy", 0.05, [(0.5, 0.9), (0.5, 0.5), (0.5, 0.4)], "inconclusive"),
        ("accuracy", 0.0, [(0.5, 0.5), (0.6, 0.6)], "inconclusive"),
        ("accuracy", 0.25, [(0.5, 0.75), (0.25, 0.5)], "better"),
    ],
)
def test_the_rule(metric: str, minimum: float, pairs: list[tuple[float, float]], expected: str) -> None:
    assert verdict(metric, minimum, pairs) == expected


def test_a_run_that_did_not_finish_decides_nothing() -> None:
    rule = DecisionRule(metric="loss", split="val", minimum_effect=0.1)
    made = judge(rule, [(result(1.0), result(0.1)), (result(1.0), result(0.2, state="nan"))])
    document = as_document(made)
    assert (document["decision"], document["interval"]) == ("inconclusive", None)
    assert document["reason"] == "not finished: r-0.2"
    assert document["candidate"] == [0.1, None]
