"""The API and the web page."""

import typer

app = typer.Typer()
