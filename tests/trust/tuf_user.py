"""A person with a TUF client, against whom a repository may try everything."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from relsign.errors import RelsignError
from relsign.system.fetch import FetchLimits
from relsign.trust.publication.repository import Place, TufClient
from tests.trust.tuf_repository import NOW, TufServer


class User:
    """A person with a TUF client's folder, who looks at a server now and then."""

    def __init__(self, server: TufServer, folder: Path) -> None:
        self.server = server
        self.repository = server.repository
        self.folder = folder / "metadata"
        self.root = self.repository.trusted_root
        self.hash_names = True
        self.limits = FetchLimits(retries=1)

    def client(self, now: datetime = NOW) -> TufClient:
        url = self.server.url
        place = Place(f"{url}/metadata/", f"{url}/targets/", self.hash_names)
        return TufClient(place, self.folder, self.root, now, self.limits)

    def refresh(self, now: datetime = NOW) -> None:
        self.client(now).refresh()

    def read(self, path: str) -> bytes:
        return self.client().read_target(path)

    def version(self, role: str) -> int:
        """Return the version of a role that was believed; 0 where none was."""
        path = self.folder / f"{role}.json"
        return json.loads(path.read_bytes())["signed"]["version"] if path.exists() else 0

    def versions(self) -> tuple[int, ...]:
        return tuple(self.version(role) for role in ("root", "timestamp", "snapshot", "targets"))

    def refused(self, kind: type[RelsignError], words: str = "") -> None:
        """Demand that a refresh is refused with that error."""
        with pytest.raises(kind) as caught:
            self.refresh()
        assert words in str(caught.value)
