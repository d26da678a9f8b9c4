"""Commands that evaluate and compare."""

import typer

app = typer.Typer()
