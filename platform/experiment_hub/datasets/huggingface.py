"""Hugging Face datasets through their library: a pinned commit of a repository, or a folder saved to disk."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.datasets.sources.opening import MIB, digest_of
from experiment_hub.datasets.sources.tables import Column, Table, TableConfig, problems_of, refusal, samples_of
from experiment_hub.errors import CorruptError, DataError, MissingExtraError
from experiment_hub.tasks import CLASSIFICATION

if TYPE_CHECKING:
    import datasets

FOLDER_MARKS = ("/", "./", "../", "~")
COMMIT_DIGITS = 40
WHOLE = "train"


class HuggingFace:
    name = "huggingface"
    task = CLASSIFICATION

    class Config(TableConfig):
        """Settings of `data`."""

        source: str = Field(min_length=1)
        """`owner/name` of a repository, or a folder that `save_to_disk` wrote, beginning with `/`, `./`, `../` or `~`."""
        configuration: str
        """Of the repository; `default` where it has only one."""
        revision: str = Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")
        """A full commit, never a branch or tag, which can move; of a folder its SHA-256, as the error message prints it."""
        split: str
        """Which of its own splits is read; the hub makes train, val and test from that. A folder that holds one table
        without splits counts as `train`."""

    def generate(self, config: Config) -> Samples:
        return samples_of([_table(config)], config)

    def validate(self, config: Config) -> Sequence[Problem]:
        return problems_of([_table(config)], config)


def _table(config: HuggingFace.Config) -> Table:
    data = _loaded(config)
    if data.data.nbytes > config.maximum_mib * MIB:
        raise DataError(f"{config.source}: holds more than data.maximum_mib {config.maximum_mib} MiB")
    names = data.column_names
    missing = [each for each in config.columns() if each not in names]
    if missing:
        raise refusal([Problem(config.source, None, each, f"such a column; there are {names}") for each in missing])
    return Table(config.source, 1, {name: _column(data, name) for name in config.columns()})


def _column(data: "datasets.Dataset", name: str) -> Column:
    """Labels by name, so that their order in the repository does not matter."""
    from datasets import ClassLabel

    values: Sequence[Any] = data.with_format("arrow")[:][name].to_pylist()
    feature = data.features[name]
    if isinstance(feature, ClassLabel):
        return [None if value is None or value < 0 else feature.names[value] for value in values]
    return values


def _loaded(config: HuggingFace.Config) -> "datasets.Dataset":
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("the dataset `huggingface`", "datasets", "data") from error
    try:
        found = _from_folder(config) if config.source.startswith(FOLDER_MARKS) else _from_hub(config)
    except (OSError, ValueError) as error:
        raise DataError(f"{config.source}: cannot be loaded: {str(error).splitlines()[0]}") from error
    if isinstance(found, datasets.DatasetDict):
        if config.split not in found:
            raise DataError(f"data.split: expected one of {', '.join(found)} for {config.source}")
        return found[config.split]
    if config.split != WHOLE:
        raise DataError(f"data.split: expected {WHOLE}: {config.source} holds one table without splits")
    return found


def _from_hub(config: HuggingFace.Config) -> Any:
    """From the library's cache where the commit is there already, otherwise over the network."""
    from datasets import load_dataset

    if len(config.revision) != COMMIT_DIGITS:
        raise DataError(
            f"data.revision: expected a commit of {COMMIT_DIGITS} digits for the repository {config.source}"
        )
    return load_dataset(config.source, config.configuration, revision=config.revision)


def _from_folder(config: HuggingFace.Config) -> Any:
    from datasets import load_from_disk

    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise DataError(f"data.source: {config.source}: expected a folder that `save_to_disk` wrote")
    digest = folder_digest(folder)
    if digest != config.revision:
        raise CorruptError(f"data.source: {config.source}: its content has the SHA-256 {digest}, not data.revision")
    return load_from_disk(str(folder))


def folder_digest(folder: Path) -> str:
    """SHA-256 over relative paths and contents; raises DataError for links, which could lead anywhere."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(f"{path.relative_to(folder)}: expected plain files and folders only")
        if path.is_file():
            with path.open("rb") as stream:
                whole.update(f"{digest_of(stream)}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


DATASET = HuggingFace()
