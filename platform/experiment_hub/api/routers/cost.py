"""Money: what waits for a person, what was agreed to, the ledger."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from experiment_hub.api.access import EVERYBODY
from experiment_hub.api.context import HubDep, Operator
from experiment_hub.api.paging import Cursor, Key, Limit, Order, Page, one_page
from experiment_hub.api.problems import documented
from experiment_hub.api.texts import Id, MaybeText, Sentence
from experiment_hub.api.tokens import Caller
from experiment_hub.cost import decisions, desk, reports, stops
from experiment_hub.cost.approvals import Word
from experiment_hub.cost.person import person
from experiment_hub.errors import NotAllowedError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import CostEntry
from experiment_hub.scheduler import admission

router = APIRouter(tags=["cost"], prefix="/cost")


class EntryOut(BaseModel, from_attributes=True):
    id: int
    at: str
    day: str
    job_id: str
    attempt: int
    kind: str
    usd: float
    seconds: float | None
    launcher: str
    gpu: str | None
    estimate_hash: str | None
    detail: dict[str, Any]


class BalanceOut(BaseModel, from_attributes=True):
    day: str
    spent_today: float
    spent_project: float
    reserved: float
    reserved_project: float
    day_cap: float
    project_cap: float | None
    head_room: float


class WaitingOut(BaseModel, from_attributes=True):
    job_id: str
    name: str
    fan_out: str | None
    estimate_hash: str
    worst_usd: float
    expected_usd: float
    tier: str
    formula: str
    reason: str | None
    since: str


class AccountOut(BaseModel, from_attributes=True):
    launcher: str
    gpu: str | None
    jobs: int
    reserved_usd: float
    paid_usd: float
    overruns: int
    unknown_bills: int
    share: float | None


class WordIn(BaseModel, extra="forbid"):
    answer: Literal["approved", "denied"]
    reason: Sentence | None = Field(default=None, description="Needed from the upper tier on.")


class AnswerOut(BaseModel):
    answer: str
    actor: str
    estimate: dict[str, Any]
    queued: list[str] = Field(description="Jobs that may start now.")


class StopIn(BaseModel, extra="forbid"):
    reason: Sentence


@router.get("/ledger")
def ledger(
    hub: HubDep, job: MaybeText = None, day: MaybeText = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[EntryOut]:
    """Newest first."""
    query = select(*(getattr(CostEntry, name) for name in EntryOut.model_fields))
    query = query.where(
        *(column == value for column, value in ((CostEntry.job_id, job), (CostEntry.day, day)) if value)
    )
    with reading(hub.store.engine) as session:
        order = Order((Key(CostEntry.id, int),), descending=True, label="ledger")
        rows, following = one_page(session, query, order, cursor, limit)
    return Page(items=[EntryOut.model_validate(row) for row in rows], next_cursor=following)


@router.get("/balance")
def balance(hub: HubDep) -> BalanceOut:
    """What is spent, reserved and left."""
    return BalanceOut.model_validate(reports.balance(hub.store.engine, desk.terms(hub.home).settings))


@router.get("/accounts")
def accounts(hub: HubDep) -> list[AccountOut]:
    """How estimates compare with what was paid, by launcher and GPU."""
    return [AccountOut.model_validate(each) for each in reports.accounts(hub.store.engine)]


@router.get("/waiting")
def waiting(hub: HubDep) -> list[WaitingOut]:
    """Jobs whose price no person has agreed to yet, oldest first."""
    return [WaitingOut.model_validate(each) for each in decisions.waiting(hub.store.engine)]


@router.post("/estimates/{estimate_hash}/answer", responses=documented(404, 409))
def answer(hub: HubDep, caller: Operator, estimate_hash: Id, body: WordIn) -> AnswerOut:
    """A person's word on exactly one estimate; good for one launch, void when the price changes."""
    actor, terms = _person(caller), desk.terms(hub.home)
    word = Word(body.answer, actor, body.reason, terms.settings.cost.approval_hours)
    if body.answer == "approved":
        estimate = decisions.approve(hub.store.engine, terms, estimate_hash, word)
    else:
        estimate = decisions.deny(hub.store.engine, estimate_hash, word)
    queued = admission.reconsider(hub.store.engine, hub.home)
    return AnswerOut(answer=body.answer, actor=actor, estimate=decisions.card(estimate), queued=queued)


@router.post("/jobs/{job_id}/stop-permission", responses=documented(404, 409))
def allow_stop(hub: HubDep, caller: Operator, job_id: Id, body: StopIn) -> dict[str, Any]:
    """A person agrees to lose what a paid job at work has done."""
    terms = desk.terms(hub.home)
    word = Word("approved", _person(caller), body.reason, terms.settings.cost.approval_hours)
    return asdict(stops.allow_stop(hub.store.engine, hub.home, job_id, word))


def _person(caller: Caller) -> str:
    """Raises NotAllowedError where a job could be asking: inside one, or where nobody is asked who he is."""
    if caller == EVERYBODY:
        raise NotAllowedError(
            "a server without tokens (--no-auth) does not know who agrees: start it without --no-auth, or use `hub cost`"
        )
    return person(caller.name)
