"""What Claude Code counts, as our own counts; figures that are none count as nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agents.usage import NOTHING, Usage
from agents.values import amount, count, table

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARACTERS = 4
"""Of a token, roughly: the client says what an answer read when it begins, and what it wrote only in the end."""


def of_message(usage: Any, *, written: int) -> Usage:
    """Count one answer of the model, from what is known when it begins and the characters that it wrote since."""
    given = table(usage)
    cached = count(given.get("cache_read_input_tokens"))
    fresh = count(given.get("input_tokens")) + count(given.get("cache_creation_input_tokens"))
    output = max(count(given.get("output_tokens")), math.ceil(written / CHARACTERS))
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
        usd=amount(result.get("total_cost_usd")) or total.usd,
    )


def _of_models(models: Any) -> Usage | None:
    """Add up what each model was used for; None where the client does not say."""
    if not isinstance(models, dict):
        return None
    return sum((_of_model(table(each)) for each in models.values()), Usage(usd=0.0))


def _of_model(given: Mapping[str, Any]) -> Usage:
    cached = count(given.get("cacheReadInputTokens"))
    fresh = count(given.get("inputTokens")) + count(given.get("cacheCreationInputTokens"))
    return Usage(
        input=fresh + cached,
        cached=cached,
        output=count(given.get("outputTokens")),
        usd=amount(given.get("costUSD")) or 0.0,
    )
