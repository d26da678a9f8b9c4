"""`add metric NAME top K` and `add metric NAME complement of METRIC`: a definition with known values, and its page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agents.recipes import drafts, layout, sources
from agents.recipes.layout import Layout
from agents.recipes.naming import NAME, spelled, unquoted
from agents.recipes.protocol import Parameters, Planned, Recipe, Workplace, instruction
from agents.recipes.rendering import render
from tickets.errors import InputError

if TYPE_CHECKING:
    from agents.protocol import Facts

KIND = "add-metric"
SMALLEST_TOP, LARGEST_TOP = 2, 1000
OPPOSITE = {"min": "max", "max": "min"}
Ticket = dict[str, Any]


# the plan


def plan(asked: Parameters, facts: Facts) -> Planned:
    place = Layout.of(facts)
    name, assumptions = spelled(asked["name"], "metric")
    layout.refuse_existing(facts, [place.metric(name), *_definition_files(name, place), *_page_files(name, place)])
    if place.plugin(name) in facts.paths:
        raise InputError(f"{name!r} cannot name a metric: a model has the name, and the core must name no model")
    own, said = _top(asked["top"]) if "top" in asked else _complement(asked["of"], facts, place)
    known: Parameters = {"name": name, **own, **place.parameters}
    tickets = [_definition_ticket(known, facts), _page_ticket(known)]
    return Planned(tickets=tickets, assumptions=[*assumptions, *said])


def _top(written: str) -> tuple[Parameters, list[str]]:
    top = int(written)
    if top < SMALLEST_TOP:
        raise InputError(f"top {top} cannot be a metric of its own: top 1 is accuracy; K is {SMALLEST_TOP} or more")
    if top > LARGEST_TOP:
        raise InputError(f"top {top}: K is at most {LARGEST_TOP}")
    formula = f"mean over targets of [target is among the {top} largest outputs]; of equal outputs the first counts"
    note = f"with {top} classes or fewer every prediction is a hit, so there it measures nothing"
    return {"top": str(top), "formula": formula, "direction": "max"}, [note]


def _complement(written: str, facts: Facts, place: Layout) -> tuple[Parameters, list[str]]:
    other = unquoted(written).replace("-", "_").lower()
    known = [name for name in layout.stems(facts, place.metric("x")) if name != "__init__"]
    if other not in known:
        raise InputError(f"there is no metric {other!r} to be the complement of; known: {', '.join(known) or 'none'}")
    module = sources.parsed(layout.read(facts, place.metric(other)), place.metric(other))
    unit, direction = (sources.text_argument(module, "METRIC", argument) for argument in ("unit", "direction"))
    if unit != "fraction" or direction not in OPPOSITE:
        raise InputError(
            f"1 - {other} means nothing: {other} is measured in {unit or 'no known unit'}, not as a fraction"
        )
    return {"of": other, "formula": f"1 - {other}", "direction": OPPOSITE[direction]}, []


def _definition_files(name: str, place: Layout) -> list[str]:
    return [place.metric(name), place.test(f"metric_{name}")]


def _page_files(name: str, place: Layout) -> list[str]:
    return [_page(name), place.test(f"metric_page_{name}")]


def _page(name: str) -> str:
    return f"docs/metrics/{name}.md"


# its tickets


def _definition_ticket(known: Parameters, facts: Facts) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    definition, test = _definition_files(name, place)
    standing = place.existing_tests(facts, "metrics")
    return {
        "key": "definition",
        "title": f"Metric {name}",
        "objective": f"Define the metric `{name}` as {known['formula']}, with a test of values worked out by hand.",
        "non_goals": [
            "no configuration begins to measure it: add it to `metrics` where it is wanted",
            "no change to any other metric, and no new version of one",
        ],
        "scope": {"new": [definition, test]},
        "tests": drafts.selection([test, *standing], 3),
        "acceptance": [
            drafts.program(
                "from experiment_hub.metrics.registry import metric",
                f"found = metric('{name}')",
                f"assert (found.direction, found.unit) == ('{known['direction']}', 'fraction')",
            ),
            drafts.passes(test),
        ],
        "risk": drafts.risk(cost="none: nothing is trained"),
        "context": f"formula: {known['formula']}\n\n{instruction(KIND, 'definition', known)}",
    }


def _page_ticket(known: Parameters) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    page, test = _page_files(name, place)
    return {
        "key": "page",
        "title": f"Page of the metric {name}",
        "depends_on": ["definition"],
        "objective": f"Say in one page what `{name}` measures, and hold the page against the registered definition.",
        "non_goals": ["no change to the definition", "no change to any other page"],
        "scope": {"new": [page, test]},
        "tests": drafts.selection([test], 2),
        "acceptance": [drafts.passes(test)],
        "risk": drafts.risk(cost="none: nothing is trained"),
        "context": instruction(KIND, "page", known),
    }


# carrying them out


def write_definition(workplace: Workplace, known: Parameters) -> str:
    definition, test = _definition_files(known["name"], Layout.stated(known))
    family = "complement" if "of" in known else "top"
    workplace.write(definition, render(f"metric_{family}.py", **known))
    workplace.write(test, render(f"test_metric_{family}.py", **known))
    return f"`{known['name']}` is defined as {known['formula']}; its values are tested against ones worked out by hand."


def write_page(workplace: Workplace, known: Parameters) -> str:
    place = Layout.stated(known)
    page, test = _page_files(known["name"], place)
    values = {"of": "", "top": "", **known}
    workplace.write(page, render("metric.md", **values))
    workplace.write(test, render("test_metric_page.py", name=known["name"], page=page, up=place.up))
    return f"{page} says what `{known['name']}` measures; a test holds it against the registered definition."


RECIPE = Recipe(
    name=KIND,
    pattern=re.compile(
        rf"add (?:a |the )?(?:new )?metric (?P<name>{NAME})(?: as)?"
        rf"(?: top[ -]?(?P<top>\d{{1,9}})| (?:the )?complement of (?P<of>{NAME}))",
        re.IGNORECASE,
    ),
    usage="add metric NAME top K | complement of METRIC",
    example="add metric error_rate complement of accuracy",
    plan=plan,
    steps={"definition": write_definition, "page": write_page},
)
