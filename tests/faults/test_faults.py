"""The short form of the fault tier; `scripts/faults --full` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults_kinds import KINDS
from faults_starter import Starter

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.long]
ROUNDS = [
    pytest.param(kind, 1 + number * KINDS[kind].stride, id=f"{kind}-{1 + number * KINDS[kind].stride}")
    for kind in KINDS
    for number in range(KINDS[kind].short)
]


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    with Starter() as made:
        yield made


@pytest.mark.parametrize(("kind", "seed"), ROUNDS)
def test_every_promise_is_kept(starter: Starter, kind: str, seed: int) -> None:
    if why := KINDS[kind].trouble():
        pytest.skip(why)
    tally = KINDS[kind].run(starter, seed)
    assert tally.violations == []
    assert not KINDS[kind].caught or tally.faults["caught"] == 1
