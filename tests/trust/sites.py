"""A published release on disk, with a publisher's listing, and a person who pinned its root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.formats.bundle import bundle_file_name
from relsign.formats.listing import ListedRelease
from relsign.formats.root import Root
from relsign.publish.index import (
    NextIndex,
    Publisher,
    next_index,
    read_index,
    release_entry,
    store_index,
)
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.verify.releases import (
    ARTIFACT,
    LATER,
    NAME,
    NOW,
    PEOPLE,
    Release,
    make_root,
    member,
    parties,
    sign_by,
    signed_root,
)

MEMBERS = tuple(
    sorted(
        (*(member(*person) for person in PEOPLE), member("pia", "pia", "acme", "publisher")),
        key=lambda m: m.name,
    )
)


def publishing_root(*, version: int = 1, expires: datetime = LATER, **changes: object) -> Root:
    """Return the demo project's root, with a publisher."""
    return make_root(version=version, expires=expires, members=MEMBERS, **changes)


@dataclass
class Site:
    """The folder of one project, as a static host would serve it."""

    folder: Path
    release: Release = field(default_factory=lambda: Release(root=publishing_root()))
    artifact: bytes = ARTIFACT

    @property
    def project(self) -> Path:
        """The project's own folder, whose address people know."""
        return self.folder / "demo"

    def root_file(self) -> bytes:
        """Return the first root, signed."""
        return signed_root(self.release.root)

    def entry(self) -> ListedRelease:
        """Return how release 1.0 is listed."""
        statement = self.release.statement()
        digest = sha256_hex(statement.to_bytes())
        sequence = statement.predicate.sequence
        return release_entry("demo", "1.0", sequence, digest, self.release.bundle())

    def write(self, now: datetime = NOW) -> Site:
        """Write the release, the roots and a listing signed at `now`."""
        version = self.project / "1.0"
        version.mkdir(parents=True)
        (version / NAME).write_bytes(self.artifact)
        (version / bundle_file_name("demo", "1.0")).write_bytes(self.release.bundle())
        self.add_root(self.release.root)
        self.list([self.entry()], now)
        return self

    def add_root(self, root: Root, owners: tuple[str, ...] = ("olga", "oona")) -> None:
        """Publish a root, and keep it among the numbered ones."""
        data = signed_root(root, owners)
        (self.project / "metadata").mkdir(parents=True, exist_ok=True)
        (self.project / "root.json").write_bytes(data)
        (self.project / "metadata" / f"{root.version}.root.json").write_bytes(data)

    def list(self, entries: Iterable[ListedRelease], now: datetime = NOW) -> None:
        """Publish a listing that says these releases are there."""
        pia = parties(publishing_root())["pia"]
        folder = self.project / "metadata"
        wanted = NextIndex("demo", tuple(entries), (pia,), 7)
        publisher = Publisher(pia, lambda message: sign_by("pia", message))
        store_index(folder, next_index(read_index(folder), wanted, publisher, now))


def pinned(folder: Path, site: Site, url: str | None, name: str = "demo") -> TrustStore:
    """Return a trust store in which the site's first root is pinned."""
    store = TrustStore(folder)
    store.create(name, open_root(site.root_file()), url, NOW)
    return store
