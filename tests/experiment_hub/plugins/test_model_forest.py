from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.integrations, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skops")


def test_the_same_smoke_run_twice_gives_the_same_metrics_and_another_seed_does_not(
    smoke_run: Callable[..., dict[str, Any]], hub: Callable[..., tuple[int, str, str]]
) -> None:
    first, second = smoke_run("forest"), smoke_run("forest")
    assert first["state"] == second["state"] == "finished"
    assert first["metrics"] == second["metrics"] != {}
    assert first["parameters_total"] is None  # a forest has no such notion
    code, out, _ = hub("run", "forest", "--smoke", "--seed", "7", "--json")
    assert code == 0
    assert f'"test.loss": {first["metrics"]["test.loss"]}' not in out


def test_more_trees_are_surer(smoke_run: Callable[..., dict[str, Any]]) -> None:
    few, many = smoke_run("forest", "trees=1"), smoke_run("forest", "trees=30")
    assert many["metrics"]["val.loss"] < few["metrics"]["val.loss"]
