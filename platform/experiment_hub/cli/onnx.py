"""Export of a trained model as ONNX."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def onnx(
    model: Annotated[str, typer.Argument(metavar="RUN|MODEL@ALIAS", help="A run, a registered model, or a digest.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    tolerance: Annotated[float, typer.Option(help="Largest difference of a logit that is accepted.")] = 1e-4,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Export a trained model as ONNX, and compare it with PyTorch number by number."""
    from experiment_hub.commands import onnx as onnx_commands

    onnx_commands.export_onnx(model, output, home, tolerance=tolerance, as_json=as_json)
