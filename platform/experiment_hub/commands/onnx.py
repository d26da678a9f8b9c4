"""`hub onnx`: a trained model as a file that runs without the hub and without PyTorch."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from experiment_hub.artifacts.catalog import catalog
from experiment_hub.errors import BadInputError
from experiment_hub.evaluation.subject import subject
from experiment_hub.output import emit
from experiment_hub.tracking.home import find_home


def export_onnx(model: str, target: Path, home: Path | None, *, tolerance: float, as_json: bool) -> None:
    if not tolerance > 0:
        raise BadInputError(f"--tolerance {tolerance:g}: expected a number above zero")
    from experiment_hub.training.runtimes.bridges.onnx_export import export
    from experiment_hub.training.runtimes.folder import read_model

    known = catalog(find_home(home))
    digest = subject(known, model).digest
    with tempfile.TemporaryDirectory(prefix="hub-onnx-") as folder:
        known.fetch(digest, Path(folder) / "model")
        made = export(read_model(Path(folder) / "model"), target, tolerance=tolerance)
    document = {**asdict(made), "file": str(made.file), "model": digest}
    lines = [
        f"{made.file}: {made.bytes} bytes, {_shape(made.inputs)} -> {_shape(made.outputs)}",
        f"largest difference to PyTorch: {made.maximum_difference:.3g} (at most {made.tolerance:g} is allowed)",
    ]
    emit(document, lines, as_json=as_json)


def _shape(shape: list[object]) -> str:
    name, *dimensions = shape
    return f"{name} [{', '.join(map(str, dimensions))}]"
