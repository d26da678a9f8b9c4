"""The model registry."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a registered model.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
Reason = Annotated[str | None, typer.Option(help="Kept in the history.")]


@app.command()
def register(  # noqa: PLR0913 -- each parameter is an option of the command
    name: Name,
    *,
    run: Annotated[str | None, typer.Option(help="The run that trained it.")] = None,
    artifact: Annotated[str | None, typer.Option(metavar="DIGEST", help="The stored model itself.")] = None,
    notes: Annotated[str | None, typer.Option(help="About this version.")] = None,
    description: Annotated[str | None, typer.Option(help="About the model as a whole.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a trained model the next version of NAME; its artifact is then kept for ever."""
    from experiment_hub.commands import models as model_commands

    request = model_commands.Registration(run, artifact, notes, description)
    model_commands.register(name, request, home, as_json=as_json)


@app.command("list")
def list_(*, home: Home = None, as_json: Json = False) -> None:
    """List all versions of all models."""
    from experiment_hub.commands import models as model_commands

    model_commands.list_versions(home, as_json=as_json)


@app.command()
def show(name: Name, *, home: Home = None, as_json: Json = False) -> None:
    """Versions of NAME with run, data, commit and evaluations, and every move so far."""
    from experiment_hub.commands import models as model_commands

    model_commands.show(name, home, as_json=as_json)


@app.command()
def promote(  # noqa: PLR0913 -- each parameter is an option of the command
    name: Name,
    version: Version,
    *,
    stage: Annotated[str, typer.Option(help="production, staging or none.")] = "production",
    evaluation: Annotated[str | None, typer.Option(metavar="ID", help="Default: the newest of this content.")] = None,
    minimum: Annotated[list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Least good value.")] = None,
    without_evaluation: Annotated[bool, typer.Option("--without-evaluation", help="Needs --reason.")] = False,
    reason: Reason = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Move VERSION to a stage; to production only what was evaluated."""
    from experiment_hub.commands import models as model_commands

    grounds = model_commands.grounds(evaluation, minimum or [], reason, without_evaluation=without_evaluation)
    target = model_commands.Target(name, version, stage)
    model_commands.promote(target, grounds, home, as_json=as_json)


@app.command()
def alias(name: Name, version: Version, alias: str, *, home: Home = None, as_json: Json = False) -> None:
    """Let NAME@ALIAS mean VERSION."""
    from experiment_hub.commands import models as model_commands

    model_commands.alias(name, version, alias, home, as_json=as_json)


@app.command()
def rollback(
    name: Name,
    *,
    stage: Annotated[str, typer.Option(help="Whose last move is taken back.")] = "production",
    alias: Annotated[str | None, typer.Option(help="Take back the last move of this alias instead.")] = None,
    reason: Reason = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take back exactly the last move; again for the one before."""
    from experiment_hub.commands import models as model_commands

    subject = stage if alias is None else f"@{alias}"
    model_commands.rollback(name, subject, reason, home, as_json=as_json)


@app.command()
def archive(name: Name, version: Version, *, reason: Reason = None, home: Home = None, as_json: Json = False) -> None:
    """Take VERSION out of use; its artifact stays."""
    from experiment_hub.commands import models as model_commands

    model_commands.archive(name, version, reason, home, as_json=as_json)


@app.command()
def fetch(
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="NAME@production, NAME@ALIAS, NAME@3.")],
    target: Annotated[Path, typer.Argument(help="A new folder or file.")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a verified copy of a version to TARGET."""
    from experiment_hub.commands import models as model_commands

    model_commands.fetch(reference, target, home, as_json=as_json)
