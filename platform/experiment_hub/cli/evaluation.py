"""Commands that evaluate and compare."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Config, Home, Json

app = typer.Typer()

BaselineAssignments = Annotated[
    list[str] | None, typer.Option("--baseline-set", metavar="KEY=VALUE", help="Override one value of the baseline.")
]
Models = Annotated[
    list[str], typer.Argument(metavar="MODEL...", help="RUN, MODEL@ALIAS, MODEL@STAGE, MODEL@VERSION or a digest.")
]


@app.command("eval")
def eval_(  # noqa: PLR0913 -- each parameter is an option of the command
    models: Models,
    *,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    dataset: Annotated[
        list[str] | None, typer.Option(help="A registered dataset; default: the one it was made from.")
    ] = None,
    final: Annotated[bool, typer.Option("--final", help="On the hidden final split; the use is counted.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why the final split is looked at.")] = None,
    leave_one_group_out: Annotated[
        bool, typer.Option("--leave-one-group-out", help="Train RUN again once for each group, without it.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Measure models on a frozen split, twice; several models are summed up as seeds of one experiment."""
    from experiment_hub.commands import evaluation as evaluation_commands

    if leave_one_group_out:
        evaluation_commands.leave_one_group_out(models, home, as_json=as_json)
    else:
        request = evaluation_commands.EvalRequest(tuple(models), split, tuple(dataset or ()), final, reason)
        evaluation_commands.run(request, home, as_json=as_json)


@app.command()
def evaluations(
    model: Annotated[str | None, typer.Argument(metavar="[RUN|DIGEST]", help="Only of this one.")] = None,
    *,
    evaluation: Annotated[str | None, typer.Option("--show", metavar="ID", help="All of one evaluation.")] = None,
    final: Annotated[bool, typer.Option("--final", help="The uses of hidden final splits.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the evaluations that the hub made."""
    from experiment_hub.commands import evaluation as evaluation_commands

    if evaluation is not None:
        evaluation_commands.show(evaluation, home, as_json=as_json)
    elif final:
        evaluation_commands.final_uses(home, as_json=as_json)
    else:
        evaluation_commands.show_all(model, home, as_json=as_json)


@app.command()
def decide(
    baseline: Config,
    candidates: Annotated[list[str], typer.Argument(metavar="CANDIDATE...", help="One or more, as the first.")],
    *,
    assignments: Assignments = None,
    baseline_set: BaselineAssignments = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train all with the baseline's seeds and apply its decision rule; --set changes the candidates."""
    from experiment_hub.commands import evaluation as evaluation_commands

    sides = [evaluation_commands.Side(each, tuple(assignments or ())) for each in candidates]
    first = evaluation_commands.Side(baseline, tuple(baseline_set or ()))
    evaluation_commands.decide(first, sides, home, as_json=as_json)
