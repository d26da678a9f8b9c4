"""Commands that look at runs and keep what is known about them."""

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def runs(*, home: Home = None, as_json: Json = False) -> None:
    """List all runs, oldest first."""
    from experiment_hub import queries

    queries.runs(home, as_json=as_json)


@app.command()
def show(run: str, *, home: Home = None, as_json: Json = False) -> None:
    """Everything that is recorded about RUN."""
    from experiment_hub import queries

    queries.show(run, home, as_json=as_json)


@app.command()
def compare(a: str, b: str, *, home: Home = None, as_json: Json = False) -> None:
    """What differs between two runs, and which one is better."""
    from experiment_hub import queries

    queries.compare_runs(a, b, home, as_json=as_json)
