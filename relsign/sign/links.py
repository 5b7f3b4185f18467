"""A builder's evidence: the two links and the provenance of what it built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.raw_signing import Sign
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.link import (
    Byproducts,
    Host,
    Link,
    ReleaseBinding,
    Sha256,
    link_file_name,
)
from relsign.formats.names import Digest
from relsign.formats.provenance import (
    BuildDefinition,
    BuilderIdentity,
    ExternalParameters,
    InternalParameters,
    Provenance,
    ProvenancePredicate,
    ResolvedDependency,
    RunDetails,
    RunMetadata,
)
from relsign.formats.statement import Subject
from relsign.sign.layout import BUILD_COMMAND, SOURCE_COMMAND
from relsign.verify.fingerprint import materials_of, products_of


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """When one target's build started and finished."""

    started_at: datetime
    finished_at: datetime


def seal(payload: bytes, party: Party, sign: Sign, payload_type: str = INTOTO_PAYLOAD) -> Envelope:
    """Return a DSSE envelope around `payload` with `party`'s signature."""
    signature = Signature(keyid=party.keyid, sig=sign(pae(payload_type, payload)))
    return Envelope(payload=payload, payload_type=payload_type, signatures=(signature,))


def describe_host(engine: str, engine_version: str, platform: str, environment: str) -> Host | None:
    """Return what a link says of its builder's machine, or None where that is nothing.

    `engine` is what the engine calls itself, `platform` the machine's architecture,
    `environment` the operating system and its version.
    """
    name = "podman" if "podman" in engine.lower() else _word(engine)
    # Docker's engine calls itself just that.
    words = ("docker" if name == "engine" else name, _word(platform), _word(environment))
    if not all(words):
        return None
    version = re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}", engine_version)
    return Host(
        engine=words[0],
        engine_version=version and version[0],
        platform=words[1],
        environment=words[2],
    )


def _word(text: str) -> str:
    """Return text as a word a link may hold; empty if nothing of it may."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).lstrip("._-")[:64].rstrip("-")


def make_links(
    fingerprints: tuple[Fingerprint, ...], byproducts: Byproducts | None = None
) -> tuple[Link, Link]:
    """Return the unsigned `source` and `build` links of a release's fingerprints.

    `byproducts` stand in the `build` link.  Raises VerificationError when two of the
    fingerprints contradict each other.
    """
    first = fingerprints[0]
    binding = ReleaseBinding(project=first.project, version=first.version)
    materials, products = materials_of(fingerprints), products_of(fingerprints)
    for fingerprint in fingerprints:
        products[fingerprint.file] = sha256_hex(fingerprint.to_bytes())
    source = Link(
        name="source",
        command=SOURCE_COMMAND,
        materials={},
        products=_digests(materials),
        environment=binding,
    )
    build = Link(
        name="build",
        command=BUILD_COMMAND,
        materials=_digests(materials),
        products=_digests(products),
        byproducts=byproducts or Byproducts(),
        environment=binding,
    )
    return source, build


def sign_evidence(
    fingerprints: tuple[Fingerprint, ...],
    times: dict[str, BuildTimes],
    party: Party,
    sign: Sign,
    byproducts: Byproducts | None = None,
) -> dict[str, bytes]:
    """Return file name -> bytes of a builder's signed links and provenance.

    `times` maps each target to when it was built; `byproducts` go into the `build` link.
    """
    files: dict[str, bytes] = {}
    for link in make_links(fingerprints, byproducts):
        name = link_file_name(link.name, party.keyid)
        files[name] = seal(link.to_bytes(), party, sign).to_bytes()
    lines = [
        seal(make_provenance(f, party.name, times[f.target]).to_bytes(), party, sign).to_bytes()
        for f in fingerprints
    ]
    files[f"{party.name}.intoto.jsonl"] = b"".join(line + b"\n" for line in lines)
    return files


def make_provenance(fingerprint: Fingerprint, builder: str, times: BuildTimes) -> Provenance:
    """Return SLSA v1 provenance of one target (https://slsa.dev/spec/v1.0/provenance)."""
    return Provenance(
        subject=tuple(
            Subject(name=a.name, digest=Sha256(sha256=a.sha256)) for a in fingerprint.artifacts
        ),
        predicate=ProvenancePredicate(
            buildDefinition=BuildDefinition(
                externalParameters=ExternalParameters(
                    project=fingerprint.project,
                    version=fingerprint.version,
                    target=fingerprint.target,
                    recipe_sha256=fingerprint.recipe_sha256,
                ),
                internalParameters=InternalParameters(
                    profile=fingerprint.profile.name,
                    profile_sha256=fingerprint.profile.sha256,
                    fingerprint_sha256=sha256_hex(fingerprint.to_bytes()),
                ),
                resolvedDependencies=tuple(
                    ResolvedDependency(name=path, digest=Sha256(sha256=Digest(digest)))
                    for path, digest in sorted(fingerprint.materials().items())
                ),
            ),
            runDetails=RunDetails(
                builder=BuilderIdentity(id=f"urn:relsign:builder:{builder}"),
                metadata=RunMetadata(startedOn=times.started_at, finishedOn=times.finished_at),
            ),
        ),
    )


def _digests(plain: dict[str, str]) -> dict[str, Sha256]:
    return {path: Sha256(sha256=Digest(digest)) for path, digest in sorted(plain.items())}
