"""`add dataset NAME as rings|moons`: points in the plane, generated and deterministic, with a configuration and a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.recipes import drafts, layout, yaml_text
from agents.recipes.layout import Layout
from agents.recipes.naming import NAME, class_name, spelled
from agents.recipes.protocol import Parameters, Planned, Recipe, Workplace, instruction
from agents.recipes.rendering import render
from tickets.errors import InputError

if TYPE_CHECKING:
    from agents.protocol import Facts

KIND = "add-dataset"
BASE = "mlp"
SMALLEST_CLASSES, LARGEST_CLASSES = 2, 20
Ticket = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A shape that can be generated."""

    what: str
    settings: dict[str, Any]
    """First values of what stands next to `data.name` and `data.splits`."""
    meanings: dict[str, str]


FAMILIES = {
    "rings": Family(
        what="concentric rings, one for each class",
        settings={"samples": 2000, "classes": 3, "noise": 0.05},
        meanings={
            "samples": "how many points; more points change none of the first ones",
            "classes": "how many rings; the outermost has radius 1",
            "noise": "standard deviation of the radius",
        },
    ),
    "moons": Family(
        what="two interleaved half circles",
        settings={"samples": 2000, "noise": 0.1},
        meanings={
            "samples": "how many points; more points change none of the first ones",
            "noise": "standard deviation of both coordinates; the half circles have radius 1",
        },
    ),
}


# the plan


def plan(asked: Parameters, facts: Facts) -> Planned:
    place = Layout.of(facts)
    name, assumptions = spelled(asked["name"], "dataset")
    if place.plugin(name) in facts.paths:
        raise InputError(f"{name!r} cannot name a dataset: a model has the name, and the core must name no model")
    files = (*_definition_files(name, place), *_configuration_files(name, place), *_page_files(name, place))
    layout.refuse_existing(facts, files)
    family = asked["family"].lower()
    classes, said = _classes(asked, family)
    known: Parameters = {"name": name, "family": family, **classes, **place.parameters}
    tickets = [_definition_ticket(known, facts), _page_ticket(known)]
    if _trains_mlp(facts, place):
        tickets.append(_configuration_ticket(known))
    else:
        said.append(f"there is no configuration `{BASE}` to begin from, so none trains on `{name}` yet")
    return Planned(tickets=tickets, assumptions=[*assumptions, *said])


def _classes(asked: Parameters, family: str) -> tuple[Parameters, list[str]]:
    """Give the number of classes where the family leaves it open."""
    if "classes" not in FAMILIES[family].settings:
        if asked.get("classes") not in {None, "2"}:
            raise InputError(f"{family} have two classes, not {asked['classes']}")
        return {}, []
    first = FAMILIES[family].settings["classes"]
    classes = int(asked.get("classes", first))
    if not SMALLEST_CLASSES <= classes <= LARGEST_CLASSES:
        raise InputError(f"{classes} classes: expected {SMALLEST_CLASSES} to {LARGEST_CLASSES}")
    said = [] if "classes" in asked else [f"no number of classes was given, so its configuration begins with {classes}"]
    return {"classes": str(classes)}, said


def _trains_mlp(facts: Facts, place: Layout) -> bool:
    """Whether the configuration to begin from is there and trains on settings that the new one has as well."""
    text = facts.read(place.config(BASE)) if place.config(BASE) in facts.paths else None
    data = yaml_text.data(text, place.config(BASE)) if text else {}
    return {"name", "data", "model", "training"} <= data.keys() and "splits" in data["data"]


def _definition_files(name: str, place: Layout) -> list[str]:
    return [place.dataset(name), place.test(f"dataset_{name}")]


def _configuration_files(name: str, place: Layout) -> list[str]:
    return [place.config(f"{BASE}_on_{name}"), place.test(f"config_{BASE}_on_{name}")]


def _page_files(name: str, place: Layout) -> list[str]:
    return [_page(name), place.test(f"dataset_page_{name}")]


def _page(name: str) -> str:
    return f"docs/datasets/{name}.md"


def _settings(known: Parameters) -> dict[str, Any]:
    classes = {"classes": int(known["classes"])} if "classes" in known else {}
    return {**FAMILIES[known["family"]].settings, **classes}


# its tickets


def _definition_ticket(known: Parameters, facts: Facts) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    definition, test = _definition_files(name, place)
    standing = place.existing_tests(facts, "layers")
    settings = ", ".join(f"{key}={value!r}" for key, value in _settings(known).items())
    return {
        "key": "definition",
        "title": f"Dataset {name}: {known['family']}",
        "objective": f"Generate the dataset `{name}`, {FAMILIES[known['family']].what}: the same points everywhere.",
        "non_goals": ["no download and no file of data", "no change to any other dataset or to the splits"],
        "scope": {"new": [definition, test]},
        "tests": drafts.selection([test, *standing], 4),
        "acceptance": [
            drafts.program(
                "from experiment_hub.datasets.registry import dataset",
                "from experiment_hub.datasets.splits import fingerprint",
                f"found = dataset('{name}').item",
                f"made = [found.generate(found.Config({settings})) for _ in range(2)]",
                "assert fingerprint(made[0]) == fingerprint(made[1])",
            ),
            drafts.passes(test),
        ],
        "risk": drafts.risk(cost="none: nothing is trained"),
        "context": instruction(KIND, "definition", known),
    }


