"""Commands that train."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Home, Json

app = typer.Typer()


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
    from experiment_hub.commands import training as commands

    if resume is not None:
        options = {"--smoke": smoke, "--seed": seed is not None, "--set": bool(assignments)}
        commands.resume_run(resume, config, [name for name, given in options.items() if given], home, as_json=as_json)
    else:
        request = commands.RunRequest(config, smoke, seed, tuple(assignments or ()))
        commands.run(request, home, as_json=as_json)
