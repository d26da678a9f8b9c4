"""The command line; everything heavy is imported inside the command that needs it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.errors import HubError

app = typer.Typer(
    name="hub",
    help="Train registered models; every run is recorded before it starts.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="Path of a YAML file, or the name of a built-in one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Home = Annotated[Path | None, typer.Option(help="Where runs live; else HUB_HOME, else .hub.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value.")]

BaselineAssignments = Annotated[
    list[str] | None, typer.Option("--baseline-set", metavar="KEY=VALUE", help="Override one value of the baseline.")
]


@app.command()
def run(  # noqa: PLR0913 -- each parameter is an option of the command
    config: Annotated[str | None, typer.Argument(metavar="CONFIG", help="Path, or name of a built-in file.")] = None,
    *,
    smoke: Annotated[bool, typer.Option("--smoke", help="Small and quick: first seed, smoke settings.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Only this seed.")] = None,
    assignments: Assignments = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Continue this run.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train one run per seed of CONFIG, or continue one."""
    from experiment_hub import commands

    if resume is not None:
        options = {"--smoke": smoke, "--seed": seed is not None, "--set": bool(assignments)}
        commands.resume_run(resume, config, [name for name, given in options.items() if given], home, as_json=as_json)
    else:
        request = commands.RunRequest(config, smoke, seed, tuple(assignments or ()))
        commands.run(request, home, as_json=as_json)


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


@app.command()
def decide(
    baseline: Config,
    candidate: Config,
    *,
    assignments: Assignments = None,
    baseline_set: BaselineAssignments = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train both with the baseline's seeds and apply its decision rule; --set changes the candidate."""
    from experiment_hub import commands

    sides = commands.Side(baseline, tuple(baseline_set or ())), commands.Side(candidate, tuple(assignments or ()))
    commands.decide(*sides, home, as_json=as_json)


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


def main() -> None:
    """The process edge: the package's errors become one line and an exit code."""
    try:
        app()
    except HubError as error:
        from experiment_hub.output import report

        report(error, as_json="--json" in sys.argv)
        raise SystemExit(error.exit_code) from error