def _configuration_ticket(known: Parameters) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    config, test = _configuration_files(name, place)
    return {
        "key": "configuration",
        "title": f"Configuration {BASE}_on_{name}",
        "depends_on": ["definition"],
        "objective": f"Train `{BASE}` on `{name}` by a configuration of its own, with a test that trains it small.",
        "non_goals": [f"no other model, training, seeds or rule than those of {BASE}", "no tuning"],
        "scope": {"new": [config, test]},
        "tests": drafts.selection([test], 2),
        "acceptance": [drafts.passes(test)],
        "smoke": drafts.smoke(f"{BASE}_on_{name}"),
        "risk": drafts.risk(cost="seconds of one core: smoke runs only"),
        "context": instruction(KIND, "configuration", known),
    }


def _page_ticket(known: Parameters) -> Ticket:
    name, place = known["name"], Layout.stated(known)
    page, test = _page_files(name, place)
    return {
        "key": "page",
        "title": f"Page of the dataset {name}",
        "depends_on": ["definition"],
        "objective": f"Say in one page what `{name}` is, and hold the page against the registered dataset.",
        "non_goals": ["no change to the dataset", "no change to any other page"],
        "scope": {"new": [page, test]},
        "tests": drafts.selection([test], 2),
        "acceptance": [drafts.passes(test)],
        "risk": drafts.risk(cost="none: nothing is trained"),
        "context": instruction(KIND, "page", known),
    }


# carrying them out


def write_definition(workplace: Workplace, known: Parameters) -> str:
    name, family = known["name"], known["family"]
    definition, test = _definition_files(name, Layout.stated(known))
    workplace.write(definition, render(f"dataset_{family}.py", name=name, own_class=class_name(name, "Samples")))
    settings = ", ".join(f'"{key}": {value!r}' for key, value in {**_settings(known), "samples": 500}.items())
    workplace.write(test, render("test_dataset.py", name=name, family=family, settings=settings))
    return f"`{name}` is generated from its settings alone: {FAMILIES[family].what}."


def write_configuration(workplace: Workplace, known: Parameters) -> str:
    name, place = known["name"], Layout.stated(known)
    config, test = _configuration_files(name, place)
    before = workplace.read(place.config(BASE))
    data = yaml_text.data(before, place.config(BASE))
    section = {"name": name, **_settings(known), "splits": data["data"]["splits"]}
    changes: dict[yaml_text.KeyPath, Any] = {("name",): f"{BASE}_on_{name}", ("data",): section}
    if isinstance(data.get("smoke"), dict):
        changes["smoke",] = {key: value for key, value in data["smoke"].items() if _still_there(key, section)}
    workplace.write(config, yaml_text.replaced(before, changes))
    workplace.write(test, render("test_config.py", config=f"{BASE}_on_{name}", dataset=name))
    return f"`{BASE}_on_{name}` trains {BASE} on `{name}`; the rest is as in {BASE}."


def _still_there(key: str, section: dict[str, Any]) -> bool:
    """Whether a key of the smoke section means something on the new data."""
    head, _, rest = key.partition(".")
    return head != "data" or rest.partition(".")[0] in section


def write_page(workplace: Workplace, known: Parameters) -> str:
    name, place, family = known["name"], Layout.stated(known), FAMILIES[known["family"]]
    page, test = _page_files(name, place)
    rows = [{"name": key, "value": value, "meaning": family.meanings[key]} for key, value in _settings(known).items()]
    workplace.write(page, render("dataset.md", name=name, hub=place.hub, what=family.what, rows=rows))
    workplace.write(test, render("test_dataset_page.py", name=name, page=page, up=place.up))
    return f"{page} says what `{name}` is; a test holds it against the registered dataset."


RECIPE = Recipe(
    name=KIND,
    pattern=re.compile(
        rf"add (?:a |the )?(?:new )?dataset (?P<name>{NAME}) as (?P<family>{'|'.join(FAMILIES)})"
        r"(?: with (?P<classes>\d{1,9}) classes)?",
        re.IGNORECASE,
    ),
    usage="add dataset NAME as rings|moons [with N classes]",
    example="add dataset orbits as rings with 4 classes",
    plan=plan,
    steps={"definition": write_definition, "configuration": write_configuration, "page": write_page},
)
