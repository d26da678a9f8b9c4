"""CSV: one file of points and one of parameters for each run."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiment_hub.errors import BadInputError
from experiment_hub.tracking.mirrors.protocol import Shown
from experiment_hub.tracking.plain import as_text, storable
from experiment_hub.tracking.series.tail import Point


class _Files:
    def __init__(self, run: Shown, target: str) -> None:
        folder = Path(target) / run.id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "parameters.csv").open("w", encoding="utf-8", newline="") as file:
                rows = ((storable(name), storable(as_text(value))) for name, value in run.parameters.items())
                csv.writer(file).writerows([("name", "value"), *rows])
            self._file = (folder / "points.csv").open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise BadInputError(f"{folder} cannot be written: {error.strerror}") from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(Point._fields)

    def points(self, points: Iterable[Point]) -> None:
        self._writer.writerows((storable(point.name), *point[1:]) for point in points)
        self._file.flush()

    def artifact(self, name: str, path: Path) -> None:
        """Files are in the artifact store."""

    def close(self, state: str, ended: float | None) -> None:  # noqa: ARG002 -- a table of points has no state
        self._file.close()


class Csv:
    name = "csv"

    def open(self, run: Shown, target: str) -> Any:
        return _Files(run, target)


MIRROR = Csv()
