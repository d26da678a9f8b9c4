"""Templates for somebody's own plugin."""

import typer

app = typer.Typer()
