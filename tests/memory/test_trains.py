from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from memory.events import read
from memory.trains import PredictionRow, Trains

if TYPE_CHECKING:
    from memory.database import Database


@pytest.fixture
def trains(database: Database) -> Trains:
    return Trains(database)


def kinds(trains: Trains) -> list[tuple[str, str]]:
    return [(event.kind, event.ticket) for event in read(trains.database)]


def prediction(**changes: Any) -> PredictionRow:
    values = {
        "key": "k",
        "target": "main",
        "changes": ("T-0001", "T-0002"),
        "tree": "a" * 40,
        "verdict": "fail",
        "blamed": ("T-0002",),
        "reports": ("f" * 64,),
        "seconds": 1.25,
    }
    return PredictionRow(**{**values, **changes})


def test_tickets_stand_in_the_order_of_their_first_admission(trains: Trains) -> None:
    places = [trains.join(ticket, "main", attempt=1, head="a" * 40) for ticket in ("T-0003", "T-0001", "T-0002")]
    assert places == [1, 2, 3]
    trains.leave("T-0003", "a gate said no")
    assert [car.ticket for car in trains.cars("main")] == ["T-0001", "T-0002"]
    assert trains.join("T-0003", "main", attempt=2, head="b" * 40) == 1
    first = trains.cars("main")[0]
    assert (first.ticket, first.attempt, first.head, first.reason) == ("T-0003", 2, "b" * 40, "")


def test_each_target_has_a_train_of_its_own(trains: Trains) -> None:
    trains.join("T-0001", "main", attempt=1, head="a")
    trains.join("T-0002", "next", attempt=1, head="a")
    assert [car.ticket for car in trains.cars("next")] == ["T-0002"]


def test_joining_and_leaving_are_told_once(trains: Trains) -> None:
    trains.join("T-0001", "main", attempt=1, head="a")
    trains.leave("T-0001", "landed")
    trains.leave("T-0001", "landed")
    trains.leave("T-0009", "never was there")
    assert kinds(trains) == [("train.joined", "T-0001"), ("train.left", "T-0001")]


def test_a_prediction_is_found_by_its_key(trains: Trains) -> None:
    assert trains.prediction("k") is None
    trains.keep_prediction(prediction())
    found = trains.prediction("k")
    assert found is not None
    assert found == prediction(at=found.at)
    assert found.at
    trains.keep_prediction(prediction(verdict="pass", blamed=()))
    again = trains.prediction("k")
    assert again is not None
    assert (again.verdict, again.blamed) == ("pass", ())
    assert [kind for kind, _ in kinds(trains)] == ["train.judged"] * 2


def test_what_is_shown_and_what_was_learned_do_not_disturb_each_other(trains: Trains) -> None:
    assert trains.shown("main") is None
    assert trains.record("main") is None
    trains.keep_record("main", {"window": 4})
    assert trains.shown("main") is None
    trains.show("main", {"order": ["é"]})
    trains.keep_record("main", {"window": 5})
    assert (trains.shown("main"), trains.record("main")) == ({"order": ["é"]}, {"window": 5})
    assert trains.shown("next") is None
