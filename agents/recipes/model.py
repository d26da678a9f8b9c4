"""`add model NAME [like PLUGIN]`: a plugin that extends another one, its configuration, its page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agents.recipes import drafts, layout, sources, yaml_text
from agents.recipes.layout import Layout
from agents.recipes.naming import NAME, class_name, spelled, unquoted
from agents.recipes.protocol import Parameters, Planned, Recipe, Workplace, instruction
from agents.recipes.rendering import render
from agents.recipes.steering import steer
from tickets.errors import InputError

if TYPE_CHECKING:
    from agents.protocol import Facts

KIND = "add-model"
DEFAULT_PARENT = "mlp"
Ticket = dict[str, Any]


# the plan


def plan(asked: Parameters, facts: Facts) -> Planned:
    place = Layout.of(facts)
    name, assumptions = spelled(asked["name"], "model")
    parent = _parent(asked, facts, place)
    if "parent" not in asked:
        assumptions.append(f"no parent was named, so `{name}` extends `{parent}`")
    _refuse_taken(name, facts, place)
    base = _base(parent, facts, place)
    known: Parameters = {"name": name, "parent": parent, "base": base, **place.parameters}
    before = yaml_text.data(layout.read(facts, place.config(base)), place.config(base))["model"]
    changed, said = steer(name, before, f"configuration {base}")
    after = {**before, **changed, "type": name}
    tickets = [_plugin_ticket(known, facts), _configuration_ticket(known, after), _page_ticket(known)]
    return Planned(tickets=tickets, assumptions=[*assumptions, *said])


def _parent(asked: Parameters, facts: Facts, place: Layout) -> str:
    """Give the plugin to extend; raise InputError with the known ones where there is no such plugin."""
    parent = unquoted(asked.get("parent", DEFAULT_PARENT)).replace("-", "_").lower()
    known = [name for name in layout.stems(facts, place.plugin("x")) if _plugin_class(facts, place, name)]
    if parent not in known:
        raise InputError(f"there is no plugin {parent!r} to be like; known: {', '.join(known) or 'none'}")
    return parent


def _plugin_class(facts: Facts, place: Layout, name: str) -> str | None:
    path = place.plugin(name)
    return sources.instance_class(sources.parsed(layout.read(facts, path), path), "PLUGIN")


def _refuse_taken(name: str, facts: Facts, place: Layout) -> None:
    """Refuse names of files that exist, and words that the platform's core uses: the core must name no model."""
    if place.plugin(name) in facts.paths:
        raise InputError(f"the model {name!r} exists already: {place.plugin(name)}")
    layout.refuse_existing(facts, [*_configuration_files(name, place), *_page_files(name, place)])
    word = re.compile(rf"""(["']){name}\1""")
    for path in facts.paths:
        core = path.startswith(f"{place.hub}/") and not path.startswith(f"{place.hub}/plugins/")
        if core and path.endswith(".py") and word.search(facts.read(path) or ""):
            raise InputError(f"{name!r} cannot name a model: {path} uses the word, and the core must name no model")


def _base(parent: str, facts: Facts, place: Layout) -> str:
    """Give the configuration to begin from: the parent's own one, else the first that trains the parent."""
    names = layout.stems(facts, place.config("x"))
    for name in sorted(names, key=lambda name: (name != parent, name)):
        path = place.config(name)
        section = yaml_text.data(layout.read(facts, path), path).get("model")
        if isinstance(section, dict) and section.get("type") == parent:
            return name
    raise InputError(f"no configuration trains the plugin {parent!r}, so there are no values to begin from")


def _configuration_files(name: str, place: Layout) -> list[str]:
    return [place.config(name), place.test(f"model_{name}")]


def _page_files(name: str, place: Layout) -> list[str]:
    return [_page(name), place.test(f"registry_{name}")]


def _page(name: str) -> str:
    return f"docs/models/{name}.md"


# its tickets


def _plugin_ticket(known: Parameters, facts: Facts) -> Ticket:
    name, parent, place = known["name"], known["parent"], Layout.stated(known)
    tests = place.existing_tests(facts, "discovery", "layers")
    extends = f"assert isinstance(new, type(old)) and new.Config is old.Config, '{name} does not extend {parent}'"
    return {
        "key": "plugin",
        "title": f"Plugin {name}, like {parent}",
        "objective": f"Register a model `{name}` that is built and trained as `{parent}` is, under a name of its own.",
        "non_goals": [
            f"no copy of the code of `{parent}` and no change to it",
            "no change to discovery or to any other part of the core",
            "no configuration, test or page: tickets of their own",
        ],
        "scope": {"new": [place.plugin(name)]},
        "tests": drafts.selection(tests, len(tests)),
        "acceptance": [
            drafts.program(
                "from experiment_hub.plugins.registry import plugin",
                f"new, old = plugin('{name}').item, plugin('{parent}').item",
                extends,
                f"assert (new.name, old.name) == ('{name}', '{parent}')",
            )
        ],
        "risk": drafts.risk(cost="none: nothing is trained", perf="one more small module is imported by discovery"),
        "context": instruction(KIND, "plugin", known),
    }


