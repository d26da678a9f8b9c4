"""The queue."""

from pathlib import Path
from typing import Annotated

import typer

from experiment_hub.cli.options import Assignments, Home, Json

app = typer.Typer()

Given = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids, or the beginnings of them.")]
Many = list[str] | None


@app.command()
def submit(  # noqa: PLR0913 -- each parameter is an option of the command
    argv: Annotated[Many, typer.Argument(metavar="-- COMMAND...", help="Runs in this folder.")] = None,
    *,
    config: Annotated[str | None, typer.Option(help="Train this configuration: one job for each seed.")] = None,
    assignments: Assignments = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="With --config: only this seed.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="With --config: small and quick.")] = False,
    halve: Annotated[Many, typer.Option(metavar="KEY", help="With --config: halve it once if memory runs out.")] = None,
    file: Annotated[Path | None, typer.Option(help="YAML with `jobs:`, all queued or none.")] = None,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    launcher: Annotated[str, typer.Option(help="Where it runs: `hub jobs launchers`.")] = "local",
    priority: Annotated[int, typer.Option(help="Larger goes earlier.")] = 0,
    needs: Annotated[Many, typer.Option(metavar="JOB", help="Only after this one has finished.")] = None,
    gpus: Annotated[int, typer.Option(help="GPUs, for each node.")] = 0,
    gpu: Annotated[str | None, typer.Option(help="Kind of GPU.")] = None,
    cpus: Annotated[float, typer.Option(help="Processors.")] = 1.0,
    memory_mib: Annotated[int, typer.Option(help="Memory.")] = 0,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    label: Annotated[str | None, typer.Option(help="Only on workers with this label.")] = None,
    lease: Annotated[Many, typer.Option(metavar="NAME", help="One unit of this named resource.")] = None,
    option: Annotated[Many, typer.Option(metavar="KEY=VALUE", help="For the launcher: slurm.partition=gpu.")] = None,
    retry: Annotated[Many, typer.Option(metavar="CLASS=TIMES", help="Only these: lost=2.")] = None,
    timeout: Annotated[str, typer.Option(help="90, 45m, 2h or 1.5d.")] = "1d",
    fan_out: Annotated[str | None, typer.Option(help="Name of the fan-out that it is a variant of.")] = None,
    env: Annotated[
        Many, typer.Option(metavar="KEY=VALUE", help="Variable of the command; stored, so no secrets.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Who pays; default: the home's.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Queue a command, a training or a file of jobs; exit code 3 when a person has to agree first."""
    from experiment_hub.commands import jobs as job_commands
    from experiment_hub.worker import asking

    machine = {"gpus": gpus, "gpu": gpu, "cpus": cpus, "memory_mib": memory_mib, "nodes": nodes, "label": label}
    resources = {**machine, "leases": lease or [], "launcher": asking.launcher_options(option or ())}
    said = {"name": name, "fan_out": fan_out, "retries": asking.retries(retry) if retry else None}
    common = {key: value for key, value in said.items() if value is not None} | {
        "project": project or job_commands.usual_project(home),
        "launcher": launcher,
        "priority": priority,
        "needs": job_commands.ids(needs or (), home),
        "resources": resources,
        "timeout_s": asking.seconds(timeout),
        "environment": asking.pairs(env or (), "--env"),
    }
    asked = asking.Asked(
        argv=tuple(argv or ()),
        config=config,
        assignments=tuple(assignments or ()),
        seed=seed,
        smoke=smoke,
        halve=tuple(halve or ()),
        file=file,
        common=common,
    )
    job_commands.submit(asked, home, as_json=as_json)


@app.command(name="list")
def list_(
    *,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    fan_out: Annotated[str | None, typer.Option(help="Only variants of this fan-out.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Jobs, newest first."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.listing(state, fan_out, limit, home, as_json=as_json)


@app.command()
def show(job: str, *, home: Home = None, as_json: Json = False) -> None:
    """Everything that is recorded about JOB, and what happened to it."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.show(job, home, as_json=as_json)


@app.command()
def logs(
    job: str,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job has ended.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Begin with the last so many lines.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Default: the last one.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The output of JOB."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.log(job_commands.LogRequest(job, attempt, tail, follow=follow), home, as_json=as_json)


@app.command()
def cancel(job: Given, *, home: Home = None, as_json: Json = False) -> None:
    """End jobs for good; a paid one at work needs `hub cost allow-stop` first."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.change("cancel", job, home, as_json=as_json)


@app.command()
def pause(job: Given, *, home: Home = None, as_json: Json = False) -> None:
    """Stop jobs until they are resumed; a training goes on at its last checkpoint."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.change("pause", job, home, as_json=as_json)


@app.command()
def resume(job: Given, *, home: Home = None, as_json: Json = False) -> None:
    """Queue paused jobs again."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.change("resume", job, home, as_json=as_json)


@app.command()
def retry(job: Given, *, home: Home = None, as_json: Json = False) -> None:
    """Queue failed or cancelled jobs again, with those that were skipped because of them."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.change("retry", job, home, as_json=as_json)


@app.command()
def wait(
    job: Given,
    *,
    timeout: Annotated[str | None, typer.Option(help="At most so long: 90, 45m, 2h.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Until all have ended: exit code 0 when they finished, 1 when not, 3 when one waits for a person."""
    from experiment_hub.commands import jobs as job_commands
    from experiment_hub.worker import asking

    job_commands.wait(job, None if timeout is None else asking.seconds(timeout), home, as_json=as_json)


@app.command()
def leases(
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    slots: Annotated[int | None, typer.Option(min=0, max=10_000, help="Give NAME so many.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Named resources and who holds them."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.lease(name, slots, home, as_json=as_json)


@app.command()
def workers(*, home: Home = None, as_json: Json = False) -> None:
    """Workers, alive and gone."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.workers(home, as_json=as_json)


@app.command()
def launchers(*, as_json: Json = False) -> None:
    """Where jobs can run."""
    from experiment_hub.commands import jobs as job_commands

    job_commands.launcher_list(as_json=as_json)
