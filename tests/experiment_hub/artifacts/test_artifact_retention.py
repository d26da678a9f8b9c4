"""What anything needs stays; what nothing needs goes, in two steps, and says so."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, update

from experiment_hub.artifacts.catalog import Catalog, Link, catalog
from experiment_hub.artifacts.inspection import why
from experiment_hub.artifacts.retention import Amount, collect
from experiment_hub.errors import BadInputError, CorruptError
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import Artifact, ArtifactLink, Base, Job, ModelVersion, RegisteredModel, Run

NOW = "2026-01-01T00:00:00.000+00:00"
AT_ONCE = "retention: {grace_hours: 0, checkpoints_days: 0}\n"
GONE = Amount(1, 1)


def a_run(run_id: str, state: str, **more: Any) -> Run:
    known = {"seed": 0, "smoke": False, "config": {}, "overrides": {}, "folder": "x", "resumes": []}
    process = {"created_at": NOW, "host": "h", "pid": 1, "process_started": 0.0}
    return Run(id=run_id, name="x", state=state, **known, **process, **more)


def a_row(kind: type[Base], **values: Any) -> Base:
    """A row whose other columns say as little as possible."""
    for column in kind.__table__.columns:
        if column.name not in values and not column.nullable and column.server_default is None:
            values[column.name] = {} if isinstance(column.type, JSON) else column.type.python_type()
    return kind(**values)


def add(known: Catalog, *rows: Base) -> None:
    with writing(known.engine) as session:
        for row in rows:
            session.add(row)
            session.flush()


def age(known: Catalog, days: float) -> None:
    """As if all that is there had been stored and condemned so long ago."""
    past = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    with writing(known.engine) as session:
        session.execute(update(Artifact).values(touched_at=past))
        session.execute(update(Artifact).where(Artifact.condemned_at.is_not(None)).values(condemned_at=past))
        session.execute(update(ArtifactLink).values(created_at=past))


def put_away(known: Catalog, name: str, content: bytes) -> str:
    """Stored, and then given up."""
    digest = known.log(("run", "r-0"), name, content).digest
    known.unlink("run", "r-0", name)
    return digest


@pytest.fixture
def impatient(known: Catalog) -> Catalog:
    """No grace period and no transient age."""
    (known.home / "hub.yaml").write_text(AT_ONCE)
    return known


def files(known: Catalog) -> set[str]:
    return {stored.digest for stored in known.content.store.listing()}


def test_what_nothing_needs_is_condemned_first_and_removed_by_a_later_collection(any_home: Path) -> None:
    known = catalog(any_home)
    kept = known.log(("run", "r-1"), "x", b"kept").digest
    lost = put_away(known, "x", b"l")
    assert collect(known, dry_run=False).kept["stored a short time ago"] == GONE
    age(known, 2)
    first = collect(known, dry_run=False)
    assert (first.condemned, first.removed) == (GONE, Amount())
    assert first.kept == {"kept for ever": Amount(1, 4), "condemned, waiting for the grace period": GONE}
    assert why(known, lost)["removed_from"] > why(known, lost)["condemned_at"]
    assert collect(known, dry_run=False).removed == Amount()  # the grace period is not over
    assert known.open(lost).read() == b"l"
    age(known, 2)
    assert collect(known, dry_run=False).removed == GONE
    assert files(known) == {kept}
    with pytest.raises(BadInputError, match="was removed by a collection"):
        known.open(lost)


def test_a_dry_run_says_the_same_and_changes_nothing(impatient: Catalog) -> None:
    put_away(impatient, "x", b"l")
    impatient.log(("run", "r-1"), "old", b"2", keep="transient")
    said, done = collect(impatient, dry_run=True), collect(impatient, dry_run=False)
    assert (said.condemned, said.dropped_names, said.kept) == (done.condemned, done.dropped_names, done.kept)
    assert said.condemned == Amount(2, 2)
    said, before = collect(impatient, dry_run=True), files(impatient)
    assert (said.removed, files(impatient)) == (Amount(2, 2), before)
    assert collect(impatient, dry_run=False).removed == said.removed
    assert files(impatient) == set()


def test_a_folder_goes_with_its_own_files_and_leaves_shared_ones(impatient: Catalog, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own").write_text(name)
        (tmp_path / name / "shared").write_text("shared")
        impatient.log(("run", name), "model", tmp_path / name)
    impatient.unlink("run", "one", "model")
    for _ in range(2):
        collect(impatient, dry_run=False)
    [kept] = impatient.links()
    impatient.verify(kept.digest)
    assert len(files(impatient)) == 3
    assert why(impatient, impatient.entries(kept.digest)[1].digest)["reason"] == "kept for ever"


def hold_by_model(known: Catalog, digest: str) -> str:
    add(
        known,
        RegisteredModel(name="m", description="", created_at=NOW),
        ModelVersion(model="m", version=1, digest=digest, stage="archived", facts={}, created_at=NOW),
    )
    return "registered model"


def hold_by_baseline(known: Catalog, digest: str) -> str:
    known.link(digest, Link("baseline", "best", "model", keep="transient"))
    return "baseline"


def hold_by_running_run(known: Catalog, digest: str) -> str:
    add(known, a_run("r-9", "running"))
    known.link(digest, Link("run", "r-9", "x", keep="transient"))
    return "running or waiting"


def hold_by_waiting_job(known: Catalog, digest: str) -> str:
    add(known, a_row(Job, id="j-1", state="queued"))
    known.link(digest, Link("job", "j-1", "input", keep="transient"))
    return "running or waiting"


def hold_by_run_of_a_paused_job(known: Catalog, digest: str) -> str:
    add(known, a_row(Job, id="j-2", state="paused"), a_run("r-8", "killed", job_id="j-2"))
    known.link(digest, Link("run", "r-8", "checkpoint", keep="transient"))
    return "running or waiting"


def hold_for_ever(known: Catalog, digest: str) -> str:
    known.link(digest, Link("user", "me", "mine"))
    return "kept for ever"


HOLDERS = (
    hold_by_model,
    hold_by_baseline,
    hold_by_running_run,
    hold_by_waiting_job,
    hold_by_run_of_a_paused_job,
    hold_for_ever,
)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after it was condemned"])
def test_what_somebody_needs_stays_and_is_rescued(impatient: Catalog, when: str) -> None:
    digests = {hold: put_away(impatient, "x", hold.__name__.encode()) for hold in HOLDERS}
    if when != "before":
        assert collect(impatient, dry_run=False).condemned.count == len(HOLDERS)
    reasons = {digests[hold]: hold(impatient, digests[hold]) for hold in HOLDERS}
    for _ in range(3):
        collection = collect(impatient, dry_run=False)
    assert set(collection.kept) == set(reasons.values())
    for digest, reason in reasons.items():
        assert why(impatient, digest)["reason"] == reason
        impatient.verify(digest)


@pytest.mark.slow
def test_a_job_that_is_over_holds_nothing(impatient: Catalog) -> None:
    for state in ("finished", "failed", "cancelled"):
        add(impatient, a_row(Job, id=state, state=state), a_run(f"r-{state}", "finished", job_id=state))
        impatient.log(("job", state), "input", b"1", keep="transient")
        impatient.log(("run", f"r-{state}"), "checkpoint", b"2", keep="transient")
    assert collect(impatient, dry_run=False).dropped_names == 6


def test_a_transient_name_stays_until_it_is_old(known: Catalog) -> None:
    known.log(("run", "r-1"), "checkpoint", b"1", keep="transient")
    age(known, 29)
    assert list(collect(known, dry_run=False).kept) == ["kept for a while"]
    age(known, 31)
    assert collect(known, dry_run=False).dropped_names == 1


@pytest.mark.parametrize("how", ["stored", "named"])
def test_condemned_content_that_is_needed_again_is_taken_back(any_home: Path, how: str) -> None:
    any_home.mkdir(exist_ok=True)
    with (any_home / "hub.yaml").open("a") as file:
        file.write(AT_ONCE)
    known = catalog(any_home)
    digest = put_away(known, "x", b"again")
    collect(known, dry_run=False)
    if how == "stored":
        known.log(("run", "r-2"), "x", b"again")
    else:
        known.link(digest, Link("run", "r-2", "x"))
    assert collect(known, dry_run=False).removed == Amount()
    assert known.open(digest).read() == b"again"


@pytest.mark.slow
def test_removed_content_can_be_stored_again_but_not_named(impatient: Catalog) -> None:
    digest = put_away(impatient, "x", b"again")
    for _ in range(2):
        collect(impatient, dry_run=False)
    with pytest.raises(BadInputError, match="was removed"):
        impatient.link(digest, Link("run", "r-2", "x"))
    assert impatient.log(("run", "r-2"), "x", b"again").digest == digest
    assert impatient.open(digest).read() == b"again"


def test_content_that_a_restored_database_does_not_know_is_condemned_like_any_other(impatient: Catalog) -> None:
    impatient.claim()
    backup = (impatient.home / "hub.sqlite").read_bytes()
    impatient.log(("run", "r-1"), "x", b"later")
    (impatient.home / "hub.sqlite").write_bytes(backup)
    first = collect(impatient, dry_run=False)
    assert (first.adopted, len(files(impatient))) == (1, 1)
    assert collect(impatient, dry_run=False).removed == Amount(1, 5)
    assert files(impatient) == set()


@pytest.mark.slow
def test_a_removal_that_was_cut_short_is_finished_or_taken_back(impatient: Catalog) -> None:
    lost, again = put_away(impatient, "x", b"1"), put_away(impatient, "x", b"2")
    collect(impatient, dry_run=False)
    impatient.content.store.remove([lost, again])  # where a collector was killed: bytes gone, rows condemned
    with pytest.raises(CorruptError):
        impatient.link(again, Link("run", "r-1", "x"))
    impatient.log(("run", "r-1"), "x", b"2")
    collect(impatient, dry_run=False)
    collect(impatient, dry_run=False)
    assert impatient.open(again).read() == b"2"
    with pytest.raises(BadInputError, match="was removed"):
        impatient.open(lost)


def test_a_clock_that_jumps_back_removes_nothing_early(impatient: Catalog) -> None:
    put_away(impatient, "x", b"1")
    collect(impatient, dry_run=False)
    age(impatient, -5)  # condemned in the future
    assert collect(impatient, dry_run=False).removed == Amount()


def test_what_interrupted_writers_left_is_swept_after_a_day(known: Catalog) -> None:
    staging = known.home / "artifacts" / "staging" / "1-dead"
    staging.mkdir(parents=True)
    (staging / "part").write_bytes(b"x" * 100)
    assert collect(known, dry_run=False).leftovers == 0
    os.utime(staging, (1, 1))
    assert collect(known, dry_run=False).leftovers == 100
    assert not staging.exists()
