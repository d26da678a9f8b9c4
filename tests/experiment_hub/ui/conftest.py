"""The pages of a home, served in this process, and by a process of its own for a browser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiment_hub.api.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture
def site(home: Path) -> "Iterator[Callable[..., TestClient]]":
    """`site()` gives a client that everybody's pages are open to; another Access may be given."""
    from fastapi.testclient import TestClient

    from experiment_hub.ui.application import create_site

    with ExitStack() as stack:

        def begin(access: Access | None = None) -> TestClient:
            app = create_site(home, access or Access("none"))
            return stack.enter_context(TestClient(app, base_url="http://localhost", raise_server_exceptions=False))

        yield begin


@pytest.fixture(scope="session")
def serving() -> "Callable[..., AbstractContextManager[dict[str, Any]]]":
    """`with serving(home) as printed` starts `hub serve` on a free port; gives its `url` and the link to `open`."""

    @contextmanager
    def begin(home: Path, *options: str) -> Iterator[dict[str, Any]]:
        command = [sys.executable, "-m", "experiment_hub", "serve", "--json", "--port", "0", "--home", str(home)]
        with subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            try:
                yield {**json.loads(process.stdout.readline()), "process": process}
            finally:
                process.terminate()
                process.wait(timeout=20)

    return begin


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=BROWSER)
        yield browser
        browser.close()
