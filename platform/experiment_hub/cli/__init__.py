"""The command line; everything heavy is imported inside the command that needs it."""

import sys

import typer

from experiment_hub.cli import (
    artifacts,
    cost,
    data,
    db,
    evaluation,
    jobs,
    listings,
    models,
    new,
    onnx,
    runs,
    serve,
    tokens,
    training,
    worker,
)
from experiment_hub.errors import HubError

app = typer.Typer(
    name="hub",
    help="Train, track, compare, register and pay; every run is recorded before it starts.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

COMMANDS = (training, runs, evaluation, listings, onnx, worker, serve)
"""Their commands stand right behind `hub`."""
GROUPS = {
    "new": (new, "Start a plugin of your own from a template."),
    "data": (data, "Datasets: manifests, checks, versions."),
    "artifacts": (artifacts, "The artifact store."),
    "models": (models, "The model registry."),
    "jobs": (jobs, "The queue."),
    "cost": (cost, "Paid compute: rates, estimates, approvals, the ledger."),
    "db": (db, "The metadata database."),
    "tokens": (tokens, "Who may use the API."),
}

for module in COMMANDS:
    app.registered_commands += module.app.registered_commands
for name, (module, purpose) in GROUPS.items():
    app.add_typer(module.app, name=name, help=purpose, no_args_is_help=True)


def main() -> None:
    """The process edge: the package's errors become one line and an exit code."""
    try:
        app()
    except HubError as error:
        from experiment_hub.output import report

        report(error, as_json="--json" in sys.argv)
        raise SystemExit(error.exit_code) from error
