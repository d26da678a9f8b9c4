"""CSV and JSON lines as tables."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from experiment_hub.datasets.protocol import Problem
from experiment_hub.datasets.sources.opening import DataFile, opened_text
from experiment_hub.datasets.sources.tables import Table, refusal

HEADER_ROW = 1


def read_table(folder: str, file: DataFile, wanted: Sequence[str], maximum_mib: int) -> Table:
    """The wanted columns, by the ending of the file's name; raises DataError."""
    stem = file.name.removesuffix(".gz")
    reader = next((read for ending, read in READERS.items() if stem.endswith(ending)), None)
    if reader is None:
        endings = ", ".join(READERS)
        raise refusal([Problem(file.name, None, None, f"a name that ends in one of {endings}, with or without .gz")])
    with opened_text(folder, file, maximum_mib) as text:
        return reader(text, file.name, wanted)


def read_csv(text: io.TextIOBase, name: str, wanted: Sequence[str]) -> Table:
    rows = csv.reader(text, strict=True)
    number = HEADER_ROW
    try:
        header = next(rows, [])
        if len(set(header)) != len(header):
            raise refusal([Problem(name, HEADER_ROW, None, "a different name for each column")])
        places = [header.index(column) for column in wanted if column in header]
        columns: list[list[str]] = [[] for _ in places]
        for number, row in enumerate(rows, HEADER_ROW + 1):
            if len(row) != len(header):
                raise refusal([Problem(name, number, None, f"{len(header)} fields as in the header, got {len(row)}")])
            for column, place in zip(columns, places, strict=True):
                column.append(row[place])
    except csv.Error as error:
        raise refusal([Problem(name, number + 1, None, f"CSV by RFC 4180: {error}")]) from error
    return Table(name, HEADER_ROW + 1, dict(zip((header[place] for place in places), columns, strict=True)))


def read_jsonl(text: io.TextIOBase, name: str, wanted: Sequence[str]) -> Table:
    columns: dict[str, list[Any]] = {column: [] for column in wanted}
    for number, line in enumerate(text, 1):
        record = _record(line, name, number)
        for column, values in columns.items():
            if column not in record:
                raise refusal([Problem(name, number, column, "such a key in each line")])
            values.append(record[column])
    return Table(name, 1, columns)


def _record(line: str, name: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise refusal([Problem(name, number, None, "one JSON object of finite numbers")]) from error
    if not isinstance(record, dict):
        raise refusal([Problem(name, number, None, "one JSON object")])
    return record


def _refuse_constant(constant: str) -> float:
    raise ValueError(constant)


READERS: dict[str, Callable[[io.TextIOBase, str, Sequence[str]], Table]] = {".csv": read_csv, ".jsonl": read_jsonl}
