"""Every known way to fake a green run, judged by the gates that have to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_green import FAKES, HONEST, Stage

if TYPE_CHECKING:
    from fake_green import Fake

pytestmark = pytest.mark.slow
ALL = (*FAKES, *HONEST)
SAMPLE = 20
"""Every so many are tried each time; CI tries all of them."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage.build(tmp_path_factory.mktemp("fakes"), ALL)


def test_there_are_many_fakes_and_each_has_its_name() -> None:
    assert len(FAKES) >= 34
    assert len({fake.name for fake in ALL}) == len(ALL)


EACH = [
    pytest.param(fake, id=fake.name, marks=[pytest.mark.long] if number % SAMPLE else [])
    for number, fake in enumerate(FAKES)
]


@pytest.mark.parametrize("fake", EACH)
def test_a_fake_never_passes(stage: Stage, fake: Fake) -> None:
    verdicts = stage.verdicts(fake)
    assert any(verdict.answer.value != "pass" for verdict in verdicts.values()), verdicts


@pytest.mark.parametrize("fake", HONEST, ids=lambda fake: fake.name)
def test_the_honest_fix_passes_every_gate(stage: Stage, fake: Fake) -> None:
    verdicts = stage.verdicts(fake)
    assert {name: verdict.answer.value for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, "pass"), (
        verdicts
    )
