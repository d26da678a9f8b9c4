"""A model as a folder: what it is (`model.json`), how it came to be (`config.yaml`), what it learned (its runtime's file)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field, JsonValue, ValidationError

from experiment_hub.configuration.document import Document
from experiment_hub.configuration.schema import ExperimentConfig
from experiment_hub.errors import CorruptError
from experiment_hub.files import write_atomically, write_json
from experiment_hub.plugins.protocol import framework
from experiment_hub.plugins.registry import plugin
from experiment_hub.strict import StrictModel
from experiment_hub.tasks import DataSpec
from experiment_hub.training.runtimes.protocol import Blueprint, Runtime
from experiment_hub.training.runtimes.registry import runtime_of

FORMAT: Final = 1
DESCRIPTION, CONFIGURATION = "model.json", "config.yaml"


class Shape(StrictModel):
    input_shape: tuple[int, ...]
    outputs: int


class Description(StrictModel):
    """`model.json`."""

    format: Literal[1]
    type: str
    """The plugin's name."""
    framework: str
    task: str
    spec: Shape
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    """Run, dataset hash, figures, census: for people and the registry, not needed to load."""


@dataclass(frozen=True)
class SavedModel:
    blueprint: Blueprint
    runtime: Runtime
    model: Any
    config: ExperimentConfig
    facts: Mapping[str, Any]


def write_model(
    folder: Path, model: Any, *, blueprint: Blueprint, config: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Into a new folder; `config` is the resolved configuration. `model.json` comes last: without it there is no model."""
    folder.mkdir(parents=True)
    runtime_of(blueprint.plugin).save(blueprint, model, folder)
    write_atomically(folder / CONFIGURATION, yaml.safe_dump(dict(config), sort_keys=False).encode())
    described = Description(
        format=FORMAT,
        type=blueprint.plugin.name,
        framework=framework(blueprint.plugin),
        task=blueprint.plugin.task,
        spec=Shape(input_shape=blueprint.spec.input_shape, outputs=blueprint.spec.outputs),
        facts=dict(facts),
    )
    write_json(folder / DESCRIPTION, described.model_dump(mode="json"))


def read_model(folder: Path) -> SavedModel:
    """Build it anew and fill in what was learned; raises CorruptError, or BadInputError when its plugin is missing."""
    described = _described(folder / DESCRIPTION)
    blueprint, config = _blueprint(folder, described)
    if framework(blueprint.plugin) != described.framework:
        raise CorruptError(
            f"{folder / DESCRIPTION}: model {described.type!r} was of framework {described.framework}, "
            f"its plugin is now of {framework(blueprint.plugin)}"
        )
    runtime = runtime_of(blueprint.plugin)
    return SavedModel(blueprint, runtime, runtime.load(blueprint, folder), config, described.facts)


def _described(path: Path) -> Description:
    try:
        return Description.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CorruptError(f"{path}: not a model's description of format {FORMAT}: {_first_line(error)}") from error


def _blueprint(folder: Path, described: Description) -> tuple[Blueprint, ExperimentConfig]:
    path = folder / CONFIGURATION
    try:
        data = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise CorruptError(f"{path}: not the configuration of a model: {_first_line(error)}") from error
    document = Document(data, str(path))
    config = document.parse(ExperimentConfig, data)
    found = plugin(described.type).item
    hyperparameters = document.parse(found.Config, config.model.model_extra, ("model",))
    spec = DataSpec(described.spec.input_shape, described.spec.outputs)
    return Blueprint(found, hyperparameters, spec), config


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
