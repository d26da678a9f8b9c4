"""What differs between two recorded runs: configuration, code, data and metrics."""

from typing import Any

from experiment_hub.configuration.document import differences
from experiment_hub.metrics.registry import metrics

IDENTITY = ("seed", "source_hash", "git_commit", "dataset_hash", "parameters_total")


def compare(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two runs as `history.describe` gives them; verdicts speak about the second one."""
    names = sorted({*one["metrics"], *other["metrics"]})
    return {
        "a": one["run"],
        "b": other["run"],
        "states": [one["state"], other["state"]],
        "identity": {key: [one[key], other[key]] for key in IDENTITY if one[key] != other[key]},
        "config": {key: list(pair) for key, pair in differences(one["config"], other["config"]).items()},
        "metrics": {name: _metric(name, one, other) for name in names},
    }


def _metric(name: str, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    left, right = one["metrics"].get(name), other["metrics"].get(name)
    metric = name.partition(".")[2]
    versions = [side["metric_versions"].get(metric) for side in (one, other)]
    comparable = left is not None and right is not None and versions[0] == versions[1]
    return {
        "a": left,
        "b": right,
        "difference": right - left if left is not None and right is not None and comparable else None,
        "verdict": _verdict(metric, left, right) if comparable else "not comparable",
    }


def _verdict(metric: str, left: Any, right: Any) -> str:
    """better, worse or equal; `unknown` for a metric whose direction nobody registered."""
    if left == right:
        return "equal"
    if metric not in metrics():
        return "unknown"
    return "better" if metrics()[metric].item.improvement(left, right) > 0 else "worse"
