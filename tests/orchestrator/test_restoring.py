from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from memory.records import Records
from orchestrator.commands.looking import Asked, log
from orchestrator.commands.restoring import restore
from orchestrator.reconcile import recover
from orchestrator.runner import exclusively
from orchestrator.workspace import Workspace
from tickets.errors import EnvironmentFailure, InputError, WaitingError

if TYPE_CHECKING:
    from demo_project import Demo

CHAIN = Asked(verify=True, records=False, feature="", ticket="", follow=False)
VERIFY = replace(CHAIN, records=True)


def asked_for(demo: Demo) -> Workspace:
    workspace = Workspace.open(demo.root)
    Records(workspace.database).add_feature("the request", options={}, target="main", before="a" * 40)
    workspace.database.close()
    return workspace


def test_a_lost_database_is_restored_by_one_command(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = asked_for(demo)
    workspace.database.file.unlink()
    with pytest.raises(EnvironmentFailure, match="orchestrate log --restore"):
        recover(workspace)
    assert restore(demo.root, json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"transactions": 1, "replayed": 1, "lost": 0, "set_aside": []}
    assert [row.request for row in workspace.records.features()] == ["the request"]
    assert log(demo.root, VERIFY, json=False) == 0
    assert "the chain is intact" in capsys.readouterr().out
    workspace.database.close()


def test_a_changed_record_is_told_by_verify_and_mended_by_restore(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = asked_for(demo)
    workspace.database.connection().execute("UPDATE features SET state = 'ended'")
    workspace.database.close()
    assert log(demo.root, CHAIN, json=False) == 0
    assert "1 events, the chain is intact\n" in capsys.readouterr().out
    assert log(demo.root, VERIFY, json=False) == 1
    assert "BROKEN: features: 1 rows differ from what was written; orchestrate log --restore" in capsys.readouterr().out
    assert restore(demo.root, json=False) == 0
    told = capsys.readouterr().out
    assert "nothing is missing" in told
    assert f"what was there is kept as {workspace.database.file}.damaged-" in told
    assert workspace.records.features()[0].state == "queued"
    workspace.database.close()


def test_a_damaged_journal_is_mended_and_told_by_the_next_run_and_no_record_is_called_damaged(demo: Demo) -> None:
    workspace = asked_for(demo)
    workspace.prepare()
    Records(workspace.database).add_feature("another", options={}, target="main", before="a" * 40)
    workspace.database.close()
    segment = workspace.database.mirror.segment(1)
    segment.write_bytes(segment.read_bytes().replace(b"the request", b"the rEquest"))
    with pytest.raises(EnvironmentFailure, match="is damaged; the next run begins it anew"):
        log(demo.root, VERIFY, json=False)
    told = [found.said for found in recover(workspace)]
    assert len([said for said in told if "was begun anew on a copy" in said]) == 1
    assert log(demo.root, VERIFY, json=False) == 0
    assert recover(workspace) == []
    workspace.database.close()


def test_nothing_is_restored_under_a_run_that_is_at_work(demo: Demo) -> None:
    workspace = asked_for(demo)
    before = workspace.database.file.read_bytes()
    with exclusively(workspace), pytest.raises(WaitingError, match="a run is at work"):
        restore(demo.root, json=False)
    assert workspace.database.file.read_bytes() == before


def test_there_must_be_something_to_restore(demo: Demo) -> None:
    with pytest.raises(InputError, match="nothing was asked for here yet"):
        restore(demo.root, json=False)
    with (demo.root / "orchestrate.toml").open("a") as policy:
        policy.write('\n[state]\ndatabase_url = "postgresql://127.0.0.1/db"\n')
    with pytest.raises(EnvironmentFailure, match="kept by a PostgreSQL server; its own backups restore them"):
        restore(demo.root, json=False)
