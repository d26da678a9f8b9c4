"""TensorBoard: a folder of events, or one with many such folders, by tensorboard's own reader."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment_hub.errors import BadInputError, MissingExtraError
from experiment_hub.tracking.importers.protocol import Foreign
from experiment_hub.tracking.series.tail import Point

PATTERN = "*tfevents*"


class TensorBoard:
    name = "tensorboard"

    def runs(self, source: str) -> Iterator[Foreign]:
        root = Path(source)
        folders = sorted({path.parent for path in root.rglob(PATTERN)}) if root.is_dir() else []
        if not folders:
            raise BadInputError(f"{source} is no folder with TensorBoard's event files (…tfevents…)")
        for folder in folders:
            yield _run(root.resolve(), folder.resolve())


def _run(root: Path, folder: Path) -> Foreign:
    accumulator = _accumulator(folder)
    scalars = accumulator.Tags()["scalars"]
    tensors = [tag for tag in accumulator.Tags()["tensors"] if _is_number(accumulator, tag)]
    points = list(_points(accumulator, scalars, tensors))
    times = [point.time for point in points] or [folder.stat().st_mtime]
    name = folder.name if folder == root else folder.relative_to(root).as_posix()
    return Foreign(
        id=str(folder),
        name=name,
        project=root.name,
        state="finished",  # event files do not tell
        created=min(times),
        ended=max(times),
        points=points,
        facts={"imported_from": str(folder)},
    )


def _accumulator(folder: Path) -> Any:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise MissingExtraError("the import from TensorBoard", "tensorboard", "tensorboard") from error
    everything = {"scalars": 0, "tensors": 0, "images": 1, "audio": 1, "histograms": 1, "compressedHistograms": 1}
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


def _points(accumulator: Any, scalars: list[str], tensors: list[str]) -> Iterator[Point]:
    from tensorboard.util import tensor_util

    for tag in scalars:
        for event in accumulator.Scalars(tag):
            yield Point(tag, event.step, event.wall_time, event.value)
    for tag in tensors:
        for event in accumulator.Tensors(tag):
            number = tensor_util.make_ndarray(event.tensor_proto)
            yield Point(tag, event.step, event.wall_time, float(number.reshape(())))


def _is_number(accumulator: Any, tag: str) -> bool:
    """Newer writers keep scalars as tensors of one number; text and pictures are tensors as well."""
    plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
    return bool(plugin == "scalars")


IMPORTER = TensorBoard()
