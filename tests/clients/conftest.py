"""The real clients, where they are installed, a scripted model for them, and a place to work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agents.scripted_model.server import ModelServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("SIGNALBOX_CLIENTS", ROOT / ".clients")) / "node_modules"
HOW = "scripts/clients installs the clients; SIGNALBOX_CLIENTS names the folder that holds their node_modules"
CLAUDE = "@anthropic-ai/claude-code-*/claude"
CODEX = "@openai/codex-*/vendor/*/bin/codex"
GEMINI = "@google/gemini-cli/bundle/gemini.js"
OPENCODE = "opencode-*/bin/opencode"
Model = Callable[..., ModelServer]
"""`model(script, log=None)`: a scripted model server that lives as long as the test."""


def found(pattern: str) -> Path:
    """Find a client's program, or skip the test and say where it was looked for."""
    paths = [path for path in sorted(CLIENTS.glob(pattern)) if os.access(path, os.R_OK)]
    if not paths:
        pytest.skip(f"there is no {pattern} in {CLIENTS}: {HOW}")
    return paths[0]


@pytest.fixture(scope="session")
def claude() -> Path:
    """Claude Code's own binary: what npm puts on the PATH may be a stub."""
    return found(CLAUDE)


@pytest.fixture(scope="session")
def codex() -> Path:
    return found(CODEX)


@pytest.fixture(scope="session")
def gemini() -> tuple[str, ...]:
    """Command line of Gemini CLI."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no `node` on the PATH: Gemini CLI needs Node.js 20 or newer")
    return node, str(found(GEMINI))


@pytest.fixture(scope="session")
def opencode() -> tuple[str, ...]:
    """Command line of opencode."""
    return (str(found(OPENCODE)),)


@pytest.fixture
def model() -> Iterator[Model]:
    with ExitStack() as stack:

        def serve(script: Mapping[str, Any], log: Path | None = None) -> ModelServer:
            return stack.enter_context(serving(script, log=log))

        yield serve


@pytest.fixture
def lab() -> Iterator[Path]:
    """An empty folder that is not below TMPDIR: Codex runs no command where its home is."""
    folder = Path(tempfile.mkdtemp(prefix="signalbox-lab-", dir=os.environ.get("SIGNALBOX_LAB", "/var/tmp")))
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
