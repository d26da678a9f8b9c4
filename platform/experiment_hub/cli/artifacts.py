"""Commands about the artifact store."""

import typer

app = typer.Typer()
