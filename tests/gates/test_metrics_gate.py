from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gates.builtin.metrics import GATE

if TYPE_CHECKING:
    from tests.gates.conftest import Judge, MakeCase

ROOT = Path(__file__).parents[2]
HUB = "platform/experiment_hub/metrics/definitions"
SHIPPED = {f"{HUB}/{name}.py": (ROOT / HUB / f"{name}.py").read_text() for name in ("accuracy", "loss", "perplexity")}
LOSS = f"{HUB}/loss.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [(".mean())", ".sum())"), ('unit="nat"', 'unit="bit"'), ('direction="min"', 'direction="max"')],
    ids=["formula", "unit", "direction"],
)
def test_the_hubs_own_definitions_are_understood(make_case: MakeCase, judge: Judge, old: str, new: str) -> None:
    assert old in SHIPPED[LOSS]
    case = make_case({**SHIPPED, "CHANGELOG.md": "\n"}, {LOSS: SHIPPED[LOSS].replace(old, new)})
    verdict = judge.refused(GATE, case, "metrics.version", "metrics.changelog")
    assert all("loss" in finding.message and finding.path == LOSS for finding in verdict.findings)


def test_a_permission_holds_for_the_very_formula(make_case: MakeCase, judge: Judge) -> None:
    bounds = []
    for formula in (".sum())", ".max())"):
        case = make_case(SHIPPED, {LOSS: SHIPPED[LOSS].replace(".mean())", formula)})
        need = judge.refused(GATE, case, "metrics.version", "metrics.changelog").findings[0].need
        assert need is not None
        assert (need.kind, need.subject) == ("metric", "metric loss (version)")
        bounds.append(need.bound)
    assert bounds[0] != bounds[1]


def test_a_local_variable_called_version_is_part_of_the_formula(make_case: MakeCase, judge: Judge) -> None:
    text = "VERSION = 1\n\n\ndef figure(x):\n    version = 2\n    return x * version\n"
    case = make_case({f"{HUB}/odd.py": text}, {f"{HUB}/odd.py": text.replace("version = 2", "version = 3")})
    judge.refused(GATE, case, "metrics.version", "metrics.changelog")


@pytest.mark.parametrize(("old", "new", "higher"), [("1.9", "1.10", True), ("1.10", "1.9", False), ("2", "10", True)])
def test_versions_are_compared_as_numbers(
    make_case: MakeCase,
    judge: Judge,
    old: str,
    new: str,
    higher: bool,  # noqa: FBT001 - a table's column
) -> None:
    text = 'M = Metric(name="m", version="{}", compute=sum)\n'
    case = make_case({f"{HUB}/m.py": text.format(old)}, {f"{HUB}/m.py": text.format(new)})
    if higher:
        judge.allowed(GATE, case)
    else:
        judge.refused(GATE, case, "metrics.version")


def test_without_a_definition_it_does_not_apply(make_case: MakeCase, judge: Judge) -> None:
    assert judge.allowed(GATE, make_case(SHIPPED, {"a.py": "1\n"})).reason.startswith("not applicable: ")


def test_the_rule_names_the_places_of_the_policy(make_case: MakeCase) -> None:
    case = make_case({}, {}, ticket={}, policy={"metrics": {"changelog": "docs/NEWS.md"}})
    assert case.ticket is not None
    assert "docs/NEWS.md" in GATE.rule(case.ticket, case.policy)
