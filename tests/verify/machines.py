"""Builders with real keys, their links and their commitments, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from nacl.signing import SigningKey

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, Party
from relsign.formats.commitment import COMMITMENT_PAYLOAD, Commitment, commitment_file_name
from relsign.formats.link import (
    Byproducts,
    Host,
    Link,
    ReleaseBinding,
    Sha256,
    StepName,
    link_file_name,
)
from relsign.formats.names import Digest
from relsign.sign.evidence.links import seal
from relsign.verify.agreement import Report, Reports, read_reports
from relsign.verify.commitments import commitment_digest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BINDING = ReleaseBinding(project="demo", version="1.0")
GOOD, EVIL = Digest("1" * 64), Digest("2" * 64)
INPUT = Digest("3" * 64)
FILE = "linux.fingerprint.json"


def digests(table: Mapping[str, str]) -> dict[str, Sha256]:
    """Return artifacts as a link holds them."""
    return {path: Sha256(sha256=Digest(digest)) for path, digest in table.items()}


@dataclass(frozen=True)
class Machine:
    """A builder and its key, the same in every run."""

    name: str
    operator: str
    organisation: str

    @property
    def party(self) -> Party:
        key = Ed25519Public(self.key.verify_key.encode())
        return Party(self.name, self.operator, self.organisation, ("builder",), key)

    @property
    def key(self) -> SigningKey:
        return SigningKey(hashlib.sha256(f"machine {self.name}".encode()).digest())

    @property
    def link_file(self) -> str:
        return link_file_name("build", self.party.keyid)

    @property
    def commitment_file(self) -> str:
        return commitment_file_name(self.party.keyid)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message).signature

    def link(
        self,
        fingerprint: str = GOOD,
        material: str = INPUT,
        step: StepName = "build",
        byproducts: Byproducts | None = None,
        binding: ReleaseBinding = BINDING,
    ) -> bytes:
        """Return a signed link with one fingerprint and one artifact that goes with it."""
        link = Link(
            name=step,
            command=("relsign", "build"),
            materials=digests({"relsign.toml": material}),
            products=digests({FILE: fingerprint, "demo.tar": fingerprint}),
            byproducts=byproducts or Byproducts(),
            environment=binding,
        )
        return seal(link.to_bytes(), self.party, self.sign).to_bytes()

    def payload(
        self, fingerprint: Digest = GOOD, salt: Digest | None = None, version: str = "1.0"
    ) -> bytes:
        """Return the payload of this machine's commitment."""
        return Commitment(
            project="demo",
            version=version,
            commitment=commitment_digest(
                self.party.keyid, {"linux": fingerprint}, salt or salt_of(self)
            ),
        ).to_bytes()

    def seal(self, payload: bytes) -> bytes:
        """Return a commitment's payload, signed."""
        return seal(payload, self.party, self.sign, COMMITMENT_PAYLOAD).to_bytes()

    def commitment(
        self, fingerprint: Digest = GOOD, salt: Digest | None = None, version: str = "1.0"
    ) -> bytes:
        """Return this machine's signed commitment."""
        return self.seal(self.payload(fingerprint, salt, version))


A = Machine("builder-a", "machine-a", "acme")
B = Machine("builder-b", "machine-b", "birch")
C = Machine("builder-c", "machine-c", "birch")
D = Machine("builder-d", "machine-d", "cedar")
A2 = Machine("builder-a2", "machine-a", "acme")
"""A second builder of the operator of `A`."""
EVERYBODY = (A, B, C, D, A2)


def salt_of(machine: Machine) -> Digest:
    """Return a machine's salt, the same in every run."""
    return sha256_hex(machine.name.encode())


def heard(*payloads: bytes) -> tuple[Digest, ...]:
    """Return what a link that names these commitments holds."""
    return tuple(sorted(sha256_hex(payload) for payload in payloads))


def on(engine: str, platform: str, environment: str) -> Byproducts:
    """Return what a builder says of its machine."""
    return Byproducts(host=Host(engine=engine, platform=platform, environment=environment))


def reports_of(files: Mapping[str, bytes]) -> Reports:
    """Return the links that stand."""
    return read_reports(files, tuple(machine.party for machine in EVERYBODY), BINDING, NOW)


def report(machine: Machine, data: bytes) -> Report:
    """Return one link as a report."""
    (standing,) = reports_of({machine.link_file: data}).standing
    return standing
