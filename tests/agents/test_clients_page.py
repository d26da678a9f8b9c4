"""The page of traps names tests, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
IN_A_SECTION = {
    "Claude Code": "tests/clients/test_claude_traps.py",
    "Codex": "tests/clients/test_codex_traps.py",
    "Gemini CLI and opencode, over the Agent Client Protocol": "tests/clients/test_acp.py",
}
"""Where a test is that is named without its file."""
_NAMED = re.compile(r"`((?:tests/[\w/]+\.py)::)?(test_\w+)`")


def named() -> list[tuple[str, str]]:
    """Give file and name of each test on the page."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        usual = IN_A_SECTION.get(section.partition("\n")[0], "")
        found += [(file.removesuffix("::") or usual, name) for file, name in _NAMED.findall(section)]
    return found


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_each_trap_that_has_a_test_is_on_the_page() -> None:
    listed = {name for _, name in named()}
    files = ("test_claude_traps.py", "test_codex_traps.py")
    texts = [(ROOT / "tests" / "clients" / file).read_text(encoding="utf-8") for file in files]
    written = {name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    assert len(written) > 30
    assert written - listed == set()
