"""A builder's evidence: its links and the provenance of what it built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET

from relsign import __version__
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError
from relsign.formats.dependencies import locked_dependencies, source_dependency
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.fingerprint import EnvironmentDigest, Fingerprint
from relsign.formats.link import (
    Byproducts,
    Host,
    Link,
    ReleaseBinding,
    Sha256,
    link_file_name,
)
from relsign.formats.lock import BuilderLock
from relsign.formats.names import Digest
from relsign.formats.provenance import (
    BuildDefinition,
    BuilderIdentity,
    BuilderVersion,
    Byproduct,
    ExternalParameters,
    InternalParameters,
    Provenance,
    ProvenancePredicate,
    ResolvedDependency,
    RunDetails,
    RunMetadata,
    provenance_file_name,
)
from relsign.formats.recipe import Source, sbom_file
from relsign.formats.statement import Subject
from relsign.sign.rules.layout import BUILD_COMMAND, CHECK_COMMAND, SOURCE_COMMAND
from relsign.verify.fingerprint import environments_of, materials_of, merged, products_of


@dataclass(frozen=True, slots=True)
class Papers:
    """What a target's fingerprint binds by digest only, for provenance to say in full.

    `sources` are the recipe's, `lock` is the target's environment, `sbom_sha256` the digest
    of its bill of materials, None where there is none.
    """

    sources: tuple[Source, ...]
    lock: BuilderLock
    sbom_sha256: Digest | None = None


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """When one target's build started and finished, and what else there is to say of it."""

    started_at: datetime
    finished_at: datetime
    papers: Papers | None = None


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
    fingerprints: tuple[Fingerprint, ...],
    byproducts: Byproducts | None = None,
    checked: tuple[EnvironmentDigest, ...] = (),
) -> tuple[Link, ...]:
    """Return the unsigned `source`, `build` and, where checks ran, `check` links of a release.

    `byproducts` stand in the `build` link; `checked` are the environments the recipe's
    checks passed in, none where it has no checks.  Raises VerificationError when two of the
    fingerprints, or one and a check's environment, contradict each other.
    """
    first = fingerprints[0]
    binding = ReleaseBinding(project=first.project, version=first.version)
    materials, products = materials_of(fingerprints), products_of(fingerprints)
    environments = environments_of(checked)
    for fingerprint in fingerprints:
        products[fingerprint.file] = sha256_hex(fingerprint.to_bytes())
    source = Link(
        name="source",
        command=SOURCE_COMMAND,
        materials={},
        products=_digests(merged("inputs", (materials, environments))),
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
    if not checked:
        return source, build
    check = Link(
        name="check",
        command=CHECK_COMMAND,
        materials=_digests({**products, **environments}),
        products={},
        environment=binding,
    )
    return source, build, check


def sign_evidence(
    fingerprints: tuple[Fingerprint, ...],
    times: dict[str, BuildTimes],
    party: Party,
    sign: Sign,
    byproducts: Byproducts | None = None,
    checked: tuple[EnvironmentDigest, ...] = (),
) -> dict[str, bytes]:
    """Return file name -> bytes of a builder's signed links and provenance.

    `times` maps each target to when it was built; `byproducts` go into the `build` link.
    `checked` are the environments the recipe's checks passed in (`make_links`).
    """
    files: dict[str, bytes] = {}
    for link in make_links(fingerprints, byproducts, checked):
        name = link_file_name(link.name, party.keyid)
        files[name] = seal(link.to_bytes(), party, sign).to_bytes()
    lines = [
        seal(make_provenance(f, party.name, times[f.target]).to_bytes(), party, sign).to_bytes()
        for f in fingerprints
    ]
    files[provenance_file_name(party.name)] = b"".join(line + b"\n" for line in lines)
    return files


def make_provenance(fingerprint: Fingerprint, builder: str, times: BuildTimes) -> Provenance:
    """Return SLSA v1 provenance of one target (https://slsa.dev/spec/v1.0/provenance).

    With `times.papers` it names every package of the environment, else the environment's
    digests alone.  Raises InputError for papers of another build.
    """
    version = BuilderVersion(relsign=__version__)
    return Provenance(
        subject=tuple(
            Subject(name=a.name, digest=Sha256(sha256=a.sha256)) for a in fingerprint.artifacts
        ),
        predicate=ProvenancePredicate(
            buildDefinition=_build_definition(fingerprint, times.papers),
            runDetails=RunDetails(
                builder=BuilderIdentity(id=f"urn:relsign:builder:{builder}", version=version),
                metadata=RunMetadata(startedOn=times.started_at, finishedOn=times.finished_at),
                byproducts=_byproducts(fingerprint, times.papers),
            ),
        ),
    )


def _build_definition(fingerprint: Fingerprint, papers: Papers | None) -> BuildDefinition:
    epoch = fingerprint.source_date_epoch
    normalised = {a.name: a.normalised for a in fingerprint.artifacts if a.normalised}
    return BuildDefinition(
        externalParameters=ExternalParameters(
            project=fingerprint.project,
            version=fingerprint.version,
            target=fingerprint.target,
            recipe_sha256=fingerprint.recipe_sha256,
            source_date_epoch=UNSET if epoch is None else epoch,
        ),
        internalParameters=InternalParameters(
            profile=fingerprint.profile.name,
            profile_sha256=fingerprint.profile.sha256,
            fingerprint_sha256=sha256_hex(fingerprint.to_bytes()),
            without=fingerprint.profile.without,
            normalised=normalised or UNSET,
        ),
        resolvedDependencies=_dependencies(fingerprint, papers),
    )


def _dependencies(
    fingerprint: Fingerprint, papers: Papers | None
) -> tuple[ResolvedDependency, ...]:
    """Return the links' materials, sorted by name, then every locked package, by URL."""
    urls: dict[str, str] = {}
    packages: tuple[ResolvedDependency, ...] = ()
    if papers is not None:
        if sha256_hex(papers.lock.to_bytes()) != fingerprint.environment.lock_sha256:
            raise InputError(
                "the lock is not the one the target was built with",
                where=f"builders/{papers.lock.builder}/builder.lock",
                expected=fingerprint.environment.lock_sha256,
                hint="build again: `relsign build --force`",
            )
        found = [(s.name, source_dependency(s)) for s in papers.sources]
        urls = {f"sources/{name}": item.url for name, item in found}
        packages = tuple(
            ResolvedDependency(uri=item.url, digest=Sha256(sha256=item.sha256))
            for item in locked_dependencies(papers.lock)
        )
    materials = tuple(
        ResolvedDependency(
            name=path, uri=urls.get(path, UNSET), digest=Sha256(sha256=Digest(digest))
        )
        for path, digest in sorted(fingerprint.materials().items())
    )
    return materials + packages


def _byproducts(fingerprint: Fingerprint, papers: Papers | None) -> tuple[Byproduct, ...]:
    found = {fingerprint.file: sha256_hex(fingerprint.to_bytes())}
    if papers is not None and papers.sbom_sha256 is not None:
        found[sbom_file(fingerprint.target)] = papers.sbom_sha256
    return tuple(
        Byproduct(name=name, digest=Sha256(sha256=digest)) for name, digest in found.items()
    )


def _digests(plain: dict[str, str]) -> dict[str, Sha256]:
    return {path: Sha256(sha256=Digest(digest)) for path, digest in sorted(plain.items())}