def _configuration_ticket(known: Parameters, model: dict[str, Any]) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    config, test = _configuration_files(name, place)
    return {
        "key": "configuration",
        "title": f"Configuration and smoke test of {name}",
        "depends_on": ["plugin"],
        "objective": f"Give `{name}` a configuration that trains, and a test that trains it small.",
        "non_goals": [
            f"no other data, seeds, metrics or decision rule than those of {known['base']}",
            "no tuning: whether it is better is for `hub decide` to say",
        ],
        "scope": {"new": [config, test]},
        "tests": drafts.selection([test], 3),
        "acceptance": [
            drafts.program(
                "from experiment_hub.configuration.document import load",
                f"data = load('{name}').data",
                f"assert (data['name'], data['model']) == ('{name}', {model!r}), data",
            ),
            drafts.passes(test),
        ],
        "smoke": drafts.smoke(name),
        "risk": drafts.risk(cost="seconds of one core: smoke runs only"),
        "context": f"model: {yaml_text.flow(model)}\n\n{instruction(KIND, 'configuration', known)}",
    }


def _page_ticket(known: Parameters) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    page, test = _page_files(name, place)
    return {
        "key": "page",
        "title": f"Page and registry test of {name}",
        "depends_on": ["plugin"],
        "objective": f"Say in one page what `{name}` is and how it is run, and test that it is found and described.",
        "non_goals": ["no change to any other page", "no figures: none were measured"],
        "scope": {"new": [page, test]},
        "tests": drafts.selection([test], 3),
        "acceptance": [drafts.passes(test)],
        "risk": drafts.risk(cost="none: nothing is trained"),
        "context": instruction(KIND, "page", known),
    }


# carrying them out


def write_plugin(workplace: Workplace, known: Parameters) -> str:
    name, parent, place = known["name"], known["parent"], Layout.stated(known)
    path = place.plugin(parent)
    parent_class = sources.instance_class(sources.parsed(workplace.read(path), path), "PLUGIN")
    if parent_class is None:
        raise InputError(f"{path} has no `PLUGIN = Class()` to extend")
    own_class = class_name(name, parent_class)
    text = render("plugin.py", name=name, parent=parent, parent_class=parent_class, own_class=own_class)
    workplace.write(place.plugin(name), text)
    return f"`{name}` extends `{parent}` by inheritance and registers itself; the core was not touched."


def write_configuration(workplace: Workplace, known: Parameters) -> str:
    name, place = known["name"], Layout.stated(known)
    config, test = _configuration_files(name, place)
    before = workplace.read(place.config(known["base"]))
    changed = _changed(known, before)
    own: dict[yaml_text.KeyPath, Any] = {("model", key): value for key, value in changed.items()}
    workplace.write(config, yaml_text.replaced(before, {("name",): name, ("model", "type"): name, **own}))
    workplace.write(test, render("test_model.py", name=name))
    shown = ", ".join(f"{key} {yaml_text.flow(value)}" for key, value in changed.items()) or "the same values"
    return f"`{name}` is configured as {known['base']} with {shown}, and a test trains it small."


def write_page(workplace: Workplace, known: Parameters) -> str:
    name, parent, place = known["name"], known["parent"], Layout.stated(known)
    page, test = _page_files(name, place)
    text = workplace.read(place.config(known["base"]))
    values = {**yaml_text.data(text, known["base"])["model"], **_changed(known, text)}
    described = sources.Plugins(read=lambda plugin: workplace.read(place.plugin(plugin))).fields(parent)
    rows = [_row(key, value, described.get(key)) for key, value in values.items() if key != "type"]
    workplace.write(page, render("model.md", name=name, parent=parent, base=known["base"], hub=place.hub, rows=rows))
    workplace.write(test, render("test_registry.py", name=name, page=page, up=place.up))
    return f"{page} says what `{name}` is and how it is run; a test holds it against the registered plugin."


def _changed(known: Parameters, base: str) -> dict[str, Any]:
    return steer(known["name"], yaml_text.data(base, known["base"])["model"], known["base"])[0]


def _row(key: str, value: Any, field: sources.Field | None) -> dict[str, str]:
    cells = {
        "name": key,
        "type": field.type if field else "",
        "value": yaml_text.flow(value),
        "meaning": field.meaning if field else "",
    }
    return {label: cell.replace("|", "\\|") or "-" for label, cell in cells.items()}


RECIPE = Recipe(
    name=KIND,
    pattern=re.compile(rf"add (?:a |the )?(?:new )?model (?P<name>{NAME})(?: like (?P<parent>{NAME}))?", re.IGNORECASE),
    usage="add model NAME [like PLUGIN]",
    example="add model wide_mlp like mlp",
    plan=plan,
    steps={"plugin": write_plugin, "configuration": write_configuration, "page": write_page},
)
