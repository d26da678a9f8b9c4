"""A plan for people, and as the file that is edited: two views of the same record."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from tickets.markdown import template

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jinja2 import Template

    from tickets.plan import Plan
    from tickets.plans.review import PlanReview

HEAD = """\
# A plan as data. Edit what you like, then: orchestrate feature --plan THIS-FILE
# Questions are answered by an `answer:` under them.
"""


def page(plan: Plan, review: PlanReview, *, ids: Mapping[str, str] | None = None, frozen: str = "") -> str:
    """Write the plan as Markdown; `ids` are its tickets' where they have any, `frozen` is when it was."""
    names = {draft.key: f"{ids[draft.key]} {draft.key}" if ids else draft.key for draft in plan.tickets}
    return _template().render(plan=plan, review=review, names=names, heading=plan.request, frozen=frozen)


@cache
def _template() -> Template:
    return template("tickets", "plan.md.j2", quoted=_quoted, named=lambda key, names: names.get(key, key))


def _quoted(text: str) -> str:
    """Quote a command so that none of its own backticks ends the quotation."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def as_yaml(plan: Plan, *, without: Collection[str] = ()) -> str:
    """Write the plan as a file that reads as the same plan; `without` leaves keys out."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    values = plan.model_dump(mode="json", exclude_defaults=True, exclude=set(without))
    values["tickets"] = [{"key": ticket.pop("key"), **ticket} for ticket in values.get("tickets", [])]
    for question in values.get("questions", []):
        question.setdefault("answer", "")
    writer: Any = YAML(typ="rt", pure=True)  # its settings have types that refuse their values
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 2**16
    stream = StringIO()
    writer.dump(_told(values, LiteralScalarString), stream)
    return stream.getvalue()


def _told(value: Any, block: type[str]) -> Any:
    """Let texts of several lines be blocks, as a person would write them."""
    if isinstance(value, dict):
        return {key: _told(each, block) for key, each in value.items()}
    if isinstance(value, list):
        return [_told(each, block) for each in value]
    return block(value) if isinstance(value, str) and "\n" in value else value
