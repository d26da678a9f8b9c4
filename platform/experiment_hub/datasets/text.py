"""Local text for next-token models: bytes are the tokens; near-duplicates stay in one split."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field, PositiveInt

from experiment_hub.datasets.content import by_text, normalised
from experiment_hub.datasets.protocol import Problem, Samples
from experiment_hub.datasets.sources.delimited import read_table
from experiment_hub.datasets.sources.opening import DataFile, opened_text
from experiment_hub.datasets.sources.tables import Table, content_ids, refusal
from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import IGNORED_TARGET, NEXT_TOKEN, DataSpec

PADDING = 256
VOCABULARY = 257
PLAIN = ".txt"
TEXT = "text"


class Text:
    name = "text"
    task = NEXT_TOKEN

    class Config(Hyperparameters):
        """Settings of `data`."""

        folder: str = Field(min_length=1)
        """A path; a relative one begins where the command runs."""
        files: tuple[DataFile, ...] = Field(min_length=1)
        """`.txt` (one sample a line), `.csv` or `.jsonl`, also with `.gz` behind."""
        column: str
        """Of `.csv` and `.jsonl` files; says nothing about `.txt`."""
        length: PositiveInt
        """Tokens that a model sees; longer texts are cut, shorter ones padded."""
        similarity: float = Field(ge=0.7, le=1)
        """Jaccard similarity of shingles from which two texts are one group."""
        maximum_mib: PositiveInt

    def generate(self, config: Config) -> Samples:
        texts = _texts(config)
        tokens = np.full((len(texts), config.length + 1), PADDING, dtype=np.int64)
        for row, text in enumerate(texts):
            content = text.encode()[: config.length + 1]
            tokens[row, : len(content)] = np.frombuffer(content, dtype=np.uint8)
        inputs, targets = tokens[:, :-1].copy(), tokens[:, 1:].copy()
        targets[targets == PADDING] = IGNORED_TARGET
        ids = content_ids(tokens)
        return Samples(
            ids=ids,
            inputs=inputs,
            targets=targets,
            spec=DataSpec(input_shape=(config.length,), outputs=VOCABULARY),
            groups=by_text(ids, texts, inputs, config.similarity),
        )

    def validate(self, config: Config) -> Sequence[Problem]:
        return [problem for file in config.files for problem in _problems(_table(config, file))]


def _texts(config: Text.Config) -> list[str]:
    tables = [_table(config, file) for file in config.files]
    problems = [problem for table in tables for problem in _problems(table)]
    if problems:
        raise refusal(problems)
    return [text for table in tables for text in table.columns[TEXT]]


def _table(config: Text.Config, file: DataFile) -> Table:
    if file.name.removesuffix(".gz").endswith(PLAIN):
        with opened_text(config.folder, file, config.maximum_mib) as stream:
            return Table(file.name, 1, {TEXT: [line.rstrip("\r\n") for line in stream]})
    table = read_table(config.folder, file, [config.column], config.maximum_mib)
    if config.column not in table.columns:
        raise refusal([Problem(file.name, None, config.column, "such a column")])
    return Table(table.file, table.first_row, {TEXT: table.columns[config.column]})


def _problems(table: Table) -> list[Problem]:
    texts = enumerate(table.columns[TEXT], table.first_row)
    wrong = [row for row, text in texts if not isinstance(text, str) or not normalised(text)]
    found = [Problem(table.file, row, None, "text with at least one letter or digit") for row in wrong]
    return found if len(table.columns[TEXT]) else [Problem(table.file, None, None, "at least one row")]


DATASET = Text()
