"""The hostile corpus at every level: no damage, and every honest part of the work kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile_corpus import HOSTILE
from hostile_lab import Lab
from hostile_place import furnish, laboratory
from worktrees.confinement import LEVELS
from worktrees.levels import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from hostile import Behaviour
    from worktrees.confinement import Level

SAMPLE = 16
"""Every so many are played each time; CI plays all of them."""
LEAST_BEHAVIOURS, LEAST_TEETH = 120, 40
TEETH = [behaviour for behaviour in HOSTILE if behaviour.unconfined]


def each() -> Iterator[ParameterSet]:
    """Every behaviour at each level that confines anything; one that this machine has not is skipped, and says why."""
    for level in (one for one in LEVELS if one != "none"):
        missing = pytest.mark.skipif(bool(trouble(level)), reason=f"{level}: {trouble(level)}")
        for number, behaviour in enumerate(HOSTILE):
            rare = [pytest.mark.long] if behaviour.slow or number % SAMPLE else []
            marks = (missing, *rare)
            yield pytest.param(behaviour, level, id=f"{level}: {behaviour.family}: {behaviour.name}", marks=marks)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("template")
    furnish(place)
    return place


@pytest.fixture(scope="module")
def lab(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with laboratory(tmp_path_factory.mktemp("l") / "lab", template) as place:
        yield Lab(place=place)


@pytest.mark.parametrize(("behaviour", "level"), list(each()))
def test_a_hostile_agent_does_no_damage_and_its_fix_is_kept(behaviour: Behaviour, level: Level, lab: Lab) -> None:
    played = lab.play(behaviour, level)
    assert played.lost == ()
    if played.damage and level in behaviour.open_at:
        pytest.xfail(f"{level}: {behaviour.open_at[level]}")
    assert played.damage == ()


@pytest.mark.long
@pytest.mark.parametrize("behaviour", TEETH, ids=[behaviour.name for behaviour in TEETH])
def test_without_a_sandbox_it_does_damage(behaviour: Behaviour, template: Path, tmp_path: Path) -> None:
    with laboratory(tmp_path / "l", template) as place:
        assert Lab(place=place).play(behaviour, "none").damage


def test_the_corpus_is_large_and_has_teeth() -> None:
    assert len({behaviour.name for behaviour in HOSTILE}) == len(HOSTILE) >= LEAST_BEHAVIOURS
    assert len(TEETH) >= LEAST_TEETH
    assert "bubblewrap" not in {level for behaviour in HOSTILE for level in behaviour.open_at}
