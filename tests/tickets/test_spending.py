from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tickets.agents import Agent
from tickets.errors import FileError
from tickets.model import Budget
from tickets.policy import read_policy
from tickets.spending import MICROS, Spend, micros, of_agent, shown

if TYPE_CHECKING:
    from tickets.spending import Limit

CODER = Agent(kind="codex", max_usd=1.5, max_tokens=9000)


def by_scope(limits: tuple[Limit, ...]) -> dict[tuple[str, str], tuple[int, str]]:
    return {(limit.scope, limit.unit): (limit.most, limit.where) for limit in limits}


def test_money_is_bounded_for_attempt_ticket_feature_and_day_and_tokens_only_where_it_is_said() -> None:
    assert by_scope(Spend().limits()) == {
        ("attempt", "usd"): (2 * MICROS, "[spend] attempt_usd"),
        ("ticket", "usd"): (5 * MICROS, "[spend] ticket_usd"),
        ("feature", "usd"): (20 * MICROS, "[spend] feature_usd"),
        ("day", "usd"): (50 * MICROS, "[spend] day_usd"),
    }
    limits = by_scope(Spend(day_tokens=7).limits())
    assert limits["day", "tokens"] == (7, "[spend] day_tokens")


def test_the_agent_and_the_ticket_tighten() -> None:
    limits = by_scope(Spend().limits(Budget(usd=0.25, tokens=5000), *of_agent("coder", CODER)))
    assert limits["attempt", "usd"] == (1_500_000, "[agents.coder] max_usd")
    assert limits["attempt", "tokens"] == (9000, "[agents.coder] max_tokens")
    assert limits["ticket", "usd"] == (250_000, "the ticket's budget.usd")
    assert limits["ticket", "tokens"] == (5000, "the ticket's budget.tokens")


def test_the_agent_and_the_ticket_do_not_widen() -> None:
    spend = Spend(attempt_usd=1.0, ticket_usd=2.0, attempt_tokens=100, ticket_tokens=200)
    limits = by_scope(spend.limits(Budget(usd=3.0, tokens=5000), *of_agent("coder", CODER)))
    assert {where for _, where in limits.values() if "[spend]" not in where} == set()


@pytest.mark.parametrize(
    "text",
    [
        "attempt_usd = -1.0",
        "day_tokens = -1",
        "ticket_tokens = 1.5",
        "warn_at = 0.0",
        "warn_at = 1.5",
        "max_age_days = 0",
        'day_usd = "5"',
        "day_usd = inf",
        "dday_usd = 5.0",
    ],
)
def test_an_impossible_limit_is_refused_with_its_line(text: str) -> None:
    key = text.partition(" ")[0]
    with pytest.raises(FileError, match=rf"orchestrate\.toml:2: spend\.{key}: "):
        read_policy(f"[spend]\n{text}\n")


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        ("usd", 0, "$0.00"),
        ("usd", 1_500_000, "$1.50"),
        ("usd", 824_000, "$0.82"),
        ("usd", 4_200, "$0.0042"),
        ("usd", 20 * MICROS, "$20.00"),
        ("tokens", 1_234_567, "1,234,567 tokens"),
    ],
)
def test_amounts_are_written_for_a_person(unit: str, amount: int, text: str) -> None:
    assert shown("usd" if unit == "usd" else "tokens", amount) == text


def test_sums_of_cents_are_exact() -> None:
    assert sum(micros(0.1) for _ in range(10)) == micros(1.0)
