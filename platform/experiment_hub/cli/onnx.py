"""Export of a trained model as ONNX."""

import typer

app = typer.Typer()
