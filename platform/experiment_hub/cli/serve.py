"""The API and the web page."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback wants tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let everybody on this machine in; loopback only.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="One more name by which browsers reach this server.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Serve the API and the pages until Ctrl-C; prints the link to open."""
    from experiment_hub.commands import serve as serve_commands

    place = serve_commands.Place(host, port, no_auth, tuple(allow_host or ()))
    serve_commands.serve(place, home, as_json=as_json)
