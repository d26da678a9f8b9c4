from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.globs import overlap
from tickets.graph import cycle, order_overlaps, reachable, waves
from tickets.model import Draft

SCOPES = st.lists(st.sampled_from(["a", "b", "c", "*", "d/**", "d/x"]), min_size=1, max_size=2)


def draft(key: str, *write: str, depends_on: tuple[str, ...] = ()) -> Draft:
    values: dict[str, Any] = {
        "key": key,
        "title": key,
        "objective": key,
        "non_goals": ("x",),
        "acceptance": ({"run": ("true",)},),
    }
    return Draft(**values, scope={"write": write}, depends_on=depends_on)


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({}, None),
        ({"a": set()}, None),
        ({"a": {"b"}, "b": set()}, None),
        ({"a": {"a"}}, {"a"}),
        ({"a": {"b"}, "b": {"a"}}, {"a", "b"}),
        ({"x": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"a"}}, {"a", "b", "c"}),
    ],
)
def test_a_cycle_is_named_node_by_node(edges: dict[str, set[str]], found: set[str] | None) -> None:
    circle = cycle(edges)
    assert (circle is None) is (found is None)
    if circle is not None:
        assert set(circle) == found
        assert circle[0] == circle[-1]
        assert all(before in edges[after] or after in edges[before] for before, after in pairwise(circle))


def test_waves_wait_only_for_the_ones_before() -> None:
    edges = {"d": {"b", "c"}, "c": {"a"}, "b": {"a"}, "a": set(), "e": set[str]()}
    assert waves(edges) == [["a", "e"], ["c", "b"], ["d"]]
    assert waves({}) == []


def test_everything_waited_for_is_reachable() -> None:
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}
    assert reachable(edges, "a") == {"b", "c", "d"}
    assert reachable(edges, "c") == set()
    assert reachable(edges, "nobody") == set()


def test_overlapping_tickets_get_an_order_and_a_reason() -> None:
    edges, notes = order_overlaps([draft("a", "src/*.py"), draft("b", "src/x.py"), draft("c", "docs/**")])
    assert edges == {"a": set(), "b": {"a"}, "c": set()}
    assert notes == ["b waits for a: both may write src/*.py and src/x.py"]


def test_an_order_that_is_there_already_stays_as_it_is() -> None:
    edges, notes = order_overlaps([draft("a", "x", depends_on=("b",)), draft("b", "x")])
    assert edges == {"a": {"b"}, "b": set()}
    assert notes == []


def test_an_order_over_a_third_ticket_is_enough() -> None:
    edges, notes = order_overlaps(
        [draft("a", "x", depends_on=("m",)), draft("m", "y", depends_on=("b",)), draft("b", "x")]
    )
    assert edges["b"] == set()
    assert notes == []


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_order_is_acyclic_and_no_two_that_overlap_run_at_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(min_value=1, max_value=7))
    order = data.draw(st.permutations(range(count)))
    keys = [f"k{index}" for index in range(count)]
    drafts = []
    for index, key in enumerate(keys):
        earlier = [keys[other] for other in range(count) if order[other] < order[index]]
        after = data.draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        drafts.append(draft(key, *data.draw(SCOPES), depends_on=tuple(after)))
    edges, notes = order_overlaps(drafts)
    assert cycle(edges) is None
    assert all(set(one.depends_on) <= edges[one.key] for one in drafts)
    assert len(notes) == sum(len(after) for after in edges.values()) - sum(len(one.depends_on) for one in drafts)
    for later, one in enumerate(drafts):
        for other in drafts[:later]:
            if overlap(one.scope.allowed, other.scope.allowed):
                assert other.key in reachable(edges, one.key) or one.key in reachable(edges, other.key)
