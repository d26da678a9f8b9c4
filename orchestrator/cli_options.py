"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Repo = Annotated[
    Path, typer.Option("--repo", help="The repository, or any folder in it.", show_default="the current folder")
]
Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on standard output.")]
Events = Annotated[
    str | None,
    typer.Option("--events", metavar="FILE", help="Progress as JSON lines, appended to FILE; `-`: to standard output."),
]
Here = Path()
