"""Commands that train."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Config, Home, Json

app = typer.Typer()

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
