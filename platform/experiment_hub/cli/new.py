"""Templates for somebody's own plugin."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Json

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="NAME", help="A word of small letters, digits and _.")]
Package = Annotated[
    Path | None,
    typer.Option(
        "--package", metavar="FOLDER", help="Make an installable package in FOLDER/NAME, not a file of this checkout."
    ),
]


@app.command()
def model(name: Name, *, package: Package = None, as_json: Json = False) -> None:
    """A model that trains at once: plugin, configuration and test."""
    from experiment_hub.commands import new as new_commands

    new_commands.create("model", name, package, as_json=as_json)


@app.command()
def dataset(name: Name, *, package: Package = None, as_json: Json = False) -> None:
    """A dataset and its test."""
    from experiment_hub.commands import new as new_commands

    new_commands.create("dataset", name, package, as_json=as_json)


@app.command()
def metric(name: Name, *, package: Package = None, as_json: Json = False) -> None:
    """A metric's definition and its test."""
    from experiment_hub.commands import new as new_commands

    new_commands.create("metric", name, package, as_json=as_json)


@app.command()
def launcher(name: Name, *, package: Package = None, as_json: Json = False) -> None:
    """A launcher and its test."""
    from experiment_hub.commands import new as new_commands

    new_commands.create("launcher", name, package, as_json=as_json)
