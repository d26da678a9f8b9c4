"""Cases of the gate `metrics`."""

from __future__ import annotations

from gates.example import Example

FOLDER = "hub/metrics/definitions"
ACCURACY = f"{FOLDER}/accuracy.py"
ONE, TWO = "hub/migrations/versions/v0001.py", "hub/migrations/versions/v0002.py"
TEXT = '''"""Accuracy."""
import numpy as np

from hub.metrics.definition import MetricDefinition

EPSILON = 0.0


def hits(outputs, targets):
    """Where the largest output is the target's."""
    return outputs.argmax(axis=1) == targets


def compute(outputs, targets):
    return float(np.mean(hits(outputs, targets)) + EPSILON)


METRIC = MetricDefinition(
    name="top_accuracy",
    version=2,
    unit="fraction",
    direction="max",
    source="Bishop (2006)",
    compute=compute,
)
'''
PAIR = """from hub.metrics.definition import MetricDefinition


def low(values):
    return min(values)


def high(values):
    return max(values)


METRICS = [MetricDefinition(name="low", version=1, compute=low), MetricDefinition(name="high", version=1, compute=high)]
"""
LOG = "# Changes\n\n- the first version of top_accuracy\n"
BASE = {ACCURACY: TEXT, ONE: "revision = '0001'\n", "CHANGELOG.md": LOG}
RECORDS = {TWO: "revision = '0002'\n", "CHANGELOG.md": f"{LOG}- Top accuracy counts ties as hits\n"}
CHANGED = TEXT.replace("argmax(axis=1)", "argmax(axis=-1)")
RAISED = CHANGED.replace("version=2", "version=3")
ALL = ("metrics.changelog", "metrics.migration", "metrics.version")

