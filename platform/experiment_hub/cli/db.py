"""The metadata database."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def upgrade(*, home: Home = None, as_json: Json = False) -> None:
    """Bring the schema to the newest revision."""
    from experiment_hub.commands import db as upkeep

    upkeep.migrate(home, "head", as_json=as_json)


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="A revision such as 0004, or `base` for none.")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take the schema back to REVISION; what only newer tables hold is lost, so a backup is made first."""
    from experiment_hub.commands import db as upkeep

    upkeep.migrate(home, revision, as_json=as_json)


@app.command()
def backup(
    target: Annotated[Path | None, typer.Argument(help="A file; default: backups/ in the home.")] = None,
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Copy the database as one consistent file, while others go on writing."""
    from experiment_hub.commands import db as upkeep

    upkeep.backup(home, target, as_json=as_json)


@app.command()
def check(*, home: Home = None, as_json: Json = False) -> None:
    """Look for damage: the file, references, the schema, definitions of metrics."""
    from experiment_hub.commands import db as upkeep

    upkeep.check(home, as_json=as_json)
