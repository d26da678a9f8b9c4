"""Money: what waits for a person, what is spent and held."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from experiment_hub.api.access import EVERYBODY
from experiment_hub.api.context import CallerDep, HubDep, Operator
from experiment_hub.api.paging import Cursor
from experiment_hub.api.routers import cost
from experiment_hub.api.texts import Id, PlainText
from experiment_hub.ui.forms import back_to
from experiment_hub.ui.rendering import page

router = APIRouter(prefix="/spend")
PAGE = 50


@router.get("")
def spend(request: Request, hub: HubDep, caller: CallerDep, cursor: Cursor = None) -> Response:
    values: dict[str, Any] = {
        "waiting": cost.waiting(hub),
        "balance": cost.balance(hub),
        "accounts": cost.accounts(hub),
        "ledger": cost.ledger(hub, limit=PAGE, cursor=cursor),
    }
    return page(request, "spend.html", known=caller != EVERYBODY, **values)


@router.post("/{estimate_hash}")
def answer(
    hub: HubDep,
    caller: Operator,
    estimate_hash: Id,
    answer: Annotated[Literal["approved", "denied"], Form()],
    reason: Annotated[PlainText, Form()] = "",
) -> Response:
    cost.answer(hub, caller, estimate_hash, cost.WordIn(answer=answer, reason=reason.strip() or None))
    return back_to("/spend")
