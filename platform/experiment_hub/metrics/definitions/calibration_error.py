from experiment_hub.metrics.calibration import reliability
from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.tasks import CLASSIFICATION, NEXT_TOKEN


def compute(outputs: Outputs, targets: Targets) -> float:
    return reliability(outputs, targets).expected_error()


METRIC = MetricDefinition(
    name="calibration_error",
    version=1,
    unit="fraction",
    direction="min",
    formula="sum over 15 bins of equal width of (share of the bin) * |accuracy - mean probability of the prediction|",
    source="Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (2017), equation 3",
    aggregation="mean",
    tasks=frozenset({CLASSIFICATION, NEXT_TOKEN}),
    compute=compute,
)
