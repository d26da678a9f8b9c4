"""The model registry."""

import typer

app = typer.Typer()
