"""Commands about datasets: manifests, checks, versions."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Config, Home, Json

app = typer.Typer()

Reference = Annotated[str, typer.Argument(metavar="DATASET", help="NAME, NAME@VERSION or the start of a hash.")]


@app.command()
def check(config: Config, *, assignments: Assignments = None, as_json: Json = False) -> None:
    """Look at the data of CONFIG: schema, labels, numbers, splits, leakage; registers nothing."""
    from experiment_hub.commands import data as data_commands

    data_commands.check(config, assignments or (), as_json=as_json)


@app.command()
def register(
    config: Config,
    *,
    name: Annotated[str | None, typer.Option(help="Register under this name; default: the dataset's own.")] = None,
    assignments: Assignments = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check the data of CONFIG and keep its manifest as the next version."""
    from experiment_hub.commands import data as data_commands

    data_commands.register(config, assignments or (), name, home, as_json=as_json)


@app.command("list")
def list_(*, home: Home = None, as_json: Json = False) -> None:
    """List the registered versions."""
    from experiment_hub.commands import data as data_commands

    data_commands.show_all(home, as_json=as_json)


@app.command()
def show(dataset: Reference, *, home: Home = None, as_json: Json = False) -> None:
    """The manifest of DATASET: hashes, counts, class balance, splits, lineage."""
    from experiment_hub.commands import data as data_commands

    data_commands.show(dataset, home, as_json=as_json)


@app.command()
def diff(a: Reference, b: Reference, *, home: Home = None, as_json: Json = False) -> None:
    """What differs between two registered versions."""
    from experiment_hub.commands import data as data_commands

    data_commands.diff(a, b, home, as_json=as_json)


@app.command()
def verify(
    datasets: Annotated[
        list[str] | None, typer.Argument(metavar="[DATASET]...", help="Default: every registered version.")
    ] = None,
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read registered data again and compare its hash; exit code 4 where something changed or is gone."""
    from experiment_hub.commands import data as data_commands

    data_commands.verify(datasets or (), home, as_json=as_json)
