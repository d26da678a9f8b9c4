"""Paid compute: rates, estimates, approvals, the ledger."""

import typer

app = typer.Typer()
