"""The pages beside the API, as one application."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from experiment_hub.api.access import Access
from experiment_hub.api.application import create_app
from experiment_hub.api.problems import Problem
from experiment_hub.ui.pages import ROUTERS
from experiment_hub.ui.rendering import STATIC, page


def create_site(home: Path, access: Access) -> FastAPI:
    site = create_app(home, access)
    for router in ROUTERS:
        site.include_router(router, include_in_schema=False)
    site.state.problem_page = _problem_page
    site.mount("/static", StaticFiles(directory=STATIC))
    return site


def _problem_page(request: Request, problem: Problem) -> Response:
    back = request.headers.get("referer") if request.method == "POST" else None
    here = str(request.base_url)
    values = {
        "detail": problem.detail,
        "errors": problem.errors,
        "back": back if back and back.startswith(here) else None,
    }
    return page(request, "problem.html", status=problem.status, title=problem.title, **values)
