"""Markdown from templates that ship in a package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Template


def template(package: str, name: str, *, folder: str = "templates", **filters: Callable[..., Any]) -> Template:
    """Load a template; a name in it that nobody gave is a defect of ours, not an empty line."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown for files and agents, not HTML for a browser
    )
    environment.filters.update(filters)
    return environment.get_template(name)
