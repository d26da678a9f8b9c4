"""In front of everything: who asks, by which name, from which page, with how much; and the headers of every answer."""

from collections.abc import Mapping
from http import HTTPStatus

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiment_hub.api.access import COOKIE, EVERYBODY
from experiment_hub.api.context import Hub
from experiment_hub.api.idempotency import answer_once, replay
from experiment_hub.api.problems import Problem, RequestProblem, of_hub_error, respond
from experiment_hub.api.tokens import Caller, authenticate
from experiment_hub.errors import HubError

LARGEST_BODY = 1 << 20
BODY_SECONDS = 30
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = ("/static/", "/sign-in", "/open")
API = "/api/"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            refused = await self._admit(request)
            body = b"" if refused or request.method in SAFE else await _body(request)
            if refused is not None:
                await refused(scope, receive, send)
            elif request.method == "POST" and "idempotency-key" in request.headers and request.url.path.startswith(API):
                await answer_once(self._app, self._hub.store.engine, request, body, send)
            else:
                await self._app(scope, receive if request.method in SAFE else replay(body, receive), send)
        except RequestProblem as problem:
            answer = respond(Problem.of(problem.status, problem.detail), problem.headers)
            await answer(scope, receive, send)
        except HubError as error:
            await respond(of_hub_error(error, str(self._hub.home)))(scope, receive, send)

    async def _admit(self, request: Request) -> Response | None:
        """None when the request may go on; its caller is then known."""
        headers = request.headers
        if not self._hub.access.knows_host(headers.get("host", "")):
            raise RequestProblem(421, "This server does not go by that name; `hub serve --allow-host NAME` adds one.")
        own_page = _is_own_page(headers)
        if request.method not in SAFE and not own_page and ("origin" in headers or "sec-fetch-site" in headers):
            raise RequestProblem(403, "A page of another site must not change anything here.")
        if request.url.path.startswith(PUBLIC):
            return None
        caller, by_cookie = await self._caller(request)
        if caller is None:
            return _unknown(request)
        if by_cookie and request.method not in SAFE and not own_page:
            raise RequestProblem(403, "A change with a browser's session must come from the hub's own page.")
        request.state.caller = caller
        request.state.newest_event = self._hub.watcher.newest  # before anything is read: what comes later is told
        return None

    async def _caller(self, request: Request) -> tuple[Caller | None, bool]:
        """And whether it is known by its cookie, which browsers send on their own."""
        access, engine = self._hub.access, self._hub.store.engine
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind:
            good = kind.lower() == "bearer" and bool(secret.strip())
            return (await run_in_threadpool(authenticate, engine, secret.strip()) if good else None), False
        if access.mode == "none":
            return EVERYBODY, False
        cookie = request.cookies.get(COOKIE)
        found = await run_in_threadpool(access.caller_of_session, engine, cookie) if cookie else None
        return found, True


def _is_own_page(headers: Headers) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    host = headers.get("host", "")
    return origin in {f"http://{host}", f"https://{host}"} if origin is not None else site == "same-origin"


def _unknown(request: Request) -> Response:
    if request.url.path.startswith(API) or request.method not in SAFE:
        detail = "A token is needed: `Authorization: Bearer TOKEN`. `hub tokens new` makes one."
        return respond(Problem.of(401, detail), {"WWW-Authenticate": 'Bearer realm="hub"'})
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)


async def _body(request: Request) -> bytes:
    """All of it, at most so much and within so many seconds."""
    parts, size = [], 0
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > LARGEST_BODY:
                    raise RequestProblem(413, f"A request has at most {LARGEST_BODY} bytes.")
                parts.append(part)
    except TimeoutError as error:
        raise RequestProblem(408, f"The request did not arrive within {BODY_SECONDS} seconds.") from error
    return b"".join(parts)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
