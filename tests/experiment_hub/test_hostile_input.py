"""What steers terminals, does not fit or cannot be read ends as a sentence with a documented exit code, never as a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub import start
from experiment_hub.errors import BadInputError
from experiment_hub.metadata.database import FILE
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import RegisteredModel
from experiment_hub.output import table
from experiment_hub.times import now

Hub = Callable[..., tuple[int, str, str]]


def test_a_name_cannot_steer_the_terminal_or_break_a_table() -> None:
    lines = table(("name", "state"), [("a\nb", "\x1b[31m"), ("\u202eabc", "🦜")])
    assert lines == ["name       state", "a\\nb       \\x1b[31m", "\\u202eabc  🦜"]


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--limit", "9" * 22),
        ("models", "promote", "spirals", "9" * 20),
        ("config", "show", "x" * 10_000),
        ("config", "show", f"{'x' * 10_000}.yaml"),
        ("tokens", "new", ""),
        ("jobs", "leases", "", "--slots", "1"),
        ("jobs", "leases", "x" * 201, "--slots", "1"),
    ],
)
def test_what_does_not_fit_is_bad_input(hub: Hub, words: tuple[str, ...]) -> None:
    code, _, err = hub(*words)
    assert code == 2
    assert err.startswith("error: ")


@pytest.mark.slow
def test_a_database_refuses_what_it_cannot_hold_with_a_sentence(any_home: Path) -> None:
    engine = MetadataStore(any_home).engine
    with pytest.raises(BadInputError, match="does not fit into the hub's database"), writing(engine) as session:
        session.add(RegisteredModel(name="\ud800", description="", created_at=now()))


def test_arguments_that_are_no_text_are_refused(home: Path) -> None:
    words = [os.fsencode(sys.executable), b"-m", b"experiment_hub", b"jobs", b"show", b"\xff"]
    done = subprocess.run(words, capture_output=True, env=os.environ | {"HUB_HOME": str(home)}, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: '\\udcff' is not UTF-8")


def test_an_empty_tag_is_refused(hub: Hub) -> None:
    code, _, err = hub("tag", "r-1", "--", "")
    assert code == 2
    assert "expected text that is not empty" in err


@pytest.mark.parametrize("command", ["check", "backup", "upgrade"])
def test_looking_after_a_damaged_database_says_so(hub: Hub, home: Path, command: str) -> None:
    MetadataStore(home)
    content = (home / FILE).read_bytes()
    (home / FILE).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    code, _, err = hub("db", command)
    assert code == 4
    assert "malformed" in err


def test_one_run_that_cannot_be_read_does_not_hide_the_others(hub: Hub, home: Path) -> None:
    with start("fine", home=home, capture=False, system_seconds=None):
        pass
    broken = home / "runs" / "r-broken"
    (broken / "run.json").mkdir(parents=True)  # reading it is an OSError, as with a file of somebody else
    (home / "inbox" / broken.name).touch()
    code, out, err = hub("runs")
    assert code == 0
    assert "fine" in out
    assert "cannot be read, so the run is left out" in err


def test_without_a_package_nothing_is_written_outside_a_checkout(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = hub("new", "model", "wide_net")
    assert code == 2
    assert "give --package FOLDER" in err
