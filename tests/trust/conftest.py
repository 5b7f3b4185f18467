"""A TUF client that looks at a repository of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.system.fetch import network_environment
from tests.trust.tuf_repository import Repository, serving
from tests.trust.tuf_user import User


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Return a person who has seen nothing yet."""
    for name in network_environment():
        monkeypatch.delenv(name)
    with serving(Repository()) as server:
        yield User(server, tmp_path)
