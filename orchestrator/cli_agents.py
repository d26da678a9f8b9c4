"""`orchestrate agents ...`: the commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli_options import Here, Json, Repo

agents = typer.Typer(help="Roles and drivers.", no_args_is_help=True, rich_markup_mode=None)


@agents.command("list")
def agents_list(repo: Repo = Here, json: Json = False) -> int:
    """The configured agents, the roles they play, and whether each can start here."""
    from orchestrator.commands.hands import show_all

    return show_all(repo, json=json)


@agents.command("probe")
def agents_probe(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every kind of driver, configured or not.")] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """What each agent can do here, and proof that its live gate is armed: a write that it refused."""
    from orchestrator.commands.probing import probe

    return probe(repo, name, everything=everything, json=json)


@agents.command("record")
def agents_record(
    ticket: Annotated[str, typer.Argument(metavar="T")],
    to: Annotated[Path, typer.Option(help="Folder of the recordings.")],
    attempt: Annotated[int | None, typer.Option(min=1, help="Which attempt.", show_default="the last one")] = None,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Keep an attempt as a recording that an agent of kind `replay` plays back."""
    from orchestrator.commands.recording import record

    return record(repo, ticket, attempt=attempt, to=to, json=json)


@agents.command("show")
def agents_show(role: str, repo: Repo = Here, json: Json = False) -> int:
    """A role: its text, the gates that judge it, its tools, what it sees, who goes on."""
    from orchestrator.commands.roles import show

    return show(repo, role, json=json)


@agents.command("render")
def agents_render(
    role: str,
    client: Annotated[str, typer.Option("--for", help="claude (CLAUDE.md), codex (AGENTS.md) or generic.")] = "generic",
    to: Annotated[
        Path | None,
        typer.Option(help="Write it here.", show_default="the client's own file; generic: standard output"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a file that was not written by this command.")
    ] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Write a role as the guide file that a coding client reads."""
    from orchestrator.commands.roles import Rendering, render

    return render(repo, role, Rendering(client=client, to=to, force=force), json=json)
