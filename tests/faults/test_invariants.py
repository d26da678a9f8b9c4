"""The checks of the fault tier have to see what they are there for: each violation here is planted by hand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from faults_invariants import Scene, violations
from faults_place import Place, Wish, place_in
from faults_starter import Starter, Surroundings
from faults_witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run of two tickets that nobody disturbed."""
    folder = tmp_path_factory.mktemp("ended")
    place = place_in(folder / "place", Wish(keys="ab"))
    scene = Surroundings(cwd=place.root, env=place.demo.environment, outputs=folder / "said")
    with Starter() as starter:
        started = starter.start("feature", "everything", "--json", scene=scene)
        assert starter.wait(started, seconds=120) == 0, started.said()
        assert json.loads(started.out.read_text(encoding="utf-8"))["outcome"] == "landed"
    return place


@pytest.fixture
def scene(ended: Place, tmp_path: Path) -> Scene:
    """A copy of that run, for one test to spoil."""
    shutil.copytree(ended.folder, tmp_path / "copy", symlinks=True)
    demo = type(ended.demo)(tmp_path / "copy" / "demo", tmp_path / "copy" / "home")
    copied = Place(
        folder=tmp_path / "copy", demo=demo, ledger=tmp_path / "copy/ledger", begin=ended.begin, keys=ended.keys
    )
    witness = Witness(place=copied)
    witness.look()
    return Scene(place=copied, witness=witness)


def write(scene: Scene, *statements: str) -> None:
    """Change the records as no program may."""
    with closing(sqlite3.connect(scene.place.state / "signalbox.sqlite")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def unjudged(scene: Scene) -> None:
    scene.place.demo.commit("by nobody", **{"src/a.py": "X = 1  # by nobody\n"})


def lost_landing(scene: Scene) -> None:
    scene.place.demo.git("reset", "-q", "--hard", "main^")


def twice(scene: Scene) -> None:
    tree = scene.place.demo.git("rev-parse", "main^{tree}")
    commit = scene.place.demo.git("commit-tree", tree, "-p", "main", "-m", "add a\n\nTicket: T-0001")
    scene.place.demo.git("update-ref", "refs/heads/main", commit)


def not_followed(scene: Scene) -> None:
    scene.place.demo.write("src/a.py", "")


def lost_event(scene: Scene) -> None:
    write(scene, "DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)")


def unrecorded_landing(scene: Scene) -> None:
    write(scene, "UPDATE events SET kind = 'landing.dreamt' WHERE kind = 'landing.moved'")


def lost_note(scene: Scene) -> None:
    scene.place.demo.git("notes", "--ref=refs/notes/orchestrate", "remove", "main")


def lost_attempt(scene: Scene) -> None:
    scene.place.demo.git("update-ref", "-d", "refs/orchestrate/attempts/T-0002/1")


def unknown_attempt(scene: Scene) -> None:
    scene.place.demo.git("update-ref", "refs/orchestrate/attempts/T-0002/9", "main")


def still_running(scene: Scene) -> None:
    write(scene, "UPDATE attempts SET state = 'running' WHERE number = 1")


def not_ended(scene: Scene) -> None:
    write(scene, "UPDATE features SET state = 'running'")


def refused(scene: Scene) -> None:
    write(scene, "UPDATE tickets SET state = 'rejected' WHERE id = 'T-0001'")


def paid_twice(scene: Scene) -> None:
    with scene.place.ledger.open("a", encoding="utf-8") as stream:
        stream.write("a 1 0123456789ab begun\n")


def unreachable(scene: Scene) -> None:
    with scene.place.ledger.open("a", encoding="utf-8") as stream:
        stream.write("a 2 0123456789ab wrote\n")


def torn(scene: Scene) -> None:
    tree = scene.place.demo.git("rev-parse", "main^{tree}")
    file = scene.place.root / ".git/objects" / tree[:2] / tree[2:]
    file.chmod(0o600)
    file.write_bytes(b"")


def locked(scene: Scene) -> None:
    (scene.place.root / ".git/refs/heads/main.lock").touch()


def left_standing(scene: Scene) -> None:
    (scene.place.beside / "t-0001-add-a").mkdir(parents=True)


PLANTED: dict[Callable[[Scene], None], str] = {
    unjudged: "every commit of the target was judged",
    lost_landing: "acknowledged landings are there",
    twice: "no ticket landed twice",
    not_followed: "the target holds what was asked for",
    lost_event: "events that were read are there",
    unrecorded_landing: "journal and refs agree",
    lost_note: "journal and refs agree",
    lost_attempt: "attempts and their refs agree",
    unknown_attempt: "attempts and their refs agree",
    still_running: "attempts and their refs agree",
    not_ended: "the run ended",
    refused: "the run ended",
    paid_twice: "nothing was paid twice",
    unreachable: "what agents wrote is kept",
    torn: "git fsck is clean",
    locked: "nothing is left behind",
    left_standing: "nothing is left behind",
}


def test_an_undisturbed_run_breaks_no_promise(scene: Scene) -> None:
    assert violations(scene) == []


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_violation_is_seen(scene: Scene, plant: Callable[[Scene], None]) -> None:
    plant(scene)
    assert [said for said in violations(scene) if said.startswith(f"{PLANTED[plant]}: ")]
