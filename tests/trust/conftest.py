"""A TUF client with a repository of its own, and a person with a pin of a published project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.system.fetch import network_environment
from relsign.trust.pins.store import TrustStore
from tests.build.served import served
from tests.trust.sites import Site, pinned
from tests.trust.tuf_repository import Repository, serving
from tests.trust.tuf_user import User


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Return a person who has seen nothing yet."""
    for name in network_environment():
        monkeypatch.delenv(name)
    with serving(Repository()) as server:
        yield User(server, tmp_path)


@pytest.fixture
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy stand between a test and its server."""
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site").write()


@pytest.fixture
def url(site: Site, plain_network: None) -> Iterator[str]:
    del plain_network
    with served(site.folder) as address:
        yield f"{address}/demo/"


@pytest.fixture
def store(tmp_path: Path, site: Site, url: str) -> TrustStore:
    return pinned(tmp_path / "trust", site, url)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"
