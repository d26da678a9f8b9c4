"""Cases of the gate `cost`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gates.example import Example
from gates.protocol import Spent

TODAY = datetime.now(UTC).date()
CARD = f'source = "https://example.com/pricing"\ndate = {TODAY}\ncurrency = "USD"\n[gpus]\nT4 = 0.5\nH100 = 4.0\n'
BASE = {"rates.toml": CARD}
REASON = {"cost": "the final run; variant small was verified first"}
HUGE = "1e999"
"""TOML reads it as infinity."""


def launch(gpu: str, hours: float, *, count: int = 1, retries: int = 0) -> dict[str, object]:
    """Give the keys of a ticket that launches something paid, with a reason."""
    return {"cost": {"gpu": gpu, "hours": hours, "count": count, "retries": retries}, "risk": REASON}


CHEAP = launch("T4", 1)

CASES = (
    Example(
        name="a worst case in the tier that asks",
        base=BASE,
        ticket=launch("H100", 2),
        expects=("cost.asks",),
    ),
    Example(
        name="retries that lift a cheap run into the tier that asks",
        base=BASE,
        ticket=launch("H100", 1, retries=1),
        expects=("cost.asks",),
    ),
    Example(
        name="exactly the figure from which a person is asked",
        base={"rates.toml": CARD.replace("4.0", "5.0")},
        ticket=launch("H100", 1),
        expects=("cost.asks",),
    ),
    Example(
        name="exactly the figure from which it stops, and no more than a day's",
        base=BASE,
        ticket=launch("H100", 5),
        expects=("cost.stop",),
    ),
    Example(
        name="many small ones that are more than a whole day's together",
        base=BASE,
        ticket=launch("T4", 1, count=41),
        expects=("cost.stop", "cost.day-cap"),
    ),
    Example(
        name="much money without a reason",
        base=BASE,
        ticket={**launch("H100", 5), "risk": {"cost": "none"}},
        expects=("cost.stop", "cost.reason"),
    ),
    Example(
        name="a day's cap below what one ticket may spend unasked",
        base=BASE,
        ticket=launch("H100", 1),
        policy={"cost": {"day_cap_usd": 3.0}},
        expects=("cost.day-cap",),
    ),
    Example(
        name="agents that used more than the budget",
        base=BASE,
        ticket={"budget": {"usd": 1.0}},
        spent=Spent(usd=1.01),
        expects=("cost.budget-usd",),
    ),
    Example(
        name="agents that used more tokens than the budget",
        ticket={"budget": {"tokens": 1000}},
        spent=Spent(tokens=1001),
        expects=("cost.budget-tokens",),
    ),
    Example(
        name="an agent beyond its own maximum, without any budget in the ticket",
        ticket={},
        policy={
            "agents": {"coder": {"kind": "command", "command": ["coder"], "max_usd": 0.5}},
            "roles": {"executor": "coder"},
        },
        attempt=2,
        spent=Spent(usd=1.25),
        expects=("cost.agent-usd",),
    ),
    Example(
        name="a price cut that the change itself writes",
        base=BASE,
        change={"rates.toml": CARD.replace("4.0", "0.01")},
        ticket=launch("H100", 2),
        expects=("cost.asks",),
    ),
    Example(name="no rate card", ticket=CHEAP, undecided="there is no rate card"),
    Example(
        name="a rate card that only the change brings",
        change={"rates.toml": CARD},
        ticket=CHEAP,
        undecided="there is no rate card",
    ),
    Example(
        name="a GPU that the card does not price",
        base=BASE,
        ticket=launch("B200", 1),
        undecided="the price of B200 is unknown",
    ),
    Example(
        name="a GPU priced under another spelling",
        base=BASE,
        ticket=launch("h100", 1),
        undecided="the price of h100 is unknown",
    ),
    Example(
        name="prices that are too old",
        base={"rates.toml": CARD.replace(str(TODAY), str(TODAY - timedelta(days=91)))},
        ticket=CHEAP,
        undecided="days old",
    ),
    Example(
        name="prices of next year",
        base={"rates.toml": CARD.replace(str(TODAY), str(TODAY + timedelta(days=365)))},
        ticket=CHEAP,
        undecided="in the future",
    ),
    Example(
        name="a card without a date",
        base={"rates.toml": CARD.replace(f"date = {TODAY}\n", "")},
        ticket=CHEAP,
        undecided="date",
    ),
    Example(
        name="a card without a source",
        base={"rates.toml": CARD.replace('source = "https://example.com/pricing"\n', "")},
        ticket=CHEAP,
        undecided="source",
    ),
    Example(
        name="a negative price",
        base={"rates.toml": CARD.replace("0.5", "-0.5")},
        ticket=CHEAP,
        undecided="a price above 0",
    ),
    Example(
        name="a price that is no number",
        base={"rates.toml": CARD.replace("0.5", "nan")},
        ticket=CHEAP,
        undecided="a price above 0",
    ),
    Example(
        name="an infinite price of another GPU",
        base={"rates.toml": CARD.replace("4.0", HUGE)},
        ticket=CHEAP,
        undecided="a price above 0",
    ),
    Example(
        name="a free GPU",
        base={"rates.toml": CARD.replace("0.5", "0")},
        ticket=CHEAP,
        undecided="a price above 0",
    ),
    Example(
        name="prices in another currency",
        base={"rates.toml": CARD.replace("USD", "EUR")},
        ticket=CHEAP,
        undecided="currency",
    ),
    Example(
        name="a card that is not TOML",
        base={"rates.toml": "H100: 4.0\n"},
        ticket=CHEAP,
        undecided="the rate card cannot be used",
    ),
    Example(
        name="a client that reports less than nothing",
        base=BASE,
        ticket=CHEAP,
        spent=Spent(usd=-3.0),
        undecided="which is no amount",
    ),
    Example(
        name="a client that reports no number",
        base=BASE,
        ticket={"budget": {"usd": 1.0}},
        spent=Spent(usd=float("nan")),
        undecided="which is no amount",
    ),
    Example(
        name="an unknown price besides an overspent budget",
        ticket={**CHEAP, "budget": {"usd": 1.0}},
        spent=Spent(usd=2.0),
        undecided="besides: ",
    ),
    Example(name="a cheap run", base=BASE, ticket=CHEAP),
    Example(name="a run just below the figure from which a person is asked", base=BASE, ticket=launch("H100", 1.24)),
    Example(name="a ticket that launches nothing, with no rate card", change={"a.txt": "a\n"}),
    Example(name="no ticket", base=BASE, change={"a.txt": "a\n"}, ticket=None),
    Example(
        name="a budget used up to the cent",
        ticket={"budget": {"usd": 0.3, "tokens": 5}},
        spent=Spent(usd=0.3, tokens=5),
    ),
    Example(
        name="prices on their last day",
        base={"rates.toml": CARD.replace(str(TODAY), str(TODAY - timedelta(days=90)))},
        ticket=CHEAP,
    ),
    Example(
        name="a card at another place that the policy names",
        base={"prices/cards.toml": CARD},
        ticket=CHEAP,
        policy={"cost": {"rates": "prices/cards.toml"}},
    ),
    Example(
        name="tiers that the policy raises",
        base=BASE,
        ticket=launch("H100", 10),
        policy={"cost": {"auto_below_usd": 100.0, "stop_from_usd": 200.0, "day_cap_usd": 500.0}},
    ),
    Example(
        name="two attempts within twice the agent's maximum",
        ticket={},
        policy={
            "agents": {"coder": {"kind": "command", "command": ["coder"], "max_usd": 0.5}},
            "roles": {"executor": "coder"},
        },
        attempt=2,
        spent=Spent(usd=1.0),
    ),
)
