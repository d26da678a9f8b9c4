"""The command line; everything heavy is imported inside the command that needs it."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from experiment_hub.cli import evaluation, listings, onnx, runs, serve, training, worker
from experiment_hub.errors import BadInputError, HubError, OutOfReachError

COMMANDS = (training, runs, evaluation, listings, onnx, worker, serve)
"""Their commands stand right behind `hub`."""
GROUPS = {
    "new": "Start a plugin of your own from a template.",
    "data": "Datasets: manifests, checks, versions.",
    "artifacts": "The artifact store.",
    "models": "The model registry.",
    "jobs": "The queue.",
    "cost": "Paid compute: rates, estimates, approvals, the ledger.",
    "db": "The metadata database.",
    "tokens": "Who may use the API.",
}
"""Each is a module of this package; it is imported when somebody asks for one of its commands."""


class Later(TyperGroup):
    """A group that is read when one of its commands is asked for: building all commands of the hub takes longer than most of them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # typer's own context is the one that it passes
        self._read()
        return super().list_commands(ctx)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override] # as above
        self._read()
        return super().get_command(ctx, cmd_name)

    def _read(self) -> None:
        if not self.commands:
            found: typer.Typer = import_module(f"{__name__}.{self.name}").app
            found.rich_markup_mode = self.rich_markup_mode
            group = typer.main.get_command(found)
            self.commands = group.commands  # type: ignore[attr-defined] # more than one command makes a group


class Root(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, purpose in GROUPS.items():
            self.add_command(Later(name=name, help=purpose, no_args_is_help=True, rich_markup_mode=None))


app = typer.Typer(
    name="hub",
    cls=Root,
    help="Train, track, compare, register and pay; every run is recorded before it starts.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)
for each in COMMANDS:
    app.registered_commands += each.app.registered_commands
    app.registered_groups += each.app.registered_groups


def _check_text(arguments: list[str]) -> None:
    """Names go into databases, files and pages, and none of them can hold bytes that are no text."""
    for each in arguments:
        if not each.isascii() and any("\ud800" <= letter <= "\udfff" for letter in each):
            raise BadInputError(f"{each[:99]!r} is not UTF-8: names and paths must be text")


def main() -> None:
    """The process edge: the package's errors become one line and an exit code."""
    try:
        _check_text(sys.argv[1:])
        app()
    except HubError as error:
        from experiment_hub.output import report

        report(error, as_json="--json" in sys.argv)
        raise SystemExit(error.exit_code) from error
    except OSError as error:  # the machine said no where no command expected it: a file that is not ours, a full disk
        from experiment_hub.output import report

        problem = OutOfReachError(f"{error.filename or 'the operating system'}: {error.strerror or error}")
        report(problem, as_json="--json" in sys.argv)
        raise SystemExit(problem.exit_code) from error
