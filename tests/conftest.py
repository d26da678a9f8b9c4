"""Fixtures for all tests: a home of its own, and a small project under git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo_project import Demo, demo_in, home_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_in(tmp_path)


@pytest.fixture
def demo(tmp_path: Path, home: Path) -> Demo:
    return demo_in(tmp_path, home)
