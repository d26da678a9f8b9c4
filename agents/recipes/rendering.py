"""The files that recipes write, from templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("agents.recipes", "templates"),
        undefined=StrictUndefined,  # an undefined name is a defect of ours, not an empty line in somebody's code
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and Markdown, not HTML for a browser
    )


def render(template: str, **values: Any) -> str:
    return _templates().get_template(f"{template}.j2").render(**values)
