"""Following what changes: every change once, and a reset where some were missed."""

from pathlib import Path

import pytest

import experiment_hub
from experiment_hub.api.watcher import REMEMBERED, RESET, Watcher
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.scheduler import submission
from experiment_hub.scheduler.requests import parse


def test_changes_are_told_once_and_from_where_a_reader_was(any_home: Path) -> None:
    store = MetadataStore(any_home)
    watcher = Watcher(store, catalog(any_home))
    watcher.look()
    begin = watcher.newest
    run = experiment_hub.start("followed", home=any_home, system_seconds=None, capture=False)
    watcher.look()
    assert [(event.kind, event.data["state"]) for event in watcher.since(begin)] == [("run", "running")]
    run.log({"loss": 1.0})
    watcher.look()
    seen = watcher.newest
    assert [event.kind for event in watcher.since(begin)] == ["run", "progress"]
    run.finish()
    watcher.look()
    assert [(event.kind, event.data.get("state")) for event in watcher.since(seen)] == [("run", "finished")]
    entry = submission.Entry(request=parse({"argv": ["true"], "name": "x"}), id=submission.new_id())
    submission.submit(store.engine, [entry])
    catalog(any_home).log(("user", "ada"), "x", b"x")
    watcher.look()
    assert ("job", entry.id) in [(event.kind, event.data.get("job")) for event in watcher.since(seen)]
    last = watcher.newest
    watcher.look()
    assert watcher.since(last) == []


@pytest.mark.slow
def test_a_reader_that_missed_something_is_told_so(home: Path) -> None:
    watcher = Watcher(MetadataStore(home), catalog(home))
    other = Watcher(MetadataStore(home), catalog(home))
    for foreign in (other.newest, "", "nonsense", f"{watcher.instance}-99", f"{watcher.instance}--1"):
        assert [event.kind for event in watcher.since(foreign)] == [RESET], foreign
    begin = watcher.newest
    for number in range(REMEMBERED + 1):
        watcher.add("job", {"number": number})
    assert [event.kind for event in watcher.since(begin)] == [RESET]
    assert len(watcher.since(watcher.id_of(REMEMBERED))) == 1
