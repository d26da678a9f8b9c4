"""Paid compute: rates, estimates, approvals, the ledger."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()

Reason = Annotated[str | None, typer.Option(help="Why, for whoever reads it later.")]
Actor = Annotated[str | None, typer.Option(help="Your name, beside that of the user of this machine.")]
FanOut = Annotated[str | None, typer.Option(help="Instead of HASH: everything that waits in this fan-out.")]
Hash = Annotated[
    str | None, typer.Argument(metavar="HASH", help="An estimate's hash, or its first 8 characters or more.")
]


@app.command()
def rates(*, home: Home = None, as_json: Json = False) -> None:
    """What a unit of each launcher costs for an hour, who says so, and whether it may be used today."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.rates(home, as_json=as_json)


@app.command()
def estimate(  # noqa: PLR0913 -- parameters are the options of a command
    launcher: Annotated[str, typer.Argument(help="For example modal or simulated.")],
    *,
    hours: Annotated[float, typer.Option(help="Time-out of one attempt.")],
    gpu: Annotated[str | None, typer.Option(help="Type, such as H100.")] = None,
    gpus: Annotated[int, typer.Option(help="For each node.")] = 1,
    nodes: int = 1,
    attempts: Annotated[int, typer.Option(help="How often it may be started at most.")] = 1,
    cpus: float = 0.0,
    memory_gib: float = 0.0,
    storage_gib: float = 0.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What such a job would cost at worst, and as far as can be expected; agrees to nothing."""
    from experiment_hub.commands import cost as cost_commands

    figures = {"nodes": nodes, "cpus": cpus, "memory_gib": memory_gib, "storage_gib": storage_gib, "attempts": attempts}
    asked = {"launcher": launcher, "gpu": gpu, "gpus": gpus if gpu else 0, "timeout_s": hours * 3600, **figures}
    cost_commands.estimate(asked, home, as_json=as_json)


@app.command()
def waiting(*, home: Home = None, as_json: Json = False) -> None:
    """Jobs that wait for a person to agree to their price; exit code 3 when there are any."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.waiting(home, as_json=as_json)


@app.command()
def approve(
    hash_: Hash = None,
    *,
    fan_out: FanOut = None,
    reason: Reason = None,
    actor: Actor = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Agree to exactly one estimate, once; the job that waited for it is queued."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.approve(cost_commands.Said(hash_, fan_out, reason, actor), home, as_json=as_json)


@app.command()
def deny(
    hash_: Hash = None,
    *,
    fan_out: FanOut = None,
    reason: Reason = None,
    actor: Actor = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say no to an estimate; the job that waits for it fails."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.deny(cost_commands.Said(hash_, fan_out, reason, actor), home, as_json=as_json)


@app.command()
def allow_stop(
    job: str, *, reason: Reason = None, actor: Actor = None, home: Home = None, as_json: Json = False
) -> None:
    """Agree to stopping a paid job that is at work, after looking at what would be lost."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.allow_stop(job, cost_commands.Said(None, None, reason, actor), home, as_json=as_json)


@app.command()
def next_variant(
    fan_out: str, *, reason: Reason = None, actor: Actor = None, home: Home = None, as_json: Json = False
) -> None:
    """Let another variant go ahead after the first one of a fan-out failed."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.next_variant(fan_out, cost_commands.Said(None, fan_out, reason, actor), home, as_json=as_json)


@app.command()
def ledger(
    *,
    job: Annotated[str | None, typer.Option(help="Only entries of this job.")] = None,
    day: Annotated[str | None, typer.Option(help="Only entries of this UTC day, YYYY-MM-DD.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Everything that was reserved, released and spent, and what is left under the caps."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.ledger(home, job=job, day=day, as_json=as_json)


@app.command()
def report(*, home: Home = None, as_json: Json = False) -> None:
    """Estimates against what was paid, by launcher and GPU."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.report(home, as_json=as_json)


@app.command()
def reconcile(*, home: Home = None, as_json: Json = False) -> None:
    """Ask the providers about jobs whose accounts are open though they have ended, and about bills that were unknown."""
    from experiment_hub.commands import cost as cost_commands

    cost_commands.reconcile(home, as_json=as_json)
