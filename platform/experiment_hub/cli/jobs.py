"""The queue."""

import typer

app = typer.Typer()
