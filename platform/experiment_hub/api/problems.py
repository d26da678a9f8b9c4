"""Errors as RFC 9457 problem documents: a sentence for a person, nothing about the machine behind it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self

from pydantic import BaseModel
from starlette.responses import JSONResponse

from experiment_hub.errors import (
    BadInputError,
    ConflictError,
    CorruptError,
    DatabaseGoneError,
    HubError,
    MissingExtraError,
    NotAllowedError,
    UnknownNameError,
    UnknownRunError,
    WaitsForPersonError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "2"
STATUS: dict[type[HubError], int] = {
    UnknownNameError: 404,
    UnknownRunError: 404,
    NotAllowedError: 403,
    ConflictError: 409,
    WaitsForPersonError: 409,
    MissingExtraError: 501,
    BadInputError: 422,
    DatabaseGoneError: 503,
    CorruptError: 500,
}
HIDDEN = {
    503: "The hub's database cannot be reached at the moment. Try again.",
    500: "The request could not be carried out; the server's log says why.",
}
"""Statuses whose own message would speak of files, hosts and statements."""


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = None
    """What is wrong with which field."""

    @classmethod
    def of(cls, status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> Self:
        return cls(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)


class RequestProblem(Exception):  # noqa: N818 -- a problem in RFC 9457's sense
    """Ends a request with this status and sentence."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    retry = {"Retry-After": RETRY_SECONDS} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    content = problem.model_dump(exclude_none=True)
    return JSONResponse(content, problem.status, headers={**retry, **(headers or {})}, media_type=MEDIA_TYPE)


def status_of(error: HubError) -> int:
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def of_hub_error(error: HubError, home: str) -> Problem:
    status = status_of(error)
    return Problem.of(status, HIDDEN.get(status) or " ".join(str(error).split()).replace(home, "the home"))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these statuses answer with a problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
