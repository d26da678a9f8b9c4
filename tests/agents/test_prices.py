from __future__ import annotations

import tomllib

import pytest

from agents.prices import FILE, cost, known, normal, same_model
from agents.usage import Usage
from tickets.agents import Price

SAME = [
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
    ("anthropic/claude-opus-5-5", "claude-opus-5-5"),
    ("openrouter/anthropic/claude-opus-5-5", "Claude-Opus-5-5"),
    ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
    ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
    ("claude-sonnet-5-5[1m]", "claude-sonnet-5-5"),
    ("claude-opus-4-0", "claude-opus-4-20250514"),
    ("gpt-5", "gpt-5-2025-08-07"),
    ("openai/gpt-6.1-sol", "gpt-6.1-sol"),
    ("models/gemini-2.5-pro", "gemini-2.5-pro"),
    ("qwen3", "qwen3:latest"),
    ("qwen3", "qwen3:8b"),
    ("org/tiny", "/models/tiny.gguf"),
    ("mistral-large", "mistral-large-2411"),
    ("sonnet", "claude-sonnet-5-5"),
    ("opus", "claude-opus-4-1-20250805"),
    ("haiku", "claude-3-5-haiku-20241022"),
    ("default", "whatever"),
    ("", "whatever"),
    ("gpt-5.5", ""),
]
OTHERS = [
    ("claude-sonnet-4-5", "claude-sonnet-4-6"),
    ("claude-sonnet-4", "claude-sonnet-4-5"),
    ("claude-opus-5-5", "claude-sonnet-5-5"),
    ("sonnet", "claude-opus-5-5"),
    ("gpt-5.5", "gpt-5.5-mini"),
    ("gpt-5.5", "gpt-5.4"),
    ("gpt-6-sol", "gpt-6-luna"),
    ("qwen3:8b", "qwen3:30b"),
    ("claude-sonnet-5-5", "sonnet"),
    ("claude-sonnet-5-5", "default"),
]


@pytest.mark.parametrize(("asked", "answered"), SAME)
def test_a_model_may_answer_under_another_way_to_write_its_name(asked: str, answered: str) -> None:
    assert same_model(asked, answered)


@pytest.mark.parametrize(("asked", "answered"), OTHERS)
def test_another_model_is_another_one(asked: str, answered: str) -> None:
    assert not same_model(asked, answered)


def test_every_listed_price_is_found_under_its_own_name_with_source_and_date() -> None:
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    names = [name for one in document["lists"] for name in one["models"]]
    assert len(names) == len(set(names))
    for name in names:
        listed = known(name)
        assert listed is not None
        assert normal(name) == name
        assert listed.source
        assert 0 < listed.price.input < listed.price.output
        assert (listed.price.cached or 0) <= listed.price.input


def test_a_price_is_found_with_provider_and_date() -> None:
    listed = known("anthropic/claude-opus-4-5-20251101")
    assert listed is not None
    assert (listed.model, listed.price) == ("claude-opus-4-5", Price(input=5.0, cached=0.5, output=25.0))
    assert listed.age_days() > 0


def test_the_name_of_a_family_costs_what_its_dearest_model_costs() -> None:
    listed = known("sonnet")
    assert listed is not None
    assert listed.price.output == 15.0


@pytest.mark.parametrize("model", ["", "default", "gpt-99", "claude-opus-4-5-mini", "llama3.3:70b", "son"])
def test_a_model_that_is_not_listed_has_no_price(model: str) -> None:
    assert known(model) is None


def test_cached_input_costs_its_own_price_and_output_another() -> None:
    used = Usage(input=1_000_000, cached=400_000, output=100_000)
    assert cost(used, Price(input=2.0, cached=0.5, output=10.0)) == pytest.approx(1.2 + 0.2 + 1.0)
    assert cost(used, Price(input=2.0, output=10.0)) == pytest.approx(3.0)
    assert cost(used, Price(input=0.0, output=0.0)) == 0.0


def test_more_cached_than_read_is_never_a_refund() -> None:
    assert cost(Usage(input=10, cached=1_000_000), Price(input=2.0, cached=0.5, output=1.0)) == pytest.approx(0.5)
