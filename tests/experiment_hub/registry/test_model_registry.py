"""Registered models: what was evaluated is what is promoted, and every move can be taken back."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from experiment_hub.artifacts.catalog import Catalog, catalog
from experiment_hub.artifacts.retention import collect
from experiment_hub.errors import (
    BadInputError,
    ConflictError,
    CorruptError,
    HubError,
    NotAllowedError,
    UnknownNameError,
)
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Evaluation, ModelEvent, ModelVersion, Run
from experiment_hub.registry import models, moves
from experiment_hub.registry.gate import Grounds
from experiment_hub.registry.models import Candidate

NOW = "2026-01-01T00:00:00.000+00:00"
TRUST = Grounds(without_evaluation=True, reason="a test")


def store(known: Catalog, folder: Path, content: str, *, run: str = "r-1", **facts: Any) -> str:
    """A model's folder as training writes it; gives its digest."""
    made = folder / f"made-{content}"
    made.mkdir()
    (made / "weights").write_text(content)
    (made / "model.json").write_text(json.dumps({"format": 1, "type": "x", **facts}))
    return known.log(("run", run), f"model {content}", made, role="model").digest


def evaluated(known: Catalog, digest: str, *, name: str = "e-1", **metrics: float | None) -> str:
    figures = {metric: {"value": value, "version": 1} for metric, value in metrics.items()}
    row = Evaluation(
        id=name, digest=digest, dataset="blobs", dataset_hash="d", split="test", split_hash="s", samples=9,
        metrics=figures, details={}, outputs_hash="o", created_at=f"{NOW}{name}",
    )  # fmt: skip
    with writing(known.engine) as session:
        session.add(row)
    return name


def add_run(known: Catalog, run_id: str) -> None:
    row = Run(
        id=run_id, name="x", state="finished", seed=3, smoke=False, config={"learning_rate": 0.5}, overrides={},
        folder="x", created_at=NOW, host="h", pid=1, process_started=0.0, resumes=[],
        dataset_hash="d-hash", git_commit="c0ffee", source_hash="s-hash",
    )  # fmt: skip
    with writing(known.engine) as session:
        session.add(row)


def registered(known: Catalog, folder: Path, *contents: str) -> list[ModelVersion]:
    digests = [store(known, folder, content) for content in contents]
    return [models.register(known, "m", Candidate(digest, None), actor="ada") for digest in digests]


def promote(known: Catalog, version: int, stage: str = "production", grounds: Grounds = TRUST) -> moves.Moved:
    return moves.promote(known, "m", version, stage=stage, grounds=grounds, actor="ada")


def rollback(known: Catalog, subject: str = "production") -> moves.Moved:
    return moves.rollback(known, "m", subject=subject, reason=None, actor="ada")


def stages(known: Catalog) -> list[str]:
    return [version.stage for version in models.versions(known)]


def damage(known: Catalog, digest: str) -> None:
    name = digest.removeprefix("sha256:")
    path = known.home / "artifacts" / "objects" / name[:2] / name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_versions_count_from_one_and_know_where_they_came_from(any_home: Path, tmp_path: Path) -> None:
    known = catalog(any_home)
    add_run(known, "r-1")
    digest = store(known, tmp_path, "a", task="classification")
    first = models.register(known, "ünï/model ✓", Candidate(digest, "r-1", "note", "words"), actor="ada")
    assert (first.version, first.stage, first.digest, first.notes) == (1, "none", digest, "note")
    assert (first.run_id, first.dataset_hash, first.git_commit) == ("r-1", "d-hash", "c0ffee")
    assert first.facts["task"] == "classification"
    other = models.register(known, "ünï/model ✓", Candidate(store(known, tmp_path, "b"), None), actor="ada")
    assert (other.version, other.run_id) == (2, None)
    found = models.history(known, "ünï/model ✓")
    assert (found.model.description, [each.version for each in found.versions]) == ("words", [1, 2])
    assert found.runs["r-1"].config == {"learning_rate": 0.5}
    assert [(event.kind, event.after, event.actor) for event in found.events] == [
        ("registered", 1, "ada"),
        ("registered", 2, "ada"),
    ]


