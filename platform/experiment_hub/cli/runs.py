"""Commands that look at runs and keep what is known about them."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()
Run = Annotated[str, typer.Argument(metavar="RUN")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="mlflow, tensorboard, wandb, csv, or an installed one.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Folder, file or URL that the other tracker writes to.")]


@app.command()
def runs(  # noqa: PLR0913 -- each parameter is an option of the command
    *,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    state: Annotated[str | None, typer.Option(help="Only running, finished, failed, nan or killed ones.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only runs with this tag; several times: with all.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="For instance 'val.accuracy>0.9' or 'model=mlp'.")
    ] = None,
    sort: Annotated[str, typer.Option(help="A column, metric or parameter; -NAME: greatest first.")] = "created_at",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Show this metric or parameter too.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List runs, oldest first."""
    from experiment_hub.commands import runs as queries
    from experiment_hub.tracking.search import Search

    wanted = Search(project, state, tuple(tag or ()), tuple(where or ()), sort, limit)
    queries.runs(wanted, tuple(column or ()), home, as_json=as_json)


@app.command()
def show(run: Run, *, home: Home = None, as_json: Json = False) -> None:
    """Everything that is recorded about RUN."""
    from experiment_hub.commands import runs as queries

    queries.show(run, home, as_json=as_json)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...")], *, home: Home = None, as_json: Json = False
) -> None:
    """What differs between runs; of two, also which one is better."""
    from experiment_hub.commands import runs as queries

    queries.compare_runs(runs, home, as_json=as_json)


@app.command()
def logs(
    run: Run,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What RUN printed."""
    from experiment_hub.commands import runs as queries

    queries.logs(run, home, follow=follow, as_json=as_json)


@app.command()
def tag(
    run: Run,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG...")] = None,
    *,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Take this tag away.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give tags to RUN, or take them away."""
    from experiment_hub.commands import exchange

    exchange.tag(run, tags or (), remove or (), home, as_json=as_json)


@app.command()
def note(run: Run, text: str, *, home: Home = None, as_json: Json = False) -> None:
    """Add TEXT to the notes of RUN."""
    from experiment_hub.commands import exchange

    exchange.note(run, text, home, as_json=as_json)


@app.command(name="import")
def import_(
    kind: Kind,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, file or URL of the other tracker.")],
    *,
    project: Annotated[str | None, typer.Option(help="Put them into this project.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take in the runs of another tracker; again brings only what is new."""
    from experiment_hub.commands import exchange

    exchange.import_(kind, source, project, home, as_json=as_json)


@app.command()
def export(
    kind: Kind,
    target: Target,
    runs: Annotated[list[str], typer.Argument(metavar="RUN...")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write runs as another tracker keeps them."""
    from experiment_hub.commands import exchange

    exchange.export(kind, target, runs, home, follow=False, as_json=as_json)


@app.command()
def mirror(kind: Kind, target: Target, run: Run, *, home: Home = None, as_json: Json = False) -> None:
    """Show RUN in another tracker while it runs; ends with it."""
    from experiment_hub.commands import exchange

    exchange.export(kind, target, [run], home, follow=True, as_json=as_json)
