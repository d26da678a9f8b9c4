"""Commands about datasets: manifests, checks, versions."""

import typer

app = typer.Typer()
