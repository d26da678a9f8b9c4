"""Local CSV and JSON lines with a declared schema."""

from collections.abc import Sequence

from pydantic import Field

from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.datasets.sources.delimited import read_table
from experiment_hub.datasets.sources.opening import DataFile
from experiment_hub.datasets.sources.tables import Table, TableConfig, problems_of, samples_of
from experiment_hub.tasks import CLASSIFICATION


class Files:
    name = "files"
    task = CLASSIFICATION

    class Config(TableConfig):
        """Settings of `data`."""

        folder: str = Field(min_length=1)
        """A path; a relative one begins where the command runs."""
        files: tuple[DataFile, ...] = Field(min_length=1)
        """`.csv` or `.jsonl`, also with `.gz` behind; one table after the other."""

    def generate(self, config: Config) -> Samples:
        return samples_of(_tables(config), config)

    def validate(self, config: Config) -> Sequence[Problem]:
        return problems_of(_tables(config), config)


def _tables(config: Files.Config) -> list[Table]:
    return [read_table(config.folder, file, config.columns(), config.maximum_mib) for file in config.files]


DATASET = Files()
