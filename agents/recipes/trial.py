"""`try KEY VALUE [on CONFIG]`: one changed value, which lands only when the registered rule says better."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agents.recipes import drafts, layout, yaml_text
from agents.recipes.layout import Layout
from agents.recipes.naming import NAME, unquoted
from agents.recipes.protocol import Parameters, Planned, Recipe, Workplace, instruction
from agents.recipes.yaml_text import flow
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.protocol import Facts
    from agents.recipes.yaml_text import KeyPath

KIND = "try"
DEFAULT_CONFIG = "mlp"
DECISION_S = 1800.0  # two runs per seed, trained in full
MINIMUM_SEEDS = 2
GOALPOSTS = {
    "decision": "it is the rule that judges the trial",
    "seeds": "they decide what is measured",
    "metrics": "they are what is measured",
    "name": "it identifies the experiment",
    "version": "it is the version of the file's form",
    "smoke": "a decision trains without it, so nothing would be measured",
    "data": "baseline and candidate are compared on the same data",
}


# the plan


def plan(asked: Parameters, facts: Facts) -> Planned:
    place = Layout.of(facts)
    config = _config(asked, facts, place)
    text = layout.read(facts, place.config(config))
    data = yaml_text.data(text, place.config(config))
    key = _key(asked["key"], data)
    before, after = yaml_text.at(data, key), yaml_text.value_of(asked["value"])
    _refuse_senseless(".".join(key), before, after)
    rule = _rule(data, place.config(config))
    yaml_text.replaced(text, {key: after})  # what cannot be carried out is refused now
    known = {"config": config, "key": ".".join(key), "value": flow(after), **place.parameters}
    assumptions = [] if "config" in asked else [f"no configuration was named, so it is tried on {config}"]
    if ".".join(key) != asked["key"]:
        assumptions.append(f"`{asked['key']}` is {known['key']}")
    return Planned(tickets=[_ticket(known, flow(before), rule, facts)], assumptions=assumptions)


def _config(asked: Parameters, facts: Facts, place: Layout) -> str:
    config = unquoted(asked.get("config", DEFAULT_CONFIG)).removesuffix(".yaml")
    known = layout.stems(facts, place.config("x"))
    if config not in known:
        raise InputError(f"there is no configuration {config!r}; known: {', '.join(known) or 'none'}")
    return config


def _key(written: str, data: Mapping[str, Any]) -> KeyPath:
    """Give the path that a dotted key, or a bare one that only one path ends with, stands for: as `hub --set` does."""
    known = [path for path in yaml_text.paths(data) if path[0] != "smoke" or len(path) == 1]
    exact = tuple(written.split("."))
    found = [exact] if exact in known else [path for path in known if path[-1] == written]
    shown = ", ".join(sorted(".".join(path) for path in found or known))
    if len(found) != 1:
        raise InputError(f"{'ambiguous' if found else 'unknown'} key {written!r}; candidates: {shown}")
    if reason := GOALPOSTS.get(found[0][0]):
        raise InputError(f"{'.'.join(found[0])} cannot be tried: {reason}, and a trial must not move the goalposts")
    return found[0]


def _refuse_senseless(key: str, before: Any, after: Any) -> None:
    if isinstance(before, dict):
        raise InputError(f"{key} is a section, not a value; try one of its keys: {', '.join(before)}")
    if _kind(before) != _kind(after):
        raise InputError(f"{key} is {_kind(before)} ({flow(before)}), and {flow(after)} is {_kind(after)}")
    if before == after:
        raise InputError(f"{key} is {flow(before)} already")


def _kind(value: Any) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a word", list: "a list"}
    return names.get(type(value), "nothing")


def _rule(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give the registered rule with its seeds; raise InputError where the hub could not decide by it."""
    decision, seeds = data.get("decision"), data.get("seeds")
    if not isinstance(decision, dict) or not {"metric", "split", "minimum_effect"} <= decision.keys():
        raise InputError(f"{path} registers no rule, so nothing could say better: add `decision` first")
    if not isinstance(seeds, list) or len(seeds) < MINIMUM_SEEDS:
        raise InputError(f"{path} has fewer than {MINIMUM_SEEDS} seeds, and a decision needs pairs of runs")
    return {**decision, "seeds": seeds}


def _ticket(known: Parameters, before: str, rule: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    config, key, value, place = known["config"], known["key"], known["value"], Layout.stated(known)
    path = place.config(config)
    tests = place.existing_tests(facts, f"model_{config}")
    setting = f"{key}={before}"  # the file holds the new value by then: this makes the baseline of it
    options = ("--baseline-set", setting, "--json", "--home", drafts.HOME)
    return {
        "key": "trial",
        "title": f"Try {key} {value} on {config}",
        "objective": f"Set {key} to {value} in {config}, and keep it only if the registered rule says better.",
        "non_goals": [
            "no change to the rule, the seeds, the metrics or the data",
            "no other value, no code: one change, so that the verdict is about it",
        ],
        "scope": {"write": [path]},
        "tests": drafts.selection(tests, len(tests)),
        "acceptance": [drafts.hub("decide", path, path, *options, timeout_s=DECISION_S)],
        "risk": drafts.risk(
            cost=f"{2 * len(rule['seeds'])} full runs of {config} for each judgement, on the machine of the harness",
            perf="runs of this configuration may take longer or shorter",
        ),
        "context": f"{_context(known, before, rule)}\n\n{instruction(KIND, 'change', known)}",
    }


def _context(known: Parameters, before: str, rule: Mapping[str, Any]) -> str:
    measured = f"{rule['split']}.{rule['metric']}"
    return "\n".join(
        [
            f"Hypothesis: {known['key']} {known['value']} instead of {before} makes {measured} of {known['config']} better.",
            "",
            "The rule was registered in the configuration before anything was measured:",
            f"- metric {measured}, seeds {flow(rule['seeds'])}, one pair of runs for each seed",
            f"- better: the mean improvement is at least {flow(rule['minimum_effect'])}, its 95 % interval excludes zero",
            f"- baseline: the configuration at the ticket's base, that is with {known['key']}={before}",
            "- worse and inconclusive do not land",
        ]
    )


# carrying it out


def change(workplace: Workplace, known: Parameters) -> str:
    path = Layout.stated(known).config(known["config"])
    key, value = tuple(known["key"].split(".")), yaml_text.value_of(known["value"])
    workplace.write(path, yaml_text.replaced(workplace.read(path), {key: value}))
    return (
        f"{known['key']} of {known['config']} is {known['value']} now; whether that is better is for the rule to say."
    )


RECIPE = Recipe(
    name=KIND,
    pattern=re.compile(
        rf"try (?P<key>[\w.]+)(?: ?= ?| (?:to |at )?)(?P<value>.+?)(?: on (?P<config>{NAME}))?", re.IGNORECASE
    ),
    usage="try KEY VALUE [on CONFIG]",
    example="try learning_rate 0.01 on mlp",
    plan=plan,
    steps={"change": change},
)
