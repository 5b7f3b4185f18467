"""A repository of signed manifests as other projects keep it, made with real gpg."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relsign.formats.sums_policy import parse_sums_policy
from relsign.trust.sums.look import SumsReport, check_sums
from relsign.verify.sums import FileVerdict
from tests.build.gnupg_home import GnuPG

BUILDERS = ("alice", "bob", "carol")
POLICY = "threshold = 2\n"
ALL = "all.SHA256SUMS"
EXPIRED_ON = "20240201T000000"
BEFORE = "20240110T000000"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def lines(*names: str, content: str = "") -> bytes:
    """Return a manifest; each file's content is its name unless another is given."""
    return "".join(f"{digest(content or name)}  {name}\n" for name in names).encode()


DEMO = lines("demo.tar.gz", "demo.zip")
OTHER = lines("demo.tar.gz", content="other") + lines("demo.zip")


@dataclass(frozen=True)
class Stranger:
    """Somebody's key in the maker's own gpg home."""

    gpg: GnuPG
    keys: dict[str, str]
    """Fingerprint of each builder, of ``late`` (expired today) and ``stranger``."""


@contextmanager
def make_people(folder: Path) -> Iterator[Stranger]:
    """Make everybody's keys, and end gpg's agent afterwards."""
    folder.mkdir(mode=0o700)
    gpg = GnuPG(folder)
    try:
        keys = {name: gpg.make_key(f"{name} <{name}@example.org>") for name in BUILDERS}
        keys["stranger"] = gpg.make_key("stranger <stranger@example.org>")
        keys["late"] = gpg.make_key("late", expires=EXPIRED_ON, at="20240101T000000")
        yield Stranger(gpg, keys)
    finally:
        gpg.stop()


@dataclass(frozen=True)
class Repository:
    """A tree of manifests and a folder of key files."""

    root: Path
    people: Stranger

    @property
    def sums(self) -> Path:
        return self.root / "sums"

    @property
    def keys(self) -> Path:
        return self.root / "builder-keys"

    def manifest(self, builder: str, *, release: str = "1.0", name: str = ALL) -> Path:
        return self.sums / release / builder / name

    def put(
        self,
        builder: str,
        data: bytes = DEMO,
        *options: str,
        key: str = "",
        release: str = "1.0",
        name: str = ALL,
        at: str = "",
    ) -> Path:
        """Sign a manifest in a builder's folder; by the builder unless a key is named."""
        path = self.manifest(builder, release=release, name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        signer = self.people.keys.get(key or builder, key)
        self.people.gpg.sign(path, signer, *options, at=at)
        return path

    def put_key(self, name: str, *keys: str) -> None:
        """Write an armoured key file."""
        self.keys.mkdir(exist_ok=True)
        wanted = [self.people.keys.get(key, key) for key in keys or (name,)]
        (self.keys / f"{name}.gpg").write_bytes(self.people.gpg.certificate(*wanted))

    def check(self, policy: str = POLICY, *artifacts: Path) -> SumsReport:
        parsed = parse_sums_policy(policy.encode(), "policy")
        return check_sums(self.sums, self.keys, parsed, artifacts, datetime.now(UTC))

    def file(self, name: str = "demo.tar.gz", policy: str = POLICY) -> FileVerdict:
        (found,) = [one for one in self.check(policy).files if one.name == name]
        return found


def make_repository(folder: Path, people: Stranger) -> Repository:
    """Return a repository in which three builders signed the same manifest of 1.0."""
    made = Repository(folder, people)
    made.sums.mkdir(parents=True)
    for builder in BUILDERS:
        made.put_key(builder)
        made.put(builder)
    return made


def reasons(report: SumsReport) -> dict[str, str]:
    """Return why each piece of evidence counts for nobody, by where it lies."""
    return {one.where: one.reason for one in report.findings}
