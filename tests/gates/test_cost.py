from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gates.builtin.cost import GATE
from gates.protocol import Spent
from gates.runner import lifted
from tickets.grants import Grant, Need

if TYPE_CHECKING:
    from gates.protocol import Case
    from tests.gates.conftest import Judge, MakeCase

TODAY = datetime.now(UTC).date()
CARD = f'source = "https://example.com"\ndate = {TODAY}\ncurrency = "USD"\n[gpus]\nH100 = 3.95\n'
DEAR: dict[str, Any] = {
    "cost": {"gpu": "H100", "count": 2, "hours": 3, "retries": 1},
    "risk": {"cost": "the final run; variant small was verified first"},
}


def permitted(case: Case, need: Need) -> Case:
    assert case.ticket is not None
    expires = datetime.now(UTC) + timedelta(hours=1)
    grant = Grant(
        id="G-0001",
        identity=need.identity(case.ticket.sha256),
        kind=need.kind,
        subject=need.subject,
        person="Ada",
        reason="agreed",
        expires_at=expires.isoformat(),
    )
    return replace(case, grants=(grant,))


def test_the_arithmetic_is_what_a_person_is_asked_about(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({"rates.toml": CARD}, {}, ticket=DEAR)
    verdict = judge.refused(GATE, case, "cost.stop", "cost.day-cap")
    needs = {finding.need for finding in verdict.findings}
    times = "\N{MULTIPLICATION SIGN}"
    expected = f"2 {times} H100 {times} 3 h {times} 2 attempts at $3.95/h = $47.40"
    assert [need.subject for need in needs if need] == [expected]
    assert [(finding.limit, finding.actual) for finding in verdict.findings] == [("$20.00", "$47.40")] * 2


def test_one_permission_for_the_estimate_is_enough(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({"rates.toml": CARD}, {}, ticket=DEAR)
    verdict = judge.refused(GATE, case, "cost.stop", "cost.day-cap")
    need = verdict.findings[0].need
    assert need is not None
    assert lifted(verdict, permitted(case, need)).answer == "pass"


def test_a_permission_ends_with_the_rate_card_it_was_given_on(make_case: MakeCase, judge: Judge) -> None:
    first = judge.refused(GATE, make_case({"rates.toml": CARD}, {}, ticket=DEAR), "cost.stop", "cost.day-cap")
    same_price = make_case({"rates.toml": CARD.replace("example.com", "example.org")}, {}, ticket=DEAR)
    second = judge.refused(GATE, same_price, "cost.stop", "cost.day-cap")
    need = first.findings[0].need
    assert need is not None
    assert lifted(second, permitted(same_price, need)).answer == "fail"


def test_no_permission_stands_in_for_a_reason(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({"rates.toml": CARD}, {}, ticket={**DEAR, "risk": {"cost": "none"}})
    verdict = judge.refused(GATE, case, "cost.stop", "cost.day-cap", "cost.reason")
    need = verdict.findings[0].need
    assert need is not None
    assert lifted(verdict, permitted(case, need)).answer == "fail"


def test_a_permission_to_overspend_does_not_make_an_unknown_price_known(make_case: MakeCase, judge: Judge) -> None:
    spent: dict[str, Any] = {"ticket": {**DEAR, "budget": {"usd": 1}}, "spent": Spent(usd=2)}
    known = make_case({"rates.toml": CARD}, {}, **spent)
    verdict = judge.refused(GATE, known, "cost.stop", "cost.day-cap", "cost.budget-usd")
    need = verdict.findings[-1].need
    unknown = make_case({"rates.toml": None}, {}, **spent)
    assert need is not None
    assert lifted(judge.undecided(GATE, unknown, "no rate card"), permitted(unknown, need)).answer == "inconclusive"


def test_what_passes_says_why(make_case: MakeCase, judge: Judge) -> None:
    cheap = {"cost": {"gpu": "H100", "hours": 0.5}, "budget": {"usd": 1}}
    verdict = judge.allowed(GATE, make_case({"rates.toml": CARD}, {}, ticket=cheap, spent=Spent(usd=0.25, tokens=7)))
    assert verdict.reason.endswith("at $3.95/h = $1.975; agents have used $0.25 and 7 tokens")


@pytest.mark.parametrize("said", ["none", "None.", "n/a", "-", "", "TBD", "none: nothing is trained"])
def test_these_words_are_no_reason(make_case: MakeCase, judge: Judge, said: str) -> None:
    case = make_case({"rates.toml": CARD}, {}, ticket={**DEAR, "risk": {"cost": said}})
    judge.refused(GATE, case, "cost.stop", "cost.day-cap", "cost.reason")


def test_the_rule_names_the_figures_that_are_enforced(make_case: MakeCase) -> None:
    case = make_case({"rates.toml": CARD}, {}, ticket={**DEAR, "budget": {"usd": 1.5, "tokens": 900}})
    assert case.ticket is not None
    text = GATE.rule(case.ticket, case.policy)
    assert all(words in text for words in ("H100", "2 attempts", "`rates.toml`", "$5 ", "$20 ", "$1.5", "900 tokens"))
