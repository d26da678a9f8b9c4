"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="Path of a YAML file, or the name of a built-in one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Home = Annotated[Path | None, typer.Option(help="Where runs live; else HUB_HOME, else .hub.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value.")]
