import numpy as np

from experiment_hub.metrics.definition import MetricDefinition, Outputs, Targets
from experiment_hub.metrics.probabilities import negative_log_likelihood
from experiment_hub.tasks import NEXT_TOKEN


def compute(outputs: Outputs, targets: Targets) -> float:
    with np.errstate(over="ignore"):  # infinity is a figure that the hub reports as such
        return float(np.exp(negative_log_likelihood(outputs, targets).mean()))


METRIC = MetricDefinition(
    name="perplexity",
    version=1,
    unit="tokens",
    direction="min",
    formula="exp(mean over targets of -ln softmax(outputs)[target])",
    source="Jelinek, Mercer, Bahl, Baker: Perplexity (1977)",
    aggregation="mean",
    tasks=frozenset({NEXT_TOKEN}),
    compute=compute,
)