CASES = (
    Example(name="another formula and nothing else", base=BASE, change={ACCURACY: CHANGED}, expects=ALL),
    Example(
        name="another formula with its records, under the old version",
        base=BASE,
        change={ACCURACY: CHANGED, **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a new version without a migration",
        base=BASE,
        change={ACCURACY: RAISED, "CHANGELOG.md": RECORDS["CHANGELOG.md"]},
        expects=("metrics.migration",),
    ),
    Example(
        name="a new version without a changelog line",
        base=BASE,
        change={ACCURACY: RAISED, TWO: RECORDS[TWO]},
        expects=("metrics.changelog",),
    ),
    Example(
        name="a changelog line about something else",
        base=BASE,
        change={ACCURACY: RAISED, TWO: RECORDS[TWO], "CHANGELOG.md": f"{LOG}- desktop_accuracy_2 is faster\n"},
        expects=("metrics.changelog",),
    ),
    Example(
        name="an old changelog line moved instead of a new one",
        base=BASE,
        change={
            ACCURACY: RAISED,
            TWO: RECORDS[TWO],
            "CHANGELOG.md": "# Changes\n- the first version of top_accuracy\n",
        },
        expects=("metrics.changelog",),
    ),
    Example(
        name="an empty file for a migration",
        base=BASE,
        change={ACCURACY: RAISED, **RECORDS, TWO: "\n", "hub/migrations/versions/__init__.py": "x = 1\n"},
        expects=("metrics.migration",),
    ),
    Example(
        name="an existing migration edited in place of a new one",
        base=BASE,
        change={ACCURACY: RAISED, "CHANGELOG.md": RECORDS["CHANGELOG.md"], ONE: "revision = '0001'\n# accuracy\n"},
        expects=("metrics.migration",),
    ),
    Example(
        name="a constant that the formula uses",
        base=BASE,
        change={ACCURACY: TEXT.replace("EPSILON = 0.0", "EPSILON = 0.1"), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a function that the formula uses, replaced below it",
        base=BASE,
        change={ACCURACY: TEXT.replace("METRIC =", "hits = lambda outputs, targets: True\nMETRIC ="), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a definition replaced after it was made",
        base=BASE,
        change={ACCURACY: f"{TEXT}METRIC = METRIC.with_compute(lambda outputs, targets: 1.0)\n", **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="the formula imported from elsewhere under the same name",
        base=BASE,
        change={ACCURACY: TEXT.replace("import numpy as np", "import hub.other as np"), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="names imported over those of the formula",
        base=BASE,
        change={ACCURACY: TEXT.replace("METRIC =", "from hub.other import *\n\nMETRIC ="), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a direction turned round",
        base=BASE,
        change={ACCURACY: TEXT.replace('"max"', '"min"'), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="another unit",
        base=BASE,
        change={ACCURACY: TEXT.replace('"fraction"', '"percent"'), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a version lowered",
        base=BASE,
        change={ACCURACY: CHANGED.replace("version=2", "version=1"), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(
        name="a version lowered and nothing else",
        base=BASE,
        change={ACCURACY: TEXT.replace("version=2", "version=1")},
        expects=("metrics.version",),
    ),
    Example(
        name="a version that is computed",
        base=BASE,
        change={ACCURACY: CHANGED.replace("version=2", "version=int('3')"), **RECORDS},
        expects=("metrics.version",),
    ),
    Example(name="a metric deleted", base=BASE, change={ACCURACY: None}, expects=("metrics.removed",)),
    Example(
        name="a metric renamed",
        base=BASE,
        change={ACCURACY: RAISED.replace("top_accuracy", "accuracy"), **RECORDS},
        expects=("metrics.removed",),
    ),
    Example(
        name="a metric moved to where nobody finds it",
        base=BASE,
        change={ACCURACY: None, "hub/metrics/attic/accuracy.py": TEXT},
        expects=("metrics.removed",),
    ),
    Example(
        name="one of two metrics in a file",
        base={**BASE, f"{FOLDER}/pair.py": PAIR},
        change={f"{FOLDER}/pair.py": PAIR.replace("return max(values)", "return max(values) + 1")},
        expects=ALL,
    ),
    Example(
        name="a metric that is a class",
        base={
            f"{FOLDER}/gap.py": 'class Gap:\n    name = "gap"\n    version = 1\n\n    def compute(self, a, b):\n        return a - b\n'
        },
        change={
            f"{FOLDER}/gap.py": 'class Gap:\n    name = "gap"\n    version = 1\n\n    def compute(self, a, b):\n        return b - a\n'
        },
        expects=("metrics.changelog", "metrics.version"),
    ),
    Example(
        name="a metric that is a file with a constant",
        base={f"{FOLDER}/gap.py": "VERSION = 1\n\n\ndef gap(a, b):\n    return a - b\n"},
        change={f"{FOLDER}/gap.py": "VERSION = 1\n\n\ndef gap(a, b):\n    return abs(a - b)\n"},
        expects=("metrics.changelog", "metrics.version"),
    ),
    Example(name="another formula with all that belongs to it", base=BASE, change={ACCURACY: RAISED, **RECORDS}),
    Example(
        name="another formula where there are no migrations",
        base={ACCURACY: TEXT},
        change={ACCURACY: RAISED, "CHANGELOG.md": RECORDS["CHANGELOG.md"]},
    ),
    Example(name="a new metric", base=BASE, change={f"{FOLDER}/pair.py": PAIR}),
    Example(
        name="a new metric beside others in a file",
        base={**BASE, f"{FOLDER}/pair.py": PAIR},
        change={
            f"{FOLDER}/pair.py": PAIR.replace(
                "METRICS = [", 'METRICS = [MetricDefinition(name="sum", version=1, compute=sum), '
            )
        },
    ),
    Example(
        name="comments, docstrings, types and a source",
        base=BASE,
        change={
            ACCURACY: TEXT.replace("(outputs, targets):", "(outputs: object, targets: object) -> object:  # plain")
            .replace("Where the largest", "True where the largest")
            .replace("(2006)", "(2006), section 1.5.1")
        },
    ),
    Example(
        name="formatted anew, and its parts in another order",
        base=BASE,
        change={
            ACCURACY: TEXT.replace("EPSILON = 0.0\n\n\n", "").replace("METRIC =", "EPSILON = (\n    0.0\n)\nMETRIC =")
        },
    ),
    Example(
        name="a definition's file renamed",
        base=BASE,
        change={ACCURACY: None, f"{FOLDER}/top.py": TEXT},
    ),
    Example(
        name="something new in the file that the metric does not use",
        base=BASE,
        change={ACCURACY: TEXT.replace("METRIC =", "def shown(value):\n    return str(value)\n\n\nMETRIC =")},
    ),
    Example(
        name="a version raised for a reason that stands elsewhere",
        base=BASE,
        change={ACCURACY: TEXT.replace("version=2", "version=3")},
    ),
    Example(
        name="helpers that define nothing",
        base={f"{FOLDER}/tools.py": "def mean(values):\n    return sum(values) / len(values)\n"},
        change={f"{FOLDER}/tools.py": "def mean(values):\n    return sum(values) / max(1, len(values))\n"},
    ),
    Example(
        name="a file that is no Python any more, which is another gate's finding",
        base=BASE,
        change={ACCURACY: f"{TEXT}\ndef (\n"},
    ),
)
