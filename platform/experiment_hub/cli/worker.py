"""Serving the queue on this machine."""

import typer

app = typer.Typer()
