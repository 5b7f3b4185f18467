"""Provenance must not say otherwise than its builder's link: inputs as well as artifacts."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from relsign.formats.link import Sha256
from relsign.formats.names import Digest
from relsign.formats.provenance import Provenance, ResolvedDependency
from relsign.sign.evidence.links import BuildTimes, make_provenance
from tests.verify.releases import Release, make_fingerprint, sealed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OTHER = Sha256(sha256=Digest("9" * 64))
PACKAGE = ResolvedDependency(uri="pkg:deb/debian/gcc-12@12.2.0-14?arch=amd64", digest=OTHER)


def notes(provenance: Provenance) -> tuple[str, ...]:
    """Return what a verifier says of a builder's provenance in an otherwise good release."""
    line = sealed(provenance.to_bytes(), ["builder-a"]) + b"\n"
    files = {"builder-a.intoto.jsonl": line}
    decision = Release(change_files=lambda present: present | files).decide()
    return decision.verdict.rows[4].evidence


def with_inputs(*more: ResolvedDependency, spoil: int | None = None) -> Provenance:
    provenance = make_provenance(make_fingerprint(), "builder-a", BuildTimes(NOW, NOW))
    definition = provenance.predicate.buildDefinition
    inputs = list(definition.resolvedDependencies)
    if spoil is not None:
        inputs[spoil] = msgspec.structs.replace(inputs[spoil], digest=OTHER)
    changed = msgspec.structs.replace(definition, resolvedDependencies=(*inputs, *more))
    predicate = msgspec.structs.replace(provenance.predicate, buildDefinition=changed)
    return msgspec.structs.replace(provenance, predicate=predicate)


def test_packages_the_lock_names_may_stand_beside_the_materials() -> None:
    assert notes(with_inputs()) == ()
    assert notes(with_inputs(PACKAGE)) == ()


@pytest.mark.parametrize("number", range(5))
def test_an_input_must_be_the_links_material(number: int) -> None:
    assert "names other inputs than its builder's link" in notes(with_inputs(spoil=number))[0]


def test_a_named_input_must_stand_in_the_link() -> None:
    unknown = ResolvedDependency(name="sources/hidden", digest=OTHER)
    assert "names other inputs than its builder's link" in notes(with_inputs(unknown))[0]
