"""Commands about the artifact store."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()

Digest = Annotated[str, typer.Argument(metavar="DIGEST", help="sha256:..., or at least its first six digits.")]


@app.command("ls")
def list_(
    *,
    owner: Annotated[str | None, typer.Option(help="Only what this run, model, job or user names.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the names of artifacts, oldest first."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.names(owner, home, as_json=as_json)


@app.command()
def put(
    path: Annotated[Path, typer.Argument(help="A file or a folder.")],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it; default: the name of the file.")] = None,
    run: Annotated[str | None, typer.Option(help="The run that it belongs to; default: you.")] = None,
    role: Annotated[str, typer.Option(help="model, plot, log, input, output, ...")] = "output",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Store a file or a folder under a name."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.put(path, artifact_commands.Naming(name, run, role), home, as_json=as_json)


@app.command()
def get(
    digest: Digest,
    target: Annotated[Path, typer.Argument(help="A new file or folder.")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a verified copy to TARGET, complete or not at all."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.get(digest, target, home, as_json=as_json)


@app.command()
def unlink(
    digest: Digest,
    name: Annotated[str, typer.Argument(help="The name to give up.")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give up a name of DIGEST; without names, later collections remove it. Names of models stay."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.unlink(digest, name, home, as_json=as_json)


@app.command()
def verify(
    digest: Annotated[str | None, typer.Argument(metavar="DIGEST", help="Default: everything.")] = None,
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read what is stored and name what is damaged, and who uses it; exit code 4 if anything is."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.verify(digest, home, as_json=as_json)


@app.command()
def why(digest: Digest, *, home: Home = None, as_json: Json = False) -> None:
    """Who needs DIGEST, and whether it stays."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.why(digest, home, as_json=as_json)


@app.command()
def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove what was condemned long enough ago, condemn what nothing needs now, and say what stays and why."""
    from experiment_hub.commands import artifacts as artifact_commands

    artifact_commands.gc(home, dry_run=dry_run, as_json=as_json)
