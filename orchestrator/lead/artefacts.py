"""What a feature leaves behind for people before any of its tickets starts: notes, the plan in two forms, and its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.lead.costs import reviewed
from tickets.files import render
from tickets.plans.page import HEAD, as_yaml, page
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from memory.records import TicketRow
    from orchestrator.workspace import Workspace
    from tickets.plan import Plan

DRAFTS = "draft-"
PLAN = "plan.yaml"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A plan whose tickets have their ids."""

    ids: Mapping[str, str] = field(default_factory=dict)
    at: str = ""


def folder_of(workspace: Workspace, feature: str) -> Path:
    return workspace.state / "features" / feature


def write(workspace: Workspace, folder: Path, plan: Plan, *, base: str, frozen: Frozen | None = None) -> None:
    """Write `plan.yaml`, `plan.md` and `research.md`; doing it again replaces them by the same."""
    frozen = frozen or Frozen()
    text = page(plan, reviewed(workspace, plan, base), ids=frozen.ids, frozen=frozen.at)
    write_durably(folder / PLAN, f"{HEAD}{as_yaml(plan)}".encode())
    write_durably(folder / "plan.md", text.encode())
    notes = plan.research or "The lead wrote no notes."
    write_durably(folder / "research.md", f"# Notes of the lead: {plan.request}\n\n{notes}\n".encode())


def write_draft(workspace: Workspace, plan: Plan, *, base: str) -> Path:
    """Lay out a plan that was not started in a folder of its own, or in the last one where that has just this plan."""
    text = f"{HEAD}{as_yaml(plan)}"
    parent = workspace.state / "features"
    numbers = [int(one.name.removeprefix(DRAFTS)) for one in parent.glob(f"{DRAFTS}[0-9][0-9][0-9][0-9]")]
    last = max(numbers, default=0)
    file = parent / f"{DRAFTS}{last:04d}" / PLAN
    if not file.is_file() or file.read_bytes() != text.encode():  # a person may have edited it
        file = parent / f"{DRAFTS}{last + 1:04d}" / PLAN
    write(workspace, file.parent, plan, base=base)
    return file


def write_tickets(workspace: Workspace, rows: Iterable[TicketRow]) -> None:
    """Write tickets as the files that people read and edit."""
    folder = workspace.state / "tickets"
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        name = f"{row.record.id}{row.record.slug[len(row.id) :]}.md"
        (folder / name).write_text(render(row.record), encoding="utf-8")
