from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.metrics.probabilities import negative_log_likelihood
from experiment_hub.tasks import CLASSIFICATION, NEXT_TOKEN


def compute(outputs: Outputs, targets: Targets) -> float:
    return float(negative_log_likelihood(outputs, targets).mean())


METRIC = MetricDefinition(
    name="loss",
    version=1,
    unit="nat",
    direction="min",
    formula="mean over targets of -ln softmax(outputs)[target]",
    source="Goodfellow, Bengio, Courville: Deep Learning (2016), section 6.2.1",
    aggregation="mean",
    tasks=frozenset({CLASSIFICATION, NEXT_TOKEN}),
    compute=compute,
)
