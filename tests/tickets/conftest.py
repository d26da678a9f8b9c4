"""A ticket and a plan as a person would write them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tickets.model import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

DRAFT: dict[str, Any] = {
    "key": "a",
    "title": "Add a",
    "objective": "Add a.",
    "non_goals": ["anything else"],
    "scope": {"new": ["src/a.py"]},
    "acceptance": [{"run": ["python", "-c", "import a"]}],
}


@pytest.fixture
def draft() -> Callable[..., dict[str, Any]]:
    """A valid draft; keyword arguments replace its values, None takes a key away."""

    def make(**values: object) -> dict[str, Any]:
        made = {**copy.deepcopy(DRAFT), **values}
        return {key: value for key, value in made.items() if value is not None}

    return make


@pytest.fixture
def make_ticket() -> Callable[..., Ticket]:
    """A valid ticket; keyword arguments replace its values."""

    def make(**values: object) -> Ticket:
        kept = {key: value for key, value in copy.deepcopy(DRAFT).items() if key != "key"}
        return Ticket.model_validate({"id": "T-0001", "feature": "F-0001", **kept, **values})

    return make
