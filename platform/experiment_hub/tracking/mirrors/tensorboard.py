"""TensorBoard: one folder of events for each run, by tensorboard's own writer (no torch, no TensorFlow)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiment_hub.errors import MissingExtraError
from experiment_hub.tracking.mirrors.protocol import Shown
from experiment_hub.tracking.plain import as_text, storable
from experiment_hub.tracking.series.tail import Point

FLUSH_SECONDS = 10


class _Events:
    def __init__(self, run: Shown, target: str) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise MissingExtraError("the mirror to TensorBoard", "tensorboard", "tensorboard") from error
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventFileWriter(str(Path(target) / run.id), flush_secs=FLUSH_SECONDS)
        self._text("hub/run", f"{run.name} ({run.project})", run.created)
        self._text("hub/notes", run.notes or "", run.created)
        for name, value in run.parameters.items():
            self._text(f"hub/parameters/{name}", as_text(value), run.created)

    def points(self, points: Iterable[Point]) -> None:
        """As 32-bit numbers, which is what TensorBoard keeps of scalars."""
        for point in points:
            value = self._summary.Value(tag=storable(point.name), simple_value=point.value)
            self._writer.add_event(self._event(wall_time=point.time, step=point.step, summary={"value": [value]}))
        self._writer.flush()

    def artifact(self, name: str, path: Path) -> None:
        """TensorBoard keeps no files."""

    def close(self, state: str, ended: float | None) -> None:
        self._text("hub/state", state, ended or 0.0)
        self._writer.close()

    def _text(self, tag: str, text: str, time: float) -> None:
        from tensorboard.plugins.text import metadata
        from tensorboard.util import tensor_util

        value = self._summary.Value(
            tag=storable(tag),
            metadata=metadata.create_summary_metadata(display_name=None, description=None),
            tensor=tensor_util.make_tensor_proto(storable(text).encode()),
        )
        self._writer.add_event(self._event(wall_time=time, step=0, summary={"value": [value]}))


class TensorBoard:
    name = "tensorboard"

    def open(self, run: Shown, target: str) -> Any:
        return _Events(run, target)


MIRROR = TensorBoard()
