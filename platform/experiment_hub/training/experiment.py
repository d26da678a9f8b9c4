"""An experiment: a typed configuration together with the extensions that it names."""

from dataclasses import dataclass
from typing import Any

from experiment_hub.configuration.document import Document
from experiment_hub.configuration.schema import ExperimentConfig
from experiment_hub.datasets.protocol import DatasetSpec
from experiment_hub.datasets.registry import dataset
from experiment_hub.discovery import Extension
from experiment_hub.errors import ConfigurationError, UnknownNameError
from experiment_hub.metrics.definition import MetricDefinition
from experiment_hub.metrics.registry import metric, metrics
from experiment_hub.plugins.protocol import ModelPlugin
from experiment_hub.plugins.registry import plugin
from experiment_hub.strict import Hyperparameters
from experiment_hub.times import now
from experiment_hub.tracking.source import module_hash
from experiment_hub.training.callbacks.registry import callback
from experiment_hub.training.determinism import resolve_device


@dataclass(frozen=True)
class Experiment:
    config: ExperimentConfig
    overrides: dict[str, Any]
    plugin: Extension[ModelPlugin]
    model_config: Hyperparameters
    dataset: Extension[DatasetSpec]
    data_config: Hyperparameters
    metrics: tuple[MetricDefinition, ...]

    def resolved(self) -> dict[str, Any]:
        dumped = self.config.model_dump(mode="json", exclude_none=True)
        for name, section in (("model", self.config.model), ("data", self.config.data)):
            dumped[name] |= section.model_extra or {}  # there `null` is a value that the plugin asked for
        return dumped

    def definitions(self) -> list[dict[str, Any]]:
        """Rows of `metric_versions`: what the figures of a run mean."""
        return [
            {
                **each.words(),
                "definition_hash": each.fingerprint(),
                "code_hash": module_hash(metrics()[each.name].module),
                "added_at": now(),
            }
            for each in self.metrics
        ]

    def extensions(self) -> dict[str, Any]:
        """Module and content hash of everything that the configuration names."""
        named = {f"metric {name}": metrics()[name].module for name in self.config.metrics}
        modules = {"model": self.plugin.module, "dataset": self.dataset.module, **named}
        return {label: {"module": module, "sha256": module_hash(module)} for label, module in modules.items()}


def assemble(document: Document) -> Experiment:
    """Check a document completely, before any run exists; raises BadInputError."""
    config = document.parse(ExperimentConfig, document.data)
    model, data = _named(document, config)
    experiment = Experiment(
        config=config,
        overrides=document.overrides,
        plugin=model,
        model_config=document.parse(model.item.Config, config.model.model_extra, ("model",)),
        dataset=data,
        data_config=document.parse(data.item.Config, config.data.model_extra, ("data",)),
        metrics=tuple(_metric(document, config, index) for index in range(len(config.metrics))),
    )
    if experiment.plugin.item.task != experiment.dataset.item.task:
        raise ConfigurationError(
            f"{document.where(('data', 'name'))}: data.name: {config.data.name} is a {data.item.task} dataset, "
            f"model {config.model.type} needs {model.item.task}"
        )
    for name, settings in config.training.callbacks.items():
        _callback(document, name, settings)
    resolve_device(config.training.device)
    return experiment


def _callback(document: Document, name: str, settings: dict[str, Any]) -> None:
    place = ("training", "callbacks", name)
    try:
        document.parse(callback(name).Config, settings, place)
    except UnknownNameError as error:
        raise ConfigurationError(f"{document.where(place)}: {'.'.join(place)}: {error}") from error


def _named(document: Document, config: ExperimentConfig) -> tuple[Extension[ModelPlugin], Extension[DatasetSpec]]:
    try:
        model = plugin(config.model.type)
    except UnknownNameError as error:
        raise ConfigurationError(f"{document.where(('model', 'type'))}: model.type: {error}") from error
    try:
        return model, dataset(config.data.name)
    except UnknownNameError as error:
        raise ConfigurationError(f"{document.where(('data', 'name'))}: data.name: {error}") from error


def _metric(document: Document, config: ExperimentConfig, index: int) -> MetricDefinition:
    place = f"{document.where(('metrics', index))}: metrics.{index}"
    try:
        found = metric(config.metrics[index])
    except UnknownNameError as error:
        raise ConfigurationError(f"{place}: {error}") from error
    task = plugin(config.model.type).item.task
    if task not in found.tasks:
        raise ConfigurationError(f"{place}: {found.name} is defined for {', '.join(sorted(found.tasks))}, not {task}")
    return found
