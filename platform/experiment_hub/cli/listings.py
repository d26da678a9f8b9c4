"""Commands that list what is registered."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Config, Json

app = typer.Typer()
config = typer.Typer(no_args_is_help=True)
app.add_typer(config, name="config", help="Configurations: where each value comes from, and how two differ.")


@app.command()
def plugins(*, as_json: Json = False) -> None:
    """List the registered models."""
    from experiment_hub.commands import listings

    listings.plugins(as_json=as_json)


@app.command()
def datasets(*, as_json: Json = False) -> None:
    """List the registered datasets."""
    from experiment_hub.commands import listings

    listings.datasets(as_json=as_json)


@app.command()
def metrics(*, as_json: Json = False) -> None:
    """List the registered metrics."""
    from experiment_hub.commands import listings

    listings.metrics(as_json=as_json)


@config.command()
def show(
    file: Config,
    *,
    smoke: Annotated[bool, typer.Option("--smoke", help="With the smoke section applied.")] = False,
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Every value of CONFIG with its origin and what it replaced."""
    from experiment_hub.commands import listings

    listings.show_config(file, assignments or (), smoke=smoke, as_json=as_json)


@config.command()
def diff(a: Config, b: Config, *, as_json: Json = False) -> None:
    """What differs between two configurations, bases included."""
    from experiment_hub.commands import listings

    listings.diff_config(a, b, as_json=as_json)
