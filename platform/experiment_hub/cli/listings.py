"""Commands that list what is registered."""

import typer

from experiment_hub.cli.options import Json

app = typer.Typer()


@app.command()
def plugins(*, as_json: Json = False) -> None:
    """List the registered models."""
    from experiment_hub import listings

    listings.plugins(as_json=as_json)


@app.command()
def datasets(*, as_json: Json = False) -> None:
    """List the registered datasets."""
    from experiment_hub import listings

    listings.datasets(as_json=as_json)


@app.command()
def metrics(*, as_json: Json = False) -> None:
    """List the registered metrics."""
    from experiment_hub import listings

    listings.metrics(as_json=as_json)