def test_the_same_content_is_registered_once_in_a_model(known: Catalog, tmp_path: Path) -> None:
    [version] = registered(known, tmp_path, "a")
    with pytest.raises(ConflictError, match="already is version 1 of model 'm'"):
        models.register(known, "m", Candidate(version.digest, None), actor="ada")
    assert models.register(known, "other", Candidate(version.digest, None), actor="ada").version == 1


def test_a_runs_model_is_found_and_its_run_by_the_hubs_own_record(known: Catalog, tmp_path: Path) -> None:
    add_run(known, "r-1")
    digest = store(known, tmp_path, "a", facts={"run": "r-forged"})
    assert models.of_run(known, "r-1") == digest
    assert models.run_of(known, digest) == "r-1"
    store(known, tmp_path, "b")
    with pytest.raises(BadInputError, match="several models, choose one"):
        models.of_run(known, "r-1")
    with pytest.raises(BadInputError, match="left no model"):
        models.of_run(known, "r-2")


def test_a_broken_description_is_refused(known: Catalog, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for text in ("[]", "{}", '{"format": 2}', "{", '{"format": 1, "x": NaN}', "[" * 100_000, "\ud800"):
        (tmp_path / "made" / "model.json").write_bytes(text.encode(errors="surrogatepass"))
        digest = known.log(("run", "r-1"), "model", tmp_path / "made").digest
        with pytest.raises(BadInputError, match=r"model\.json of sha256"):
            models.register(known, "m", Candidate(digest, None), actor="ada")
    assert models.models(known) == []


def test_a_damaged_model_is_neither_registered_nor_promoted_nor_brought_back(known: Catalog, tmp_path: Path) -> None:
    first, _second = registered(known, tmp_path, "a", "b")
    promote(known, 1)
    promote(known, 2)
    weights = next(entry.digest for entry in known.entries(first.digest) if entry.path == "weights")
    damage(known, weights)
    with pytest.raises(CorruptError):
        rollback(known)
    assert stages(known) == ["none", "production"]
    with pytest.raises(CorruptError):
        promote(known, 1)
    with pytest.raises(CorruptError):
        models.register(known, "n", Candidate(first.digest, None), actor="ada")
    with pytest.raises(CorruptError):
        models.fetch(known, "m@1", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_only_what_was_evaluated_goes_to_production(known: Catalog, tmp_path: Path) -> None:
    first, second = registered(known, tmp_path, "a", "b")
    with pytest.raises(NotAllowedError, match="version 1 of model 'm' was never evaluated"):
        promote(known, 1, grounds=Grounds())
    evaluated(known, second.digest, name="e-other", accuracy=1.0)
    with pytest.raises(NotAllowedError, match="e-other is of sha256"):
        promote(known, 1, grounds=Grounds("e-other"))
    with pytest.raises(BadInputError, match="no evaluation 'e-none'"):
        promote(known, 1, grounds=Grounds("e-none"))
    assert promote(known, 1, "staging", Grounds()).evaluation is None
    evaluated(known, first.digest, name="e-1", accuracy=0.5)
    evaluated(known, first.digest, name="e-2", accuracy=0.9)
    assert promote(known, 1, grounds=Grounds()).evaluation == "e-2"
    events = models.history(known, "m").events
    assert (events[-1].evaluation_id, events[-1].reason) == ("e-2", None)


def test_a_promotion_without_evaluation_needs_a_reason_and_keeps_it(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a")
    for reason in (None, "", "  "):
        with pytest.raises(BadInputError, match="needs --reason"):
            promote(known, 1, grounds=Grounds(without_evaluation=True, reason=reason))
    promote(known, 1, grounds=Grounds(without_evaluation=True, reason="the fire"))
    assert models.history(known, "m").events[-1].reason == "the fire"


def test_a_minimum_goes_by_the_metrics_direction(known: Catalog, tmp_path: Path) -> None:
    [version] = registered(known, tmp_path, "a")
    evaluated(known, version.digest, accuracy=0.9, loss=0.4, perplexity=None)
    for limits, message in (
        ({"accuracy": 0.91}, "accuracy is 0.9, expected at least 0.91"),
        ({"loss": 0.39}, "loss is 0.4, expected at most 0.39"),
        ({"perplexity": 9.0}, "perplexity is None"),
        ({"macro_f1_of_nobody": 9.0}, "unknown metric"),
    ):
        with pytest.raises((NotAllowedError, UnknownNameError), match=message):
            promote(known, 1, grounds=Grounds(minimum=limits))
    assert promote(known, 1, grounds=Grounds(minimum={"accuracy": 0.9, "loss": 0.4})).after == 1


def test_every_promotion_is_taken_back_step_by_step(any_home: Path, tmp_path: Path) -> None:
    known = catalog(any_home)
    registered(known, tmp_path, "a", "b", "c")
    promote(known, 2, "staging")
    history = [stages(known)]
    for version in (1, 2, 3, 1):
        promote(known, version)
        history.append(stages(known))
    assert history[-1] == ["production", "none", "none"]
    for expected in reversed(history[:-1]):
        done = rollback(known)
        assert stages(known) == expected
        assert (done.after is None) == ("production" not in expected)
    with pytest.raises(ConflictError, match="no move of production is left"):
        rollback(known)
    assert rollback(known, "staging").before == 2
    assert stages(known) == ["none", "none", "none"]


def test_after_a_rollback_life_goes_on(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a", "b", "c")
    promote(known, 1)
    promote(known, 2)
    rollback(known)
    promote(known, 3)
    assert (rollback(known).after, rollback(known).after) == (1, None)
    kinds = [(event.kind, event.before, event.after) for event in models.history(known, "m").events[3:]]
    assert kinds == [
        ("promoted", None, 1), ("promoted", 1, 2), ("rolled_back", 2, 1),
        ("promoted", 1, 3), ("rolled_back", 3, 1), ("rolled_back", 1, None),
    ]  # fmt: skip


def test_a_rollback_brings_back_what_went_to_staging_but_not_what_was_archived(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a", "b")
    promote(known, 1)
    promote(known, 2)
    promote(known, 1, "staging")
    assert rollback(known).after == 1
    promote(known, 2)
    moves.archive(known, "m", 1, reason="poisoned", actor="ada")
    with pytest.raises(ConflictError, match="version 1 of model 'm' is in stage archived now"):
        rollback(known)
    assert stages(known) == ["archived", "production"]


def test_moves_that_make_no_sense_are_refused(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a")
    promote(known, 1)
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: promote(known, 1), "already is in stage production"),
        (lambda: promote(known, 1, "staging"), "is in production"),
        (lambda: promote(known, 1, "archived"), "no stage to promote to"),
        (lambda: promote(known, 9), "no version 9"),
        (lambda: moves.archive(known, "m", 1, reason=None, actor="ada"), "not archived"),
        (lambda: moves.promote(known, "n", 1, stage="staging", grounds=TRUST, actor="ada"), "unknown registered model"),
        (lambda: moves.alias(known, "m", "best", 9, actor="ada"), "no version 9"),
    ]
    for call, message in refused:
        with pytest.raises(BadInputError, match=message):
            call()
    assert stages(known) == ["production"]


def test_an_alias_moves_and_moves_back(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a", "b")
    moves.alias(known, "m", "champion", 1, actor="ada")
    moves.alias(known, "m", "champion", 2, actor="ada")
    promote(known, 1)
    assert models.resolve(known, "m@champion").version == 2
    with pytest.raises(ConflictError, match="already means version 2"):
        moves.alias(known, "m", "champion", 2, actor="ada")
    assert rollback(known, "@champion").after == 1
    assert models.resolve(known, "m@champion").version == 1
    assert stages(known) == ["production", "none"]
    assert rollback(known, "@champion").after is None
    with pytest.raises(BadInputError, match="has no 'champion'"):
        models.resolve(known, "m@champion")


def test_a_reference_means_one_version(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a", "b", "c")
    promote(known, 1, "staging")
    promote(known, 2, "staging")
    promote(known, 3)
    meant = {text: models.resolve(known, text).version for text in ("m@3", "m@production", "m@staging", "m@1")}
    assert meant == {"m@3": 3, "m@production": 3, "m@staging": 2, "m@1": 1}
    for text in ("m", "m@", "@1", "m@9", "m@99999999999999999999", "m@nothing", "m@archived", "m@²"):
        with pytest.raises(BadInputError):
            models.resolve(known, text)
    with pytest.raises(UnknownNameError, match="known: m"):
        models.resolve(known, "n@1")


def test_a_name_that_does_not_show_as_it_is_is_refused(known: Catalog, tmp_path: Path) -> None:
    digest = store(known, tmp_path, "a")
    fine = models.register(known, "../m/<b>", Candidate(digest, None), actor="ada").model
    hostile = ("", " m", "m@1", "a\nb", "a\0b", "\x1b[31m", "\u202egnp", "\udcff", "x" * 201, "a\u2028b")
    for name in hostile:
        with pytest.raises(BadInputError):
            models.register(known, name, Candidate(digest, None), actor="ada")
    for alias in (*hostile, "production", "7"):
        with pytest.raises(BadInputError):
            moves.alias(known, fine, alias, 1, actor="ada")
    assert [model.name for model in models.models(known)] == [fine]


def test_what_is_fetched_is_exactly_what_production_means(known: Catalog, tmp_path: Path) -> None:
    registered(known, tmp_path, "a", "b")
    promote(known, 2)
    version = models.fetch(known, "m@production", tmp_path / "copy")
    assert (tmp_path / "copy" / "weights").read_text() == "b"
    assert known.log(("user", "me"), "again", tmp_path / "copy").digest == version.digest


def test_a_registered_model_is_never_collected(known: Catalog, tmp_path: Path) -> None:
    (known.home / "hub.yaml").write_text("retention: {grace_hours: 0, checkpoints_days: 0}\n")
    registered(known, tmp_path, "a", "b")
    moves.archive(known, "m", 2, reason=None, actor="ada")
    for link in known.links("run", "r-1"):
        known.unlink("run", "r-1", link.name)
    for _ in range(3):
        assert list(collect(known, dry_run=False).kept) == ["registered model"]
    for version in models.versions(known):
        known.verify(version.digest)


def test_the_database_itself_refuses_two_versions_in_production(any_home: Path, tmp_path: Path) -> None:
    known = catalog(any_home)
    registered(known, tmp_path, "a", "b")
    promote(known, 1)
    with pytest.raises(IntegrityError), writing(known.engine) as session:  # noqa: PT012 -- the second of them fails
        session.get_one(ModelVersion, ("m", 2)).stage = "production"
        session.flush()


@pytest.mark.slow
def test_of_many_promoters_and_rollbacks_at_once_each_wins_or_is_told(any_home: Path, tmp_path: Path) -> None:
    known = catalog(any_home)
    registered(known, tmp_path, *"abcdef")
    start, lost = threading.Barrier(8), []

    def at_once(move: Callable[[], object]) -> None:
        start.wait()
        for _ in range(3):
            try:
                move()
            except HubError as error:
                lost.append(error)

    calls: list[Callable[[], object]] = [partial(promote, catalog(any_home), version) for version in range(1, 7)]
    calls += [partial(rollback, catalog(any_home))] * 2
    threads = [threading.Thread(target=at_once, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, ConflictError) for error in lost)
    with reading(known.engine) as session:
        chain = list(
            session.scalars(select(ModelEvent).where(ModelEvent.subject == "production").order_by(ModelEvent.id))
        )
    assert len(chain) + len(lost) == 3 * 8
    now: int | None = None
    for event in chain:
        assert event.before == now
        now = event.after
    assert [version.version for version in models.versions(known) if version.stage == "production"] == (
        [now] if now else []
    )


@pytest.mark.slow
def test_versions_registered_at_once_have_no_gaps(any_home: Path, tmp_path: Path) -> None:
    known = catalog(any_home)
    digests = [store(known, tmp_path, letter) for letter in "abcdef"]
    threads = [
        threading.Thread(
            target=models.register, args=(catalog(any_home), "m", Candidate(digest, None)), kwargs={"actor": "a"}
        )
        for digest in digests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.version for version in models.versions(known)] == [1, 2, 3, 4, 5, 6]
    assert {version.digest for version in models.versions(known)} == set(digests)
