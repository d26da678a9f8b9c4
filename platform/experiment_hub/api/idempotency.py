"""A POST that is sent twice is carried out once: the answer is kept under `Idempotency-Key` and the caller."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Send

from experiment_hub.api.problems import RequestProblem
from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.tables import IdempotencyKey
from experiment_hub.times import later, now

KEPT_HOURS = 24
LONGEST_KEY = 200
AT_WORK = "The first request with this Idempotency-Key has no answer yet; ask again, or look what it did."
SECRET = "secret"  # noqa: S105 -- a field's name; a secret is shown once, so it is not kept with the answer


@dataclass(frozen=True)
class Claim:
    key: str
    token_id: str
    request_hash: str


async def answer_once(app: ASGIApp, engine: Engine, request: Request, body: bytes, send: Send) -> None:
    """Carry the request out, or give the answer that it had before."""
    claim = _claim(request, body)
    earlier = await run_in_threadpool(_take, engine, claim)
    if earlier is not None:
        again = JSONResponse(earlier.body, earlier.status or 200, headers={"Idempotency-Replayed": "true"})
        await again(request.scope, request.receive, send)
        return
    answer = _Answer()
    await app(request.scope, replay(body, request.receive), answer)
    await run_in_threadpool(_keep, engine, claim, answer)  # before anybody can see the answer
    for message in answer.messages:
        await send(message)


def replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then what the connection says."""
    waiting: list[Message] = [{"type": "http.request", "body": body}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


class _Answer:
    """An answer that nobody has seen yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"]) if self.messages else 500

    @property
    def document(self) -> Any:
        """None for an answer that is no JSON, such as a page's redirection."""
        kind = Headers(raw=self.messages[0]["headers"]).get("content-type", "")
        content = b"".join(message.get("body", b"") for message in self.messages[1:])
        return json.loads(content) if kind.startswith("application/json") else None


def _claim(request: Request, body: bytes) -> Claim:
    key = request.headers["idempotency-key"]
    if not 0 < len(key) <= LONGEST_KEY:
        raise RequestProblem(422, f"An Idempotency-Key has from 1 to {LONGEST_KEY} characters.")
    target = f"{request.url.path}?{request.url.query}\0".encode()
    return Claim(key, request.state.caller.token_id, hashlib.sha256(target + body).hexdigest())


def _take(engine: Engine, claim: Claim) -> IdempotencyKey | None:
    """None when this request is the first; raises RequestProblem 409 for another request or one still at work."""
    try:
        with writing(engine) as session:
            session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < later(now(), hours=-KEPT_HOURS)))
            found = session.get(IdempotencyKey, (claim.key, claim.token_id))
            if found is None:
                session.add(IdempotencyKey(**asdict(claim), created_at=now()))
                return None
    except IntegrityError as error:  # another process was faster by less than a transaction
        raise RequestProblem(409, AT_WORK, {"Retry-After": "1"}) from error
    if found.request_hash != claim.request_hash:
        raise RequestProblem(409, "This Idempotency-Key was used for another request.")
    if found.status is None:
        raise RequestProblem(409, AT_WORK, {"Retry-After": "1"})
    return found


def _keep(engine: Engine, claim: Claim, answer: _Answer) -> None:
    """A success is kept; after a failure, which changed nothing, the key is free again."""
    mine = (IdempotencyKey.key == claim.key, IdempotencyKey.token_id == claim.token_id)
    with writing(engine) as session:
        if 200 <= answer.status < 300:  # noqa: PLR2004 -- what HTTP calls a success
            session.execute(
                update(IdempotencyKey).where(*mine).values(status=answer.status, body=_without_secret(answer.document))
            )
        else:
            session.execute(delete(IdempotencyKey).where(*mine))


def _without_secret(document: Any) -> Any:
    return {**document, SECRET: None} if isinstance(document, Mapping) and SECRET in document else document
