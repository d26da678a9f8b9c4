"""Serving the queue on this machine."""

from typing import Annotated

import typer

from experiment_hub.cli.options import Home, Json

app = typer.Typer()


@app.command()
def worker(  # noqa: PLR0913 -- each parameter is an option of the command
    *,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing left to do.")] = False,
    capacity: Annotated[int | None, typer.Option(min=1, help="Jobs at a time; default: processors.")] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="Default: what nvidia-smi finds.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Their kind, as jobs name it.")] = None,
    labels: Annotated[str, typer.Option(help="Comma-separated; jobs may ask for one.")] = "",
    silence: Annotated[str, typer.Option(help="A worker silent for so long loses its jobs.")] = "30s",
    grace: Annotated[str, typer.Option(help="From asking a command to end to ending it.")] = "30s",
    drain: Annotated[str, typer.Option(help="When asked to leave, wait so long for jobs.")] = "10s",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Work on the queue until SIGTERM; what runs then goes on, and the next worker looks after it."""
    from experiment_hub.commands import jobs as job_commands
    from experiment_hub.worker.asking import seconds

    said = {"silence_s": seconds(silence), "grace_s": seconds(grace), "drain_s": seconds(drain), "once": once}
    named = tuple(label.strip() for label in labels.split(",") if label.strip())
    asked = {"capacity": capacity, "gpus": gpus, "gpu": gpu, "labels": named, **said}
    job_commands.worker(asked, home, as_json=as_json)
