"""Which cases of a list run by default, and which in CI's tier only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def long_after(quick: int, cases: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Leave the first cases as they are, and mark the others as long."""
    return [*cases[:quick], *(pytest.param(*case, marks=pytest.mark.long) for case in cases[quick:])]
