"""How a browser gets its session: by the printed link, or by a token."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from experiment_hub.api.access import COOKIE, SESSION_SECONDS
from experiment_hub.api.context import HubDep
from experiment_hub.ui.rendering import page

router = APIRouter()


@router.get("/open")
def open_with_key(request: Request, hub: HubDep, key: str = "") -> Response:
    session = hub.access.open_with_key(key)
    if session is not None:
        return _entered(request, session)
    said = "This link is of an earlier start of the server; `hub serve` prints the one that holds."
    return page(request, "sign_in.html", status=HTTPStatus.FORBIDDEN, said=said)


@router.get("/sign-in")
def form(request: Request) -> Response:
    return page(request, "sign_in.html", said=None)


@router.post("/sign-in")
def enter(request: Request, hub: HubDep, token: Annotated[str, Form(max_length=500)] = "") -> Response:
    session = hub.access.open_with_token(hub.store.engine, token.strip())
    if session is None:
        said = "No such token, or it has expired or was revoked."
        return page(request, "sign_in.html", status=HTTPStatus.FORBIDDEN, said=said)
    return _entered(request, session)


@router.post("/sign-out")
def leave(request: Request, hub: HubDep) -> Response:
    hub.access.close(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE)
    return answer


def _entered(request: Request, session: str) -> Response:
    answer = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",  # the printed link may be opened from another page; changes need this page's origin anyway
        secure=request.url.scheme == "https",
    )
    return answer
