"""What the ledger says of a feature, a ticket, a day: used, reserved beforehand, and how much is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memory.ledger import Ledger
from tickets.spending import MICROS, shown

if TYPE_CHECKING:
    from memory.amounts import Sum
    from memory.records import TicketRow
    from orchestrator.workspace import Workspace
    from tickets.model import Budget
    from tickets.spending import Scope, Unit


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where a feature, a ticket or a day stands."""

    total: Sum
    most: dict[Unit, int]
    """How much is allowed, in each unit that has a limit."""

    def __str__(self) -> str:
        total = self.total
        if not total.runs:
            return "$0.00 spent"
        said = [f"{shown('usd', total.used.usd)} spent of {shown('usd', self.most['usd'])}"]
        tokens = f" of {self.most['tokens']:,}" if "tokens" in self.most else ""
        said.append(f"{total.used.tokens:,}{tokens} tokens")
        said.append(f"reserved beforehand {shown('usd', total.reserved.usd)}")
        if total.held:
            said.append(f"{shown('usd', total.held.usd)} still held by runs that go on")
        if total.unmeasured:
            said.append(f"{total.unmeasured} of {total.runs} runs not measured")
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        total = self.total
        usd, tokens = self.most.get("usd"), self.most.get("tokens")
        return {
            **total.used.to_json(),
            "reserved": total.reserved.to_json(),
            "held": total.held.to_json(),
            "limit": {"usd": None if usd is None else usd / MICROS, "tokens": tokens},
            "runs": total.runs,
            "unmeasured_runs": total.unmeasured,
        }


def of_feature(workspace: Workspace, feature: str) -> Account:
    return Account(total=Ledger(workspace.database).total(feature=feature), most=_most(workspace, "feature"))


def of_ticket(workspace: Workspace, row: TicketRow) -> Account:
    most = _most(workspace, "ticket", row.record.budget)
    return Account(total=Ledger(workspace.database).total(ticket=row.id), most=most)


def of_day(workspace: Workspace) -> Account:
    """Give today's, in UTC."""
    today = datetime.now(UTC).date().isoformat()
    return Account(total=Ledger(workspace.database).total(day=today), most=_most(workspace, "day"))


def _most(workspace: Workspace, scope: Scope, budget: Budget | None = None) -> dict[Unit, int]:
    limits = workspace.policy.spend.limits(budget)
    return {limit.unit: limit.most for limit in limits if limit.scope == scope}


def spend_usd(workspace: Workspace, *, feature: str = "", ticket: str = "") -> float:
    return Ledger(workspace.database).total(feature=feature, ticket=ticket).used.usd / MICROS


def spent(workspace: Workspace, ticket: str) -> tuple[float, int]:
    """Give what the work on a ticket has used up: US dollars, and tokens. Audits of it are not part of that."""
    used = Ledger(workspace.database).total("work", ticket=ticket).used
    return used.usd / MICROS, used.tokens
