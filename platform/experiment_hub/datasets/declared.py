"""The `data` section of a configuration as a dataset with its typed settings."""

from dataclasses import dataclass

from experiment_hub.configuration.document import Document
from experiment_hub.configuration.schema import DataSection
from experiment_hub.datasets.protocol import DatasetSpec, Samples
from experiment_hub.datasets.registry import dataset
from experiment_hub.discovery import Extension
from experiment_hub.errors import ConfigurationError
from experiment_hub.strict import Hyperparameters


@dataclass(frozen=True)
class Declared:
    section: DataSection
    dataset: Extension[DatasetSpec]
    config: Hyperparameters

    def samples(self) -> Samples:
        return self.dataset.item.generate(self.config)


def declared(document: Document) -> Declared:
    """Raises ConfigurationError with file, line and key, UnknownNameError."""
    if not isinstance(document.data.get("data"), dict):
        raise ConfigurationError(f"{document.source}: data: expected a section with `name` and `splits`")
    section = document.parse(DataSection, document.data["data"], ("data",))
    found = dataset(section.name)
    return Declared(section, found, document.parse(found.item.Config, section.model_extra, ("data",)))
