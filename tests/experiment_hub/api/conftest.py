"""The API of a home, served in this process."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import experiment_hub
from experiment_hub.api import tokens
from experiment_hub.api.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi.testclient import TestClient

    from experiment_hub.tracking.client import TrackedRun


@pytest.fixture
def serve(home: Path) -> "Iterator[Callable[..., TestClient]]":
    """`serve()` gives a client with an admin's token; `serve(role=None)` one without any."""
    from fastapi.testclient import TestClient

    from experiment_hub.api.application import create_app

    with ExitStack() as stack:

        def begin(role: str | None = "admin", access: Access | None = None) -> TestClient:
            app = create_app(home, access or Access("token"))
            client = stack.enter_context(TestClient(app, base_url="http://localhost", raise_server_exceptions=False))
            if role is not None:
                made = tokens.create(app.state.hub.store.engine, "ada", role, days=None)
                client.headers["Authorization"] = f"Bearer {made.secret}"
            return client

        yield begin


@pytest.fixture
def logged(home: Path) -> "Callable[..., TrackedRun]":
    """`logged("name", {"lr": 0.1}, loss=[3, 2, 1])` is a finished run of a script."""

    def run(name: str, config: dict[str, Any] | None = None, **curves: list[float]) -> "TrackedRun":
        tracked = experiment_hub.start(name, config=config or {}, home=home, system_seconds=None, capture=False)
        for step in range(max(map(len, curves.values()), default=0)):
            tracked.log({curve: values[step] for curve, values in curves.items() if step < len(values)}, step=step)
        tracked.finish()
        return tracked

    return run
