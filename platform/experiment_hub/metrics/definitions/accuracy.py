from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.tasks import CLASSIFICATION, NEXT_TOKEN


def compute(outputs: Outputs, targets: Targets) -> float:
    return float((outputs.argmax(axis=1) == targets).mean())


METRIC = MetricDefinition(
    name="accuracy",
    version=1,
    unit="fraction",
    direction="max",
    formula="mean over targets of [argmax(outputs) = target]; the first of equal maxima counts",
    source="Bishop: Pattern Recognition and Machine Learning (2006), section 1.5.1",
    aggregation="mean",
    tasks=frozenset({CLASSIFICATION, NEXT_TOKEN}),
    compute=compute,
)
