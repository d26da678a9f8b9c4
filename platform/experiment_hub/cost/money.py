"""Amounts of US dollars; every amount that is stored is a whole number of millionths, so that sums come out even."""

import math

MILLIONTHS = 1_000_000


def rounded(usd: float) -> float:
    """The nearest millionth; also puts a sum of stored amounts right again."""
    return round(usd * MILLIONTHS) / MILLIONTHS


def rounded_up(usd: float) -> float:
    """For what may be asked for at worst; an amount that is a millionth already stays what it is."""
    return math.ceil(round(usd * MILLIONTHS, 3)) / MILLIONTHS


def shown(usd: float) -> str:
    """`$12.00`, and more digits where cents would hide the amount."""
    digits = 2 if usd == 0 or abs(usd) >= 0.01 else 6  # noqa: PLR2004 -- one cent
    return f"{'-' if usd < 0 else ''}${abs(usd):,.{digits}f}"
