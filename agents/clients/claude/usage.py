"""What Claude Code counts, as our own counts; figures that are none count as nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agents.usage import NOTHING, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 10**12
CHARACTERS = 4
"""Of a token, roughly: the client says what an answer read when it begins, and what it wrote only in the end."""


def of_message(usage: Any, *, written: int) -> Usage:
    """Count one answer of the model, from what is known when it begins and the characters that it wrote since."""
    given = _table(usage)
    cached = _count(given.get("cache_read_input_tokens"))
    fresh = _count(given.get("input_tokens")) + _count(given.get("cache_creation_input_tokens"))
    output = max(_count(given.get("output_tokens")), math.ceil(written / CHARACTERS))
    return Usage(input=fresh + cached, cached=cached, output=output)


def of_run(result: Mapping[str, Any], *, before: Usage) -> Usage:
    """Count this run alone: the client counts money and models on from run to run, and `usage` leaves out what was stopped."""
    run = _of_models(result.get("model_usage_since_last_result"))
    return of_session(result).since(before) if run is None else run


def of_session(result: Mapping[str, Any]) -> Usage:
    """Count the whole session, the runs before this one included."""
    total = _of_models(result.get("modelUsage")) or NOTHING
    return Usage(
        input=total.input,
        cached=total.cached,
        output=total.output,
        usd=_money(result.get("total_cost_usd")) or total.usd,
    )


def _of_models(models: Any) -> Usage | None:
    """Add up what each model was used for; None where the client does not say."""
    if not isinstance(models, dict):
        return None
    return sum((_of_model(_table(each)) for each in models.values()), Usage(usd=0.0))


def _of_model(given: Mapping[str, Any]) -> Usage:
    cached = _count(given.get("cacheReadInputTokens"))
    fresh = _count(given.get("inputTokens")) + _count(given.get("cacheCreationInputTokens"))
    return Usage(
        input=fresh + cached, cached=cached, output=_count(given.get("outputTokens")), usd=_money(given.get("costUSD"))
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else 0


def _money(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and 0 <= value <= MOST else 0.0
