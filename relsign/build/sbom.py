"""`TARGET.cdx.json`: a CycloneDX 1.6 bill of materials of one target's build.

It lists the artifacts, the sources they were made from, and every package of the
environment they were made in, with digests and package URLs.  It follows from recipe, lock
and fingerprint alone, so everybody gets the same bytes: lists are sorted, the serial number
comes from the fingerprint's id, and the time is the recipe's SOURCE_DATE_EPOCH or left out.

It says what was there, not what got into the artifacts, and nothing of licences: packages of
the environment have the scope ``excluded``, CycloneDX's word for what does not ship.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency as Edge
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.canonical import encode_reviewable
from relsign.formats.dependencies import Dependency, locked_dependencies, source_dependency
from relsign.formats.fingerprint import BuiltArtifact, Fingerprint
from relsign.formats.lock import BuilderLock
from relsign.formats.recipe import Recipe, Target

SERIAL_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:relsign:fingerprint")
KINDS = {"source": ComponentType.FILE, "oci": ComponentType.CONTAINER}


def make_sbom(recipe: Recipe, target: Target, lock: BuilderLock, fingerprint: Fingerprint) -> bytes:
    """Return the bill of materials of a built target, as sorted JSON.

    Raises InputError where recipe and lock are not those of the fingerprint.
    """
    _check_belongs(recipe, target, lock, fingerprint)
    sources = [_component(source_dependency(s), ComponentScope.REQUIRED) for s in recipe.source]
    packages = [
        _component(item, ComponentScope.EXCLUDED)
        for item in dict.fromkeys(locked_dependencies(lock))
    ]
    artifacts = [_artifact(artifact) for artifact in fingerprint.artifacts]
    environment = _environment(lock, fingerprint)
    product = Component(
        type=ComponentType.APPLICATION,
        name=recipe.project.name,
        version=recipe.project.version,
        bom_ref=f"target:{target.name}",
        properties=_properties(_about_build(fingerprint)),
    )
    bom = Bom(
        components=[*sources, *artifacts, environment, *packages],
        serial_number=uuid.uuid5(SERIAL_NAMESPACE, sha256_hex(fingerprint.to_bytes())),
        metadata=BomMetaData(component=product, timestamp=_moment(fingerprint)),
        dependencies=[
            _edge(product, artifacts),
            *(_edge(artifact, [*sources, environment]) for artifact in artifacts),
            _edge(environment, packages),
        ],
    )
    return _sorted_json(bom, timed=fingerprint.source_date_epoch is not None)


def _check_belongs(
    recipe: Recipe, target: Target, lock: BuilderLock, fingerprint: Fingerprint
) -> None:
    """Refuse to describe a build by another's papers."""
    said = {
        "target": (target.name, fingerprint.target),
        "project": (recipe.project.name, fingerprint.project),
        "version": (recipe.project.version, fingerprint.version),
        "lock": (sha256_hex(lock.to_bytes()), fingerprint.environment.lock_sha256),
        "set of sources": (
            sorted((s.name, s.sha256) for s in recipe.source),
            [(s.name, s.sha256) for s in fingerprint.sources],
        ),
    }
    for what, (ours, built) in said.items():
        if ours != built:
            raise InputError(
                f"the fingerprint is of another {what}",
                where=fingerprint.file,
                hint="build again: `relsign build --force`",
            )


def _component(item: Dependency, scope: ComponentScope) -> Component:
    url = PackageURL.from_string(item.url)
    return Component(
        type=KINDS.get(item.ecosystem, ComponentType.LIBRARY),
        name=item.name,
        version=item.version or None,
        scope=scope,
        purl=url,
        hashes=_hashes(item.sha256),
        # One package may be locked as two files, which have one URL.
        bom_ref=f"{item.url}#{item.sha256[:16]}",
    )


def _artifact(artifact: BuiltArtifact) -> Component:
    about = {"relsign:size": str(artifact.size), "relsign:mode": artifact.mode}
    if artifact.normalised:
        about["relsign:normalised"] = " ".join(artifact.normalised)
    return Component(
        type=ComponentType.FILE,
        name=artifact.name,
        scope=ComponentScope.REQUIRED,
        hashes=_hashes(artifact.sha256),
        bom_ref=f"artifact:{artifact.name}",
        properties=_properties(about),
    )


def _environment(lock: BuilderLock, fingerprint: Fingerprint) -> Component:
    about: dict[str, str] = {
        "relsign:architecture": lock.architecture,
        "relsign:lock-sha256": fingerprint.environment.lock_sha256,
    }
    return Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=f"debian {lock.suite}" if lock.suite else lock.builder,
        scope=ComponentScope.EXCLUDED,
        hashes=_hashes(fingerprint.environment.rootfs_sha256),
        bom_ref=f"builder:{lock.builder}",
        properties=_properties(about),
    )


def _about_build(fingerprint: Fingerprint) -> dict[str, str]:
    about = {
        "relsign:fingerprint-sha256": sha256_hex(fingerprint.to_bytes()),
        "relsign:profile": fingerprint.profile.name,
        "relsign:profile-sha256": fingerprint.profile.sha256,
        "relsign:recipe-sha256": fingerprint.recipe_sha256,
        "relsign:target": fingerprint.target,
    }
    if fingerprint.profile.without:
        about["relsign:profile-without"] = ", ".join(fingerprint.profile.without)
    return about


def _hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]


def _properties(about: dict[str, str]) -> list[Property]:
    return [Property(name=name, value=value) for name, value in about.items()]


def _edge(of: Component, needs: Iterable[Component]) -> Edge:
    return Edge(of.bom_ref, [Edge(component.bom_ref) for component in needs])


def _moment(fingerprint: Fingerprint) -> datetime:
    # The library would put today's time where it is given none; that one is taken out again.
    return datetime.fromtimestamp(fingerprint.source_date_epoch or 0, UTC)


def _sorted_json(bom: Bom, *, timed: bool) -> bytes:
    """Return the document in an order of its own, whichever the library writes it in."""
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    if not timed:
        del document["metadata"]["timestamp"]
    document["components"].sort(key=lambda component: component["bom-ref"])
    document["dependencies"].sort(key=lambda edge: edge["ref"])
    return encode_reviewable(document)
