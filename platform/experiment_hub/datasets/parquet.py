"""Parquet through pyarrow, with a declared schema."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import Field

from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.datasets.sources.opening import MIB, DataFile, opened
from experiment_hub.datasets.sources.tables import Column, Table, TableConfig, problems_of, refusal, samples_of
from experiment_hub.errors import DataError, MissingExtraError
from experiment_hub.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from pyarrow import ChunkedArray


class Parquet:
    name = "parquet"
    task = CLASSIFICATION

    class Config(TableConfig):
        """Settings of `data`."""

        folder: str = Field(min_length=1)
        """A path; a relative one begins where the command runs."""
        files: tuple[DataFile, ...] = Field(min_length=1)

    def generate(self, config: Config) -> Samples:
        return samples_of(_tables(config), config)

    def validate(self, config: Config) -> Sequence[Problem]:
        return problems_of(_tables(config), config)


def _tables(config: Parquet.Config) -> list[Table]:
    return [_table(config, file) for file in config.files]


def _table(config: Parquet.Config, file: DataFile) -> Table:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("the dataset `parquet`", "pyarrow", "data") from error
    with opened(config.folder, file, config.maximum_mib) as stream:
        try:
            return Table(file.name, 1, _columns(config, file.name, stream))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file.name}: expected a Parquet file, not a damaged one") from error


def _columns(config: Parquet.Config, name: str, stream: BinaryIO) -> dict[str, Column]:
    """Batch by batch, because the sizes that the file itself gives may be wrong."""
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    names = file.schema_arrow.names
    wanted = config.columns()
    missing = [Problem(name, None, each, f"such a column; there are {names}") for each in wanted if each not in names]
    if missing:
        raise refusal(missing)
    batches, size = [], 0
    for batch in file.iter_batches(columns=wanted):
        size += batch.nbytes
        if size > config.maximum_mib * MIB:
            raise DataError(f"{name}: holds more than data.maximum_mib {config.maximum_mib} MiB once unpacked")
        batches.append(batch)
    table = pa.Table.from_batches(batches, batches[0].schema) if batches else file.read(columns=wanted)
    return {column: _plain(table[column]) for column in table.column_names}


def _plain(column: "ChunkedArray") -> Sequence[Any]:
    from pyarrow import types

    is_number = types.is_integer(column.type) or types.is_floating(column.type)
    plain: Sequence[Any] = column.to_numpy() if is_number and not column.null_count else column.to_pylist()
    return plain


DATASET = Parquet()
