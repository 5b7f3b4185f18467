"""Projects with a publisher, signed or published, for the tests of what is listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from relsign.system.fetch import network_environment
from tests.projects import Project, make_project
from tests.publish.listed import StockClient


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def listed_template(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """Return the folder of a signed project with a publisher, to be copied."""
    folder = tmp_path_factory.mktemp("listed")
    project = make_project(folder / "project", keys, folder / "site", publisher=True)
    return project.signed().folder


@pytest.fixture
def signed(tmp_path: Path, keys: Path, listed_template: Path) -> Project:
    """Return a project whose first release is signed and not published."""
    folder = shutil.copytree(listed_template, tmp_path / "project")
    return Project(folder, keys, tmp_path / "site")


@pytest.fixture
def published(signed: Project) -> Project:
    assert signed.publish_as("pia") == 0
    return signed


@pytest.fixture
def client(published: Project, tmp_path: Path) -> StockClient:
    return StockClient(published, tmp_path / "stock")
