"""What a builder's provenance says in full, and what stands in none of its papers."""

from __future__ import annotations

import json
import os
import platform
import pwd
import socket
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from relsign import __version__
from relsign.build.sbom import make_sbom
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.fingerprint import Fingerprint, SourceDigest
from relsign.formats.names import Digest
from relsign.formats.provenance import parse_provenance
from relsign.formats.recipe import parse_recipe
from relsign.sign.evidence.links import BuildTimes, Papers, make_provenance, sign_evidence
from tests.formats.dependency_samples import RICH_RECIPE, make_rich_lock
from tests.formats.samples import AA, make_fingerprint
from tests.verify.releases import make_root, parties, sign_by

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECIPE = parse_recipe(RICH_RECIPE)
LOCK = make_rich_lock()
PAPERS = Papers(RECIPE.source, LOCK, Digest(AA))


def built() -> Fingerprint:
    """Return the fingerprint of a build in the lock's environment, with all there may be in it."""
    whole = make_fingerprint()
    first = msgspec.structs.replace(whole.artifacts[0], normalised=("gzip-1",))
    return msgspec.structs.replace(
        whole,
        sources=tuple(
            SourceDigest(name=s.name, sha256=s.sha256)
            for s in sorted(RECIPE.source, key=lambda source: source.name)
        ),
        environment=msgspec.structs.replace(
            whole.environment, builder=LOCK.builder, lock_sha256=sha256_hex(LOCK.to_bytes())
        ),
        profile=msgspec.structs.replace(whole.profile, without=("uptime",)),
        artifacts=(first, *whole.artifacts[1:]),
    )


def test_it_names_every_input_with_its_digest() -> None:
    provenance = make_provenance(built(), "bob", BuildTimes(NOON, NOON, PAPERS))
    assert parse_provenance(provenance.to_bytes()) == provenance
    inputs = provenance.predicate.buildDefinition.resolvedDependencies
    assert [item.name for item in inputs if item.name] == [
        "builders/debian-python/builder.lock", "builders/debian-python/rootfs.tar",
        "profiles/hardened-1.json", "relsign.toml",
        "sources/attrs", "sources/gzip", "sources/odd", "sources/tool",
    ]  # fmt: skip
    packages = [item for item in inputs if item.name is msgspec.UNSET]
    assert len(packages) == 6
    assert all(item.uri and item.digest.sha256 for item in packages)
    assert {item.name: item.uri for item in inputs if item.name and item.uri} == {
        "sources/attrs": "pkg:pypi/attrs@26.1.0?file_name=attrs-26.1.0.tar.gz",
        "sources/gzip": "pkg:deb/debian/gzip?arch=source&file_name=gzip_1.12.orig.tar.xz",
        "sources/odd": "pkg:generic/odd?file_name=odd.tar.gz",
        "sources/tool": f"pkg:generic/tool@{'ab' * 20}?file_name=tool-abababababab.tar",
    }


def test_it_says_how_and_what_else_came_of_it() -> None:
    fingerprint = built()
    said = json.loads(
        make_provenance(fingerprint, "bob", BuildTimes(NOON, NOON, PAPERS)).to_bytes()
    )
    definition, details = (said["predicate"][k] for k in ("buildDefinition", "runDetails"))
    assert definition["internalParameters"]["without"] == ["uptime"]
    assert definition["internalParameters"]["normalised"] == {"gzip": ["gzip-1"]}
    assert definition["externalParameters"]["source_date_epoch"] == 1649350794
    assert details["builder"] == {
        "id": "urn:relsign:builder:bob", "version": {"relsign": __version__}}  # fmt: skip
    assert details["byproducts"] == [
        {
            "name": "linux-amd64.fingerprint.json",
            "digest": {"sha256": sha256_hex(fingerprint.to_bytes())},
        },
        {"name": "linux-amd64.cdx.json", "digest": {"sha256": AA}},
    ]


def test_without_papers_the_digests_stand_alone() -> None:
    plain = msgspec.structs.replace(built(), source_date_epoch=None)
    provenance = make_provenance(plain, "bob", BuildTimes(NOON, NOON))
    definition = provenance.predicate.buildDefinition
    assert {item.name for item in definition.resolvedDependencies} == set(plain.materials())
    assert definition.externalParameters.source_date_epoch is msgspec.UNSET
    (byproduct,) = provenance.predicate.runDetails.byproducts or ()
    assert byproduct.name == "linux-amd64.fingerprint.json"


def test_papers_without_a_bill_of_materials_name_none() -> None:
    papers = Papers(RECIPE.source, LOCK)
    provenance = make_provenance(built(), "bob", BuildTimes(NOON, NOON, papers))
    assert len(provenance.predicate.runDetails.byproducts or ()) == 1


def test_papers_of_another_build_are_refused() -> None:
    other = msgspec.structs.replace(LOCK, source_date_epoch=7)
    with pytest.raises(InputError, match="not the one the target was built with") as caught:
        make_provenance(built(), "bob", BuildTimes(NOON, NOON, Papers(RECIPE.source, other)))
    assert caught.value.hint


def test_nothing_of_this_machine_and_no_secret_stands_in_the_papers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Provenance, links and bill of materials, made where everything has a tell-tale name."""
    canary = "canary-7f3a9c"
    for name in ("HOME", "USER", "LOGNAME", "HOSTNAME", "API_TOKEN", "RELSIGN_PASSPHRASE",
                 "HTTPS_PROXY", "DOCKER_HOST", "GIT_AUTHOR_EMAIL"):  # fmt: skip
        monkeypatch.setenv(name, f"{canary}-{name}")
    monkeypatch.chdir(tmp_path)
    fingerprint = built()
    party = parties(make_root())["builder-a"]
    times = {"linux-amd64": BuildTimes(NOON, NOON, PAPERS)}
    papers = sign_evidence((fingerprint,), times, party, partial(sign_by, "builder-a"))
    papers["sbom"] = make_sbom(RECIPE, RECIPE.target[0], LOCK, fingerprint)
    payloads = b"".join(_opened(data) for data in papers.values())
    # What is looked for can be found: the papers are in the clear.
    assert b"pkg:deb/debian/base-files" in payloads
    secrets = {
        canary, "t0ken-canary", "mirror.invalid", "host.invalid", socket.gethostname(),
        platform.release(), pwd.getpwuid(os.getuid()).pw_dir + "/", str(Path.cwd()),
    }  # fmt: skip
    assert [secret for secret in secrets if secret.encode() in payloads] == []


def _opened(data: bytes) -> bytes:
    """Return a paper with the payloads of its envelopes in the clear."""
    import base64  # noqa: PLC0415 - only here

    opened = data
    for line in data.splitlines():
        if line.startswith(b'{"payload":'):
            opened += base64.b64decode(json.loads(line)["payload"])
    return opened
