"""Who may use the API."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.")],
    *,
    role: Annotated[str, typer.Option(help="viewer, editor, operator or admin.")] = "viewer",
    days: Annotated[int | None, typer.Option(min=1, help="How long it lasts; default: until it is revoked.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a token; it is shown this once."""
    from experiment_hub.commands import serve as serve_commands

    serve_commands.new_token(name, role, days, home, as_json=as_json)


@app.command(name="list")
def list_(*, home: Home = None, as_json: Json = False) -> None:
    """All tokens, without their secrets."""
    from experiment_hub.commands import serve as serve_commands

    serve_commands.list_tokens(home, as_json=as_json)


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="Its id.")], *, home: Home = None, as_json: Json = False) -> None:
    """Make a token worthless from the next request on."""
    from experiment_hub.commands import serve as serve_commands

    serve_commands.revoke_token(token, home, as_json=as_json)
