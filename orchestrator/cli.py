"""The commands of `orchestrate` and their options. Each imports what it needs when it runs: `--help` stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli_agents import agents
from orchestrator.cli_options import Events, Here, Json, Repo

app = typer.Typer(
    help="Coding agents under rules that are real: tickets, isolated trees, gates, a merge train, memory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
tickets = typer.Typer(help="Ticket files by hand.", no_args_is_help=True, rich_markup_mode=None)
worktrees = typer.Typer(help="Live checkouts.", no_args_is_help=True, rich_markup_mode=None)
memory = typer.Typer(help="What the project learned.", no_args_is_help=True, rich_markup_mode=None)
for name, group in (("tickets", tickets), ("worktrees", worktrees), ("memory", memory), ("agents", agents)):
    app.add_typer(group, name=name)


@app.command()
def feature(
    words: Annotated[str | None, typer.Argument(help="What is wanted, in words.", metavar="WORDS")] = None,
    plan: Annotated[Path | None, typer.Option(help="Take the tickets from this plan or ticket file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the validated plan.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Accept what the policy lets a person accept beforehand.")] = False,
    parallel: Annotated[int | None, typer.Option(min=1, max=64, help="Tickets at work side by side.")] = None,
    events: Events = None,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Plan, dispatch, gate, land, summarise."""
    from orchestrator.commands.features import Asked
    from orchestrator.commands.features import feature as run
    from orchestrator.telling.stream import told

    with told(repo, events, json=json):
        return run(repo, Asked(words=words, plan=plan, dry_run=dry_run, yes=yes, parallel=parallel), json=json)


