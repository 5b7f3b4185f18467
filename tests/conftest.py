"""What every test gets: one hypothesis profile, and people with keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.projects import Project, make_keys, make_project

# The same examples on every machine and every run: a red test here is red everywhere.
settings.register_profile("relsign", deadline=None, derandomize=True, database=None)
settings.load_profile("relsign")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key store with everybody's key."""
    return make_keys(tmp_path_factory.mktemp("people") / "keys")


@pytest.fixture
def project(tmp_path: Path, keys: Path) -> Project:
    """Return a project nobody has built or signed yet."""
    return make_project(tmp_path / "project", keys, tmp_path / "site")
