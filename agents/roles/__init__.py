"""The built-in roles: data files and Markdown blocks in this folder, composed on demand."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from agents.roles.composing import Library
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from agents.roles.model import HandOver, Role
    from tickets.model import Draft


@cache
def library() -> Library:
    return Library(folder=files("agents") / "roles")


def roles() -> list[str]:
    """List the built-in roles."""
    return library().names()


def named(role: str) -> Role:
    """Compose a built-in role; raise InputError where there is none of that name."""
    return library().named(role)


def started(role: str, gates: Collection[str]) -> Role:
    """Compose a role that is about to work under these gates; raise FileError where it relies on one that is not there."""
    return library().started(role, gates)


def text_of(role: str) -> str:
    """Give the role's own blocks as Markdown."""
    return named(role).text


def complaint(role: str, gates: Collection[str]) -> str:
    """Say why no ticket can have this role under these gates; nothing where one can."""
    try:
        if started(role, gates).edits:
            return ""
    except InputError as error:
        return str(error)
    able = ", ".join(name for name in roles() if named(name).edits)
    return f"expected a role that may change files ({able}), not {role!r}, which only reads"


def with_report_fields(draft: Draft) -> Draft:
    """Put what the draft's role reports among the fields that the gate `report` asks of its ticket."""
    fields = dict.fromkeys((*(field.name for field in named(draft.role).report), *draft.report_fields))
    return draft.model_copy(update={"report_fields": tuple(fields)})


def hand_overs() -> list[tuple[str, HandOver]]:
    """List who hands what to whom, and when."""
    return [(name, hand_over) for name in roles() for hand_over in named(name).hands_over]
