"""A catalog in a fresh home, whose database is a copy of one that was migrated once."""

import shutil
from pathlib import Path

import pytest

from experiment_hub.artifacts.catalog import Catalog, catalog
from experiment_hub.metadata.database import FILE, open_engine


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database."""
    home = tmp_path_factory.mktemp("migrated")
    open_engine(home)
    return home / FILE


@pytest.fixture
def known(home: Path, migrated: Path) -> Catalog:
    home.mkdir()
    shutil.copy(migrated, home / FILE)
    return catalog(home)
