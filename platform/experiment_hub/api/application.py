"""The API as one ASGI application."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from experiment_hub.api import problems
from experiment_hub.api.access import Access
from experiment_hub.api.context import Hub
from experiment_hub.api.guard import Guard
from experiment_hub.api.problems import Problem, RequestProblem
from experiment_hub.api.routers import ROUTERS
from experiment_hub.api.watcher import Watcher
from experiment_hub.artifacts.catalog import catalog
from experiment_hub.errors import HubError
from experiment_hub.metadata.store import MetadataStore

PREFIX = "/api/v1"
COMMON = problems.documented(400, 401, 403, 408, 413, 421, 422, 503)
"""What any endpoint may answer."""
TOKEN = HTTPBearer(auto_error=False, description="`hub tokens new` makes one.")
"""Said in the description; it is the guard that looks at it."""
LOG = logging.getLogger(__name__)


def create_app(home: Path, access: Access) -> FastAPI:
    """For one home; raises the errors of opening its database."""
    store = MetadataStore(home)
    hub = Hub(store, access, Watcher(store, catalog(home)))
    app = FastAPI(
        title="Experiment hub",
        version="1",
        description="Runs, curves, artifacts, datasets, models, jobs and money of one home.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.hub = hub
    app.state.problem_page = None
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, dependencies=[Depends(TOKEN)], responses=COMMON)
    app.add_middleware(Guard, hub=hub)
    _answer_errors(app, str(home))
    _describe_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    watcher: Watcher = app.state.hub.watcher
    await run_in_threadpool(watcher.start)
    yield
    await run_in_threadpool(watcher.stop)


def _answer_errors(app: FastAPI, home: str) -> None:
    async def of_hub(request: Request, error: HubError) -> Response:
        if problems.status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            LOG.warning("%s", error)
        return show(request, problems.of_hub_error(error, home))

    async def of_request(request: Request, error: RequestProblem) -> Response:
        return show(request, Problem.of(error.status, error.detail), error.headers)

    async def of_http(request: Request, error: HTTPException) -> Response:
        headers = {"Allow": _methods(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
        return show(request, Problem.of(error.status_code, str(error.detail)), headers)

    async def of_input(request: Request, error: RequestValidationError) -> Response:
        errors = [{"where": [str(part) for part in each["loc"]], "what": each["msg"]} for each in error.errors()]
        return show(request, Problem.of(422, "The request is not what the description asks for.", errors))

    async def of_anything(request: Request, error: Exception) -> Response:
        LOG.error("a request failed", exc_info=error)
        return show(request, Problem.of(500, problems.HIDDEN[500]))

    app.add_exception_handler(HubError, of_hub)  # type: ignore[arg-type] # starlette's type knows only Exception
    app.add_exception_handler(RequestProblem, of_request)  # type: ignore[arg-type] # the same
    app.add_exception_handler(HTTPException, of_http)  # type: ignore[arg-type] # the same
    app.add_exception_handler(RequestValidationError, of_input)  # type: ignore[arg-type] # the same
    app.add_exception_handler(Exception, of_anything)


def show(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """As a document, or as a page where the request is for one and pages are served."""
    as_page = request.app.state.problem_page
    if as_page is not None and not request.url.path.startswith("/api/") and "hx-request" not in request.headers:
        answer: Response = as_page(request, problem)
        return answer
    return problems.respond(problem, headers)


def _methods(request: Request) -> str:
    """All methods that some route has for this path; a route on its own knows only its own."""
    paths = ((compile_path(path)[0], operations) for path, operations in request.app.openapi()["paths"].items())
    fitting = {name.upper() for path, operations in paths if path.match(request.url.path) for name in operations}
    return ", ".join(sorted(fitting))


def _describe_problems(app: FastAPI) -> None:
    """The schema of a problem stands in the description although no endpoint returns one as its result."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema())
        for path in document["paths"].values():
            for operation in path.values():
                answers = operation["responses"]
                if "HTTPValidationError" in str(answers.get("422")):
                    answers["422"] = problems.documented(422)[422]
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way
