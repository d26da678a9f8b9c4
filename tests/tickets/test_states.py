from __future__ import annotations

import pytest

from tickets.states import ENDS, MOVES, State, may_move


def test_the_states_are_those_of_the_contract() -> None:
    words = "draft ready running verifying queued landing landed rejected blocked failed abandoned"
    assert [state.value for state in State] == words.split()


def test_the_table_of_moves_is_closed() -> None:
    assert set(MOVES) == set(State)
    assert all(after <= set(State) for after in MOVES.values())


def test_landed_is_final() -> None:
    assert [state for state in State if may_move(State.LANDED, state)] == [State.LANDED]


@pytest.mark.parametrize("state", sorted(set(State) - ENDS))
@pytest.mark.parametrize("end", [State.LANDED, State.ABANDONED])
def test_every_state_that_is_no_end_reaches_the_ends(state: State, end: State) -> None:
    seen, todo = {state}, [state]
    while todo:
        after = MOVES[todo.pop()] - seen
        seen |= after
        todo += after
    assert end in seen


@pytest.mark.parametrize("state", State)
def test_staying_is_always_allowed(state: State) -> None:
    assert may_move(state, state)


@pytest.mark.parametrize("end", sorted(ENDS - {State.LANDED}))
def test_an_end_that_did_not_land_can_only_be_sent_again_or_abandoned(end: State) -> None:
    assert MOVES[end] <= {State.READY, State.ABANDONED}
    assert State.READY in MOVES[end]


@pytest.mark.parametrize("state", sorted(set(State) - {State.LANDING, State.LANDED}))
def test_only_a_landing_becomes_landed(state: State) -> None:
    assert not may_move(state, State.LANDED)


@pytest.mark.parametrize("state", sorted(set(State) - {State.QUEUED, State.LANDING}))
def test_only_what_passed_its_gates_is_landing(state: State) -> None:
    assert not may_move(state, State.LANDING)
