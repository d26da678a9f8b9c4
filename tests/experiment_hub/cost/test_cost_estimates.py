from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.configuration.settings import CostSettings
from experiment_hub.cost.estimates import quote, tier
from experiment_hub.cost.rates import load_card
from experiment_hub.cost.request import Request
from experiment_hub.errors import ConfigurationError, NotAllowedError

TODAY = date(2026, 11, 21)
RATE = """
[[rates]]
launcher = "lab"
item = "H100"
price = {price}
currency = "{currency}"
source = "the lab's page"
as_of = {as_of}
"""


def request(**changes: Any) -> Request:
    asked: dict[str, Any] = {
        "job_id": "j-1",
        "project": "default",
        "launcher": "lab",
        "timeout_s": 3 * 3600.0,
        "attempts": 1,
        "work": "digest",
        "gpu": "H100",
        "gpus": 1,
    }
    return Request(**{**asked, **changes})


def card_text(price: str = "4.0", currency: str = "USD", as_of: str = "2026-11-01") -> str:
    return RATE.format(price=price, currency=currency, as_of=as_of)


def card(tmp_path: Path, text: str, **limits: Any) -> Any:
    (tmp_path / "prices.toml").write_text(text, encoding="utf-8")
    return load_card(tmp_path, CostSettings(rates="prices.toml", **limits))


def test_an_estimate_is_gpus_times_hours_times_rate_times_attempts(tmp_path: Path) -> None:
    found = quote(request(gpus=2, nodes=3, attempts=2), card(tmp_path, card_text()), today=TODAY)
    assert (found.worst_usd, found.attempt_usd, found.rate["usd_per_hour"]) == (144.0, 72.0, 24.0)


def test_cores_and_memory_are_billed_from_a_minimum_on(tmp_path: Path) -> None:
    shipped = load_card(tmp_path, CostSettings(max_age_days=100_000))
    found = quote(request(launcher="modal", timeout_s=3600.0), shipped, today=TODAY)
    assert [(line["item"], line["quantity"]) for line in found.rate["lines"]] == [
        ("H100", 1.0),
        ("cpu", 0.125),
        ("memory", 0.125),
    ]
    more = quote(request(launcher="modal", timeout_s=3600.0, cpus=8.0), shipped, today=TODAY)
    assert more.worst_usd == pytest.approx(found.worst_usd + 7.875 * 0.04716, abs=2e-6)


@pytest.mark.parametrize(
    "changes",
    [{"gpus": 2}, {"timeout_s": 1.0}, {"attempts": 2}, {"work": "other"}, {"project": "p"}, {"fan_out": "f"}],
)
def test_another_request_is_another_estimate(tmp_path: Path, changes: dict[str, Any]) -> None:
    prices = card(tmp_path, card_text())
    assert quote(request(**changes), prices, today=TODAY).hash != quote(request(), prices, today=TODAY).hash


def test_another_price_is_another_estimate_and_another_job_of_equal_content_is_not(tmp_path: Path) -> None:
    prices = card(tmp_path, card_text())
    before = quote(request(), prices, today=TODAY).hash
    assert quote(request(job_id="j-2"), prices, today=TODAY).hash == before
    assert quote(request(), card(tmp_path, card_text(price="4.1")), today=TODAY).hash != before
    assert quote(request(), card(tmp_path, card_text(as_of="2026-11-02")), today=TODAY).hash != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (card_text(currency="EUR"), "is in EUR"),
        (card_text(as_of="2026-08-01"), "112 days old"),
        (card_text(as_of="2027-01-01"), "in the future"),
        ("rates = []", "no price for H100 of launcher lab"),
    ],
)
def test_a_price_that_must_not_be_used_blocks_in_clear_words(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NotAllowedError, match=message):
        quote(request(), card(tmp_path, text), today=TODAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (card_text(price="0"), "greater than 0"),
        (card_text(price="-1"), "greater than 0"),
        (card_text(price="nan"), "finite number"),
        (card_text(price="inf"), "finite number"),
        (card_text(price='"4"'), "valid number"),
        (card_text() + card_text(), "two prices for H100"),
        (card_text().replace("price = 4.0", ""), "give price, or included"),
        (card_text() + 'typo = "x"', "unknown key"),
        ("rates = [", "not TOML"),
    ],
)
def test_a_broken_rate_card_blocks_everything(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        card(tmp_path, text)


def test_a_rate_card_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_card(tmp_path, CostSettings(rates="nowhere.toml"))


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout_s": float("nan")},
        {"timeout_s": -1.0},
        {"timeout_s": 0.0},
        {"timeout_s": 1e12},
        {"attempts": 0},
        {"gpus": -1},
        {"gpus": True},
        {"cpus": float("inf")},
        {"gpu": None},
    ],
)
def test_figures_that_bound_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotAllowedError, match="paid compute"):
        request(**changes)


def test_a_paid_job_cannot_cost_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotAllowedError, match="cannot be true"):
        quote(request(gpu=None, gpus=0), card(tmp_path, card_text()), today=TODAY)


def test_the_tiers_begin_at_their_amounts() -> None:
    limits = CostSettings()
    assert [tier(limits, usd) for usd in (4.999999, 5.0, 19.999999, 20.0)] == ["auto", "ask", "ask", "stop"]


def test_prices_that_nobody_else_sets_never_grow_stale(tmp_path: Path) -> None:
    shipped = load_card(tmp_path, CostSettings())
    far = date(2026, 11, 21) + timedelta(days=4000)
    assert quote(request(launcher="simulated"), shipped, today=far).worst_usd == 12.0
    with pytest.raises(NotAllowedError, match="days old"):
        quote(request(launcher="modal"), shipped, today=far)
