"""Commands that evaluate, compare and decide; those that only read load no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment_hub.configuration.document import Document, load
from experiment_hub.datasets.splits import FINAL
from experiment_hub.errors import BadInputError
from experiment_hub.evaluation import holdout
from experiment_hub.evaluation.records import evaluation, evaluations
from experiment_hub.evaluation.seeds import over_seeds
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Evaluation
from experiment_hub.output import emit, progress, shown, table
from experiment_hub.tracking.history import FINISHED, one_run
from experiment_hub.tracking.home import find_home

if TYPE_CHECKING:
    from experiment_hub.evaluation.decision import Decision

Document_ = dict[str, Any]
COLUMNS = ("id", "run_id", "dataset", "split", "samples", "created_at")
SUMMARY = ("mean", "deviation", "low", "high", "minimum", "maximum")


@dataclass(frozen=True)
class EvalRequest:
    references: tuple[str, ...]
    split: str
    datasets: tuple[str, ...]
    final: bool
    reason: str | None


def run(request: EvalRequest, home: Path | None, *, as_json: bool) -> None:
    """Every reference on every dataset; a summary over the references where there are several."""
    from experiment_hub.evaluation.evaluate import Request, evaluate

    _refuse_mixed(request)
    place = find_home(home)
    split = FINAL if request.final else request.split
    rows = {
        dataset: [evaluate(place, each, Request(split, dataset, request.reason)) for each in request.references]
        for dataset in request.datasets or (None,)
    }
    found = [row for each in rows.values() for row in each]
    several = len(request.references) > 1
    over = {each[0].dataset: over_seeds(each) for each in rows.values()} if several else {}
    lines = [line for row in found for line in _lines(row)]
    lines += [line for name, summary in over.items() for line in (f"all on {name}:", *_summary_lines(summary))]
    emit({"evaluations": [_document(row) for row in found], "seeds": over}, lines, as_json=as_json)


def leave_one_group_out(references: Sequence[str], home: Path | None, *, as_json: bool) -> None:
    """Exit code 1 when a run did not finish."""
    from experiment_hub.evaluation import groups

    if len(references) != 1:
        raise BadInputError("--leave-one-group-out takes one run")
    store = MetadataStore(find_home(home))
    run_ = one_run(store, references[0])
    if run_.seed is None:
        raise BadInputError(f"run {run_.id} was not made by the hub's own training, so the hub cannot train it again")
    made = groups.leave_one_group_out(run_.config, run_.seed, store, smoke=run_.smoke, progress=progress)
    summary = groups.summary(made)
    rows = [{"group": each.group, **asdict(each.result)} for each in made]
    cells = [(each.group, each.result.run, each.result.state) for each in made]
    lines = [*table(("group", "run", "state"), cells), *_summary_lines(summary)]
    emit({"groups": rows, "summary": summary}, lines, as_json=as_json)
    if any(each.result.state != FINISHED for each in made):
        raise SystemExit(1)


def show_all(reference: str | None, home: Path | None, *, as_json: bool) -> None:
    store = MetadataStore(find_home(home))
    rows = [_document(row) for row in evaluations(store.engine, reference)]
    emit({"evaluations": rows}, table(COLUMNS, ([row[key] for key in COLUMNS] for row in rows)), as_json=as_json)


def show(evaluation_id: str, home: Path | None, *, as_json: bool) -> None:
    row = evaluation(MetadataStore(find_home(home)).engine, evaluation_id)
    emit(_document(row), _lines(row), as_json=as_json)


def final_uses(home: Path | None, *, as_json: bool) -> None:
    rows = [
        {column.key: getattr(use, column.key) for column in use.__table__.columns}
        for use in holdout.uses(MetadataStore(find_home(home)).engine)
    ]
    header = ("id", "evaluation_id", "actor", "at", "reason")
    emit({"uses": rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a configuration and the overrides that hold for it alone."""

    config: str
    assignments: tuple[str, ...] = ()

    def load(self) -> Document:
        return load(self.config, assignments=self.assignments)


def decide(baseline: Side, candidates: Sequence[Side], home: Path | None, *, as_json: bool) -> None:
    """Exit code 0 when a candidate is better, 1 otherwise."""
    from experiment_hub.evaluation import decision
    from experiment_hub.training.experiment import assemble

    first, *others = (assemble(side.load()) for side in (baseline, *candidates))
    for other in others:
        decision.registered_rule(first, other)  # before a home is touched
    made = decision.decide(first, others, MetadataStore(find_home(home)), progress)
    documents = [decision.as_document(each) for each in made]
    lines = [line for each, document in zip(made, documents, strict=True) for line in _decision_lines(each, document)]
    verdicts = {each.decision for each in made}
    overall = "better" if "better" in verdicts else "worse" if verdicts == {"worse"} else "inconclusive"
    if len(made) == 1:
        emit(documents[0], lines, as_json=as_json)
    else:
        named = [{"config": side.config, **document} for side, document in zip(candidates, documents, strict=True)]
        told = {"correction": "Holm", "family": made[0].family, "candidates": named}
        emit({"decision": overall, **told}, lines, as_json=as_json)
    if overall != "better":
        raise SystemExit(1)


def _refuse_mixed(request: EvalRequest) -> None:
    if request.final and not request.reason:
        raise BadInputError("--final needs --reason: each look at the hidden split is counted and explained")
    if request.final and len(request.references) * max(1, len(request.datasets)) > 1:
        raise BadInputError("--final takes one model and one dataset: choose the model on the other splits first")
    if not request.final and request.split == FINAL:
        raise BadInputError("the final split is hidden: --final --reason REASON uses it, and the use is counted")


def _document(row: Evaluation) -> Document_:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _lines(row: Evaluation) -> list[str]:
    figures = ((name, each["value"], each["low"], each["high"]) for name, each in row.metrics.items())
    parts = [
        (f"{column} {value}", part["samples"], _figures(part["metrics"]))
        for column, found in row.details["slices"].items()
        for value, part in (found["parts"] or {}).items()
    ]
    interval = row.details["interval"]
    return [
        f"{row.id}: {row.digest} on {row.dataset}, {row.split}, {row.samples} samples",
        *table(("metric", "value", "low", "high"), figures),
        f"intervals: {interval['method']} over {interval['units']} of unit {interval['unit']}"
        + (", too few to be more than rough" if interval["rough"] else ""),
        f"samples seen in training: {row.details['training_overlap']}",
        *(table(("slice", "samples", "metrics"), parts) if parts else []),
    ]


def _figures(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())


def _summary_lines(summary: Document_) -> list[str]:
    rows = ((name, each["count"], *(each[key] for key in SUMMARY)) for name, each in summary.items())
    return table(("metric", "count", *SUMMARY), rows)


def _decision_lines(made: "Decision", document: Document_) -> list[str]:
    seeds = zip(document["seeds"], document["baseline"], document["candidate"], strict=True)
    ends = document["interval"]
    told = " to ".join(map(shown, ends)) if ends else "-"
    corrected = [] if made.adjusted_p_value is None else [f"adjusted p-value {shown(made.adjusted_p_value)}"]
    return [
        f"{made.decision}: {made.reason}",
        *table(("seed", "baseline", "candidate"), seeds),
        f"difference {shown(document['mean_difference'])}, 95 % interval {told}",
        *corrected,
    ]
