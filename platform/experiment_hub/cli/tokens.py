"""Who may use the API."""

import typer

app = typer.Typer()