@app.command()
def resume(
    feature: Annotated[str | None, typer.Argument(metavar="[F]")] = None,
    events: Events = None,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Carry on whatever was interrupted."""
    from orchestrator.commands.features import resume as run
    from orchestrator.telling.stream import told

    with told(repo, events, json=json):
        return run(repo, feature, json=json)


@app.command()
def worker(
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing is left to do.")] = False,
    events: Events = None,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Serve the queue of this repository until told to stop."""
    from orchestrator.commands.working import worker as run
    from orchestrator.telling.stream import told

    with told(repo, events, json=json):
        return run(repo, once=once, json=json)


@app.command()
def revert(
    ticket: Annotated[str, typer.Argument(metavar="T")],
    reason: Annotated[str, typer.Option(help="Why: it stays in the log and in the commit.")] = "",
    events: Events = None,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Take a landing back; the revert is gated and rehearsed as any other change."""
    from orchestrator.commands.landing import revert as run
    from orchestrator.telling.stream import told

    with told(repo, events, json=json):
        return run(repo, ticket, reason=reason, json=json)


@app.command()
def status(
    which: Annotated[str | None, typer.Argument(metavar="[F or T]")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="A page that follows the merge train, until Ctrl-C.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Ended features in full, too.")] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Where everything is, what it waits for, what it has spent."""
    from orchestrator.commands.status import Wanted
    from orchestrator.commands.status import status as run

    return run(repo, Wanted(which=which, watch=watch, everything=everything), json=json)


@app.command()
def gate(
    worktree: Annotated[Path, typer.Option(help="The tree to judge.", show_default="here")] = Here,
    base: Annotated[
        str | None, typer.Option(help="Judge against this revision.", show_default="merge base with the target")
    ] = None,
    ticket: Annotated[str | None, typer.Option(help="Ticket id or ticket file to judge by.")] = None,
    json: Json = False,
    repo: Repo = Here,
) -> int:
    """Run the gates now on a tree."""
    from orchestrator.commands.gating import gate as run

    return run(repo, worktree, base=base, ticket=ticket, json=json)


@app.command()
def report(
    ticket: Annotated[str, typer.Argument(metavar="T")],
    form: Annotated[str, typer.Option("--format", help="text, md, json, sarif, junit or html")] = "text",
    attempt: Annotated[int | None, typer.Option(min=1, help="Which attempt.", show_default="the last one")] = None,
    stage: Annotated[
        str | None, typer.Option("--pass", help="worktree or integrated", show_default="the last one")
    ] = None,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="What was said and done in the attempt; text, md or json.")
    ] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Why a ticket landed, or why not."""
    if transcript:
        from orchestrator.commands.transcripts import transcript as show

        return show(repo, ticket, form="json" if json else form, attempt=attempt)
    from orchestrator.commands.looking import report as run

    return run(repo, ticket, form="json" if json else form, attempt=attempt, stage=stage)


@app.command()
def grants(
    everything: Annotated[bool, typer.Option("--all", help="Answered ones, too.")] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """What waits for a person."""
    from orchestrator.commands.granting import show_all

    return show_all(repo, everything=everything, json=json)


@app.command()
def approve(
    grant: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why: it stays in the log, the report and the landing's note.")],
    days: Annotated[float, typer.Option(help="How long it may be used.")] = 7.0,
    later: Annotated[
        bool, typer.Option("--later", help="Record it only; the ticket goes on with the next run.")
    ] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Permit what a ticket asked for, once; the ticket goes on by itself."""
    from orchestrator.commands.granting import Decision, decide

    return decide(repo, grant, Decision(approved=True, reason=reason, days=days, later=later), json=json)


@app.command()
def deny(
    grant: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why: the agent reads it.")],
    later: Annotated[
        bool, typer.Option("--later", help="Record it only; the ticket goes on with the next run.")
    ] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Refuse what a ticket asked for; it goes on without."""
    from orchestrator.commands.granting import Decision, decide

    return decide(repo, grant, Decision(approved=False, reason=reason, later=later), json=json)


@app.command()
def log(
    verify: Annotated[bool, typer.Option("--verify", help="Check the hash chain.")] = False,
    records: Annotated[bool, typer.Option("--records", help="Compare all records with their journal, too.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Make a damaged database anew from its journal.")] = False,
    feature: Annotated[str, typer.Option(help="Only this feature.")] = "",
    ticket: Annotated[str, typer.Option(help="Only this ticket.")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on as things happen, until Ctrl-C.")] = False,
    repo: Repo = Here,
    json: Annotated[bool, typer.Option("--json", help="One JSON document; with --follow: JSON lines.")] = False,
) -> int:
    """What happened, event by event."""
    from orchestrator.commands.looking import Asked
    from orchestrator.commands.looking import log as run

    if restore:
        from orchestrator.commands.restoring import restore as make_anew

        return make_anew(repo, json=json)
    asked = Asked(verify=verify or records, records=records, feature=feature, ticket=ticket, follow=follow)
    return run(repo, asked, json=json)


@app.command()
def init(
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Write orchestrate.toml and the guide files, and ignore the state folder."""
    from orchestrator.commands.setup import init as run

    return run(repo, force=force, json=json)


@app.command()
def doctor(repo: Repo = Here, json: Json = False) -> int:
    """Can it work here: git, sandbox, agents, disk, clock."""
    from orchestrator.commands.setup import doctor as run

    return run(repo, json=json)


@app.command()
def guard(
    socket: Annotated[str, typer.Option(help="Where the harness listens.", show_default="$ORCHESTRATE_GUARD")] = "",
) -> int:
    """Answer a coding client's hook: one question on standard input (started as the first word, it imports nothing else)."""
    from orchestrator.guard import main as ask

    return ask(["--socket", socket] if socket else [])


@app.command()
def selftest(repo: Repo = Here, json: Json = False) -> int:
    """Does every gate and sandbox refuse what it must refuse, and what is not armed here."""
    from orchestrator.commands.testing import selftest as run

    return run(repo, json=json)


@tickets.command("list")
def tickets_list(repo: Repo = Here, json: Json = False) -> int:
    """All tickets and their states."""
    from orchestrator.commands.ticketing import show_all

    return show_all(repo, json=json)


@tickets.command("show")
def tickets_show(ticket: Annotated[str, typer.Argument(metavar="T")], repo: Repo = Here, json: Json = False) -> int:
    """One ticket, whole, with its attempts."""
    from orchestrator.commands.ticketing import show

    return show(repo, ticket, json=json)


@tickets.command("new")
def tickets_new(title: str, repo: Repo = Here, json: Json = False) -> int:
    """Write an empty ticket file to fill in; `feature --plan FILE` runs it."""
    from orchestrator.commands.ticketing import new

    return new(repo, title, json=json)


@tickets.command("lint")
def tickets_lint(file: Path, repo: Repo = Here, json: Json = False) -> int:
    """What is wrong with a ticket file or a plan file."""
    from orchestrator.commands.ticketing import lint_file

    return lint_file(repo, file, json=json)


@tickets.command("retry")
def tickets_retry(ticket: Annotated[str, typer.Argument(metavar="T")], repo: Repo = Here, json: Json = False) -> int:
    """Send an ended ticket on its way again; an edited ticket file becomes its next revision."""
    from orchestrator.commands.ticketing import retry

    return retry(repo, ticket, json=json)


@tickets.command("abandon")
def tickets_abandon(ticket: Annotated[str, typer.Argument(metavar="T")], repo: Repo = Here, json: Json = False) -> int:
    """Give a ticket up; what its attempts wrote stays archived."""
    from orchestrator.commands.ticketing import abandon

    return abandon(repo, ticket, json=json)


@worktrees.command("list")
def worktrees_list(repo: Repo = Here, json: Json = False) -> int:
    """Live checkouts and archived attempts."""
    from orchestrator.commands.trees import show_all

    return show_all(repo, json=json)


@worktrees.command("open")
def worktrees_open(ticket: Annotated[str, typer.Argument(metavar="T")], repo: Repo = Here, json: Json = False) -> int:
    """Give a person an ordinary git worktree of a ticket's branch."""
    from orchestrator.commands.trees import open_tree

    return open_tree(repo, ticket, json=json)


@worktrees.command("clean")
def worktrees_clean(
    repo: Repo = Here,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would move into the archive.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Whatever is over, however new.")] = False,
) -> int:
    """Archive and remove leftovers of crashes, and what is over for longer than the policy keeps it at hand."""
    from orchestrator.commands.trees import clean

    return clean(repo, json=json, dry_run=dry_run, everything=everything)


@memory.command("show")
def memory_show(repo: Repo = Here, json: Json = False) -> int:
    """The page of this project."""
    from orchestrator.commands.remembering import show

    return show(repo, json=json)


@memory.command("search")
def memory_search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS")], repo: Repo = Here, json: Json = False
) -> int:
    """Lessons that speak of these words."""
    from orchestrator.commands.remembering import search

    return search(repo, " ".join(words), json=json)


@memory.command("dead-end")
def memory_dead_end(
    text: Annotated[str, typer.Argument(help="What was tried, and why it led nowhere.")],
    repo: Repo = Here,
    json: Json = False,
) -> int:
    """Keep what nobody needs to try again."""
    from orchestrator.commands.remembering import dead_end

    return dead_end(repo, text, json=json)
