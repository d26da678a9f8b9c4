"""A folder of `.npy` files, mapped into memory: large data is never read as a whole before it is needed."""

import math
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.datasets.sources.opening import DataFile, opened
from experiment_hub.datasets.sources.tables import content_ids, refusal, similar
from experiment_hub.errors import DataError
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION, DataSpec

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
VECTOR = 1


class Arrays:
    name = "arrays"
    task = CLASSIFICATION

    class Config(Hyperparameters):
        """Settings of `data`."""

        folder: str = Field(min_length=1)
        """A path; a relative one begins where the command runs."""
        inputs: DataFile
        """[samples, ...] of numbers; float32 stays on the disk until it is needed, other types are converted."""
        targets: DataFile
        """[samples] of whole numbers from 0."""
        ids: tuple[DataFile, ...] = Field(max_length=1)
        """[samples] of text; [] names a sample after its content."""
        groups: tuple[DataFile, ...] = Field(max_length=1)
        """[samples] of text or whole numbers: what a split never tears apart; [] for none."""
        classes: int = Field(ge=2)
        scale: float
        """What inputs are multiplied with, for instance 0.00392156862745098 for bytes; 1 leaves them as they are."""
        near_duplicates: float | Literal["exact", "look"]
        """Without `groups`: which samples are one group, as in dataset `files`."""
        maximum_mib: PositiveInt

    def generate(self, config: Config) -> Samples:
        inputs, targets = (_mapped(config, file) for file in (config.inputs, config.targets))
        problems = [*_lengths(config, len(inputs)), *_numbers(config, inputs, targets)]
        if problems:
            raise refusal(problems)
        if config.scale != 1:
            inputs = inputs * config.scale
        inputs = inputs.astype(np.float32, copy=False)
        ids = _texts(config, config.ids[0]) if config.ids else content_ids(inputs)
        groups = _texts(config, config.groups[0]) if config.groups else similar(ids, inputs, config.near_duplicates)
        spec = DataSpec(input_shape=inputs.shape[1:], outputs=config.classes)
        return Samples(ids=ids, inputs=inputs, targets=targets.astype(np.int64, copy=False), spec=spec, groups=groups)

    def validate(self, config: Config) -> Sequence[Problem]:
        inputs, targets = (_mapped(config, file) for file in (config.inputs, config.targets))
        return [*_lengths(config, len(inputs)), *_numbers(config, inputs, targets)]


def _mapped(config: Arrays.Config, file: DataFile) -> NDArray[Any]:
    with opened(config.folder, file, config.maximum_mib) as stream:
        shape, fortran, dtype = _header(stream, file.name)
        needed = stream.tell() + math.prod(shape) * dtype.itemsize
        stream.seek(0, 2)
        if stream.tell() < needed:
            raise refusal([Problem(file.name, None, None, f"{needed} bytes as its header says, got {stream.tell()}")])
        if not math.prod(shape):
            raise refusal([Problem(file.name, None, None, "at least one row")])
        offset = needed - math.prod(shape) * dtype.itemsize
        return np.memmap(stream, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Raises DataError for what is no array of plain values: objects would be pickles, which run code."""
    try:
        shape, fortran, dtype = HEADERS[npy.read_magic(stream)](stream)
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{name}: expected a .npy file of format 1 or 2") from error
    if dtype.hasobject or dtype.kind not in "biufUS" or not shape:
        raise DataError(f"{name}: expected an array of numbers or text; pickled objects are never loaded")
    return shape, fortran, dtype


def _texts(config: Arrays.Config, file: DataFile) -> tuple[str, ...]:
    return tuple(map(str, _mapped(config, file).tolist()))


def _lengths(config: Arrays.Config, count: int) -> list[Problem]:
    others = (config.targets, *config.ids, *config.groups)
    shapes = {file.name: _mapped(config, file).shape for file in others}
    expected = f"the shape ({count},): one entry for each row of {config.inputs.name}"
    return [Problem(name, None, None, expected) for name, shape in shapes.items() if shape != (count,)]


def _numbers(config: Arrays.Config, inputs: NDArray[Any], targets: NDArray[Any]) -> list[Problem]:
    found = []
    if inputs.dtype.kind not in "iuf" or inputs.ndim == VECTOR:
        found.append(Problem(config.inputs.name, None, None, "numbers of the shape [samples, ...]"))
    if targets.dtype.kind not in "iu":
        found.append(Problem(config.targets.name, None, None, "whole numbers"))
    return found


DATASET = Arrays()
