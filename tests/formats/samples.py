"""One valid document of every format, and how to spoil it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import pytest
import tomlkit
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relsign.crypto.keys import Ed25519Public
from relsign.errors import InputError
from relsign.formats.bundle import Bundle, make_bundle, parse_bundle
from relsign.formats.ceremony import parse_message, parse_sealed_number
from relsign.formats.charter import parse_charter, parse_group, parse_transcript
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, parse_envelope
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
    parse_fingerprint,
)
from relsign.formats.layout import Ed25519Public as Ed25519Value
from relsign.formats.layout import (
    Layout,
    LayoutBinding,
    LayoutKey,
    Step,
    parse_layout,
    release_inspection,
)
from relsign.formats.link import Link, ReleaseBinding, Sha256, parse_link
from relsign.formats.lock import (
    BuilderLock,
    LockedPackage,
    LockedWheel,
    RootFileSystem,
    parse_builder,
    parse_lock,
)
from relsign.formats.manifest import encode_manifest, parse_manifest
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, RevokedKey, Thresholds, Vouched, parse_policy
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
    parse_provenance,
)
from relsign.formats.recipe import parse_recipe
from relsign.formats.root import (
    Root,
    RootFile,
    RootPolicy,
    TufKey,
    TufPublic,
    TufRole,
    TufRoles,
    parse_root,
)
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey, parse_roster
from relsign.formats.statement import (
    FingerprintId,
    PreviousRelease,
    ReleasePredicate,
    Statement,
    Subject,
    parse_statement,
)
from relsign.formats.tuf import TufSignature
from tests.formats.group_samples import (
    make_charter,
    make_dealing,
    make_group,
    make_sealed_number,
    make_shares,
    make_transcript,
)

AA, BB, CC = Digest("aa" * 32), Digest("bb" * 32), Digest("cc" * 32)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = datetime(2027, 11, 21, 12, tzinfo=UTC)
PRIVATE = tuple(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC = tuple(key.public_key().public_bytes_raw().hex() for key in PRIVATE)

BAD_DIGESTS = ("", "aa", "AA" * 32, "aa" * 32 + "\n", "aa" * 33, "0x" + "a" * 62, "\u0661" * 64)
BAD_INTEGERS: tuple[object, ...] = (1.0, 1e300, True, False, "2", None, [], {}, -1, 2**53, 10**4000)
"""Where a small positive count is expected."""

BAD_TIMES = (
    "2026-11-21T12:00:00+00:00",
    "2026-11-21T12:00:00-00:00",
    "2026-11-21T13:00:00+01:00",
    "2026-11-21T12:00:00.5Z",
    "2026-11-21T12:00:00.0Z",
    "2026-11-21T12:00:00.000000Z",
    "2026-11-21T12:00:00.0000000001Z",
    "2026-11-21T12:00:00",
    "2026-11-21t12:00:00z",
    "2026-11-21 12:00:00Z",
    "2026-11-21T12:00Z",
    "2026-11-21",
    "2026-02-30T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T23:59:60Z",
    "0000-01-01T00:00:00Z",
    "12026-11-21T12:00:00Z",
    "",
    1795000000,
    True,
    None,
)


class Remove:
    """Stands for a field that is taken out."""


REMOVE = Remove()
Path = tuple[str | int, ...]
Row = tuple[Path, object, str, str]
"""Path, what is put there, the error's `where`, and words of the error."""

Parse = Callable[[bytes], object]


class Sample(NamedTuple):
    """A valid document and its parser."""

    parse: Parse
    data: bytes


def plain(value: object) -> object:
    """Return a value as mappings and lists."""
    return msgspec.json.decode(msgspec.json.encode(value))


def dump(value: object) -> bytes:
    """Return canonical JSON, also of what canonical JSON has no form for."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def change(value: object, path: Path, new: object) -> object:
    """Return mappings and lists with `new` at `path`; without it for REMOVE."""
    spoiled = copy.deepcopy(value)
    if not path:
        return new
    inside = look(spoiled, path[:-1])
    if isinstance(new, Remove):
        del inside[path[-1]]  # type: ignore[attr-defined]
    elif isinstance(inside, list) and path[-1] == len(inside):
        inside.append(new)
    else:
        inside[path[-1]] = new  # type: ignore[index]
    return spoiled


def look(value: object, path: Path) -> object:
    """Return what stands at `path` in mappings and lists."""
    for part in path:
        value = value[part]  # type: ignore[index]
    return value


def refusal(parse: Parse, data: bytes) -> InputError:
    """Return the error `parse` raises, having looked that it is fit to be shown."""
    with pytest.raises(InputError) as caught:
        parse(data)
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 500
    return caught.value


def assert_refused(parse: Parse, data: bytes, where: str, words: str) -> None:
    """Assert that `parse` refuses `data`, naming the place and saying the words."""
    error = refusal(parse, data)
    assert error.where == where
    assert words in str(error)


# --- values ------------------------------------------------------------------------------------


def make_fingerprint() -> Fingerprint:
    """Return the outcome of a build with two artifacts."""
    return Fingerprint(
        project="gzip",
        version="1.12",
        target="linux-amd64",
        recipe_sha256=AA,
        sources=(SourceDigest(name="gzip", sha256=BB),),
        environment=EnvironmentDigest(builder="debian-c", lock_sha256=AA, rootfs_sha256=BB),
        profile=ProfileDigest(name="hardened-1", sha256=CC),
        source_date_epoch=1649350794,
        artifacts=(
            BuiltArtifact(name="gzip", sha256=AA, size=98_000, mode="0755"),
            BuiltArtifact(name="gzip.1", sha256=BB, size=0, mode="0644"),
        ),
    )


def make_statement() -> Statement:
    """Return a release of two artifacts."""
    return Statement(
        subject=(
            Subject(name="gzip", digest=Sha256(sha256=AA)),
            Subject(name="gzip.1", digest=Sha256(sha256=BB)),
        ),
        predicate=ReleasePredicate(
            project="gzip",
            version="1.12",
            fingerprints=(
                FingerprintId(target="linux-amd64", sha256=AA),
                FingerprintId(target="linux-arm64", sha256=BB),
            ),
            layout_sha256=CC,
            sequence=2,
            previous=PreviousRelease(version="1.11", statement_sha256=BB),
            released_at=NOON,
        ),
    )


def make_envelope(payload: bytes = b'{"_type":"link"}') -> Envelope:
    """Return an envelope with two signatures, neither of them good."""
    return Envelope(
        payload=payload,
        payload_type=INTOTO_PAYLOAD,
        signatures=(
            Signature(keyid="aa" * 32, sig=b"\xfb\xef\xff" * 20),
            Signature(keyid="bb" * 4, sig=b"\x00"),
        ),
    )


def make_link() -> Link:
    """Return one builder's evidence of a build."""
    return Link(
        name="build",
        command=("relsign", "build"),
        materials={"relsign.toml": Sha256(sha256=AA), "sources/gzip": Sha256(sha256=BB)},
        products={"gzip": Sha256(sha256=CC)},
        environment=ReleaseBinding(project="gzip", version="1.12"),
    )


def make_layout() -> Layout:
    """Return rules with two builders, who must both agree."""
    keys = {}
    for public in PUBLIC:
        keyid = Ed25519Public(bytes.fromhex(public)).keyid
        keys[keyid] = LayoutKey(keyid=keyid, keyval=Ed25519Value(public=public))
    ids = tuple(keys)
    source = Step(
        name="source",
        expected_materials=(("DISALLOW", "*"),),
        expected_products=(("REQUIRE", "sources/gzip"), ("ALLOW", "sources/*"), ("DISALLOW", "*")),
        pubkeys=ids,
        expected_command=("relsign", "fetch"),
        threshold=1,
    )
    build = Step(
        name="build",
        expected_materials=(
            ("MATCH", "sources/*", "WITH", "PRODUCTS", "FROM", "source"),
            ("DISALLOW", "*"),
        ),
        expected_products=(("REQUIRE", "gzip"), ("CREATE", "gzip"), ("DISALLOW", "*")),
        pubkeys=ids,
        expected_command=("relsign", "build"),
        threshold=2,
    )
    binding = LayoutBinding("gzip", "1.12", Digest("5" * 64))
    return Layout(
        readme=binding.readme(),
        expires=LATER,
        keys=keys,
        steps=(source, build),
        inspect=(release_inspection(binding),),
    )


def make_members() -> tuple[Member, ...]:
    """Return two members, one with either kind of key."""
    return (
        Member(
            name="ana",
            operator="ana",
            organisation="one",
            roles=("owner", "signer"),
            key=OpenPGPKey(certificate="mDME" * 20),
        ),
        Member(
            name="bob",
            operator="bob",
            organisation="two",
            roles=("builder",),
            key=Ed25519Key(public=PUBLIC[0]),
        ),
    )


def make_root() -> RootFile:
    """Return a trust root of two members, signed in form."""
    nobody = TufRole(keyids=(), threshold=1)
    signed = Root(
        version=3,
        expires=LATER,
        keys={AA: TufKey(keyval=TufPublic(public=BB))},
        roles=TufRoles(
            root=TufRole(keyids=(AA,), threshold=1),
            snapshot=nobody,
            targets=nobody,
            timestamp=nobody,
        ),
        policy=RootPolicy(
            project="gzip",
            members=make_members(),
            thresholds=Thresholds(owners=1, signers=1, builders=2, organisations=2),
            dissent="refuse",
            share_roles=False,
            revoked=(Revocation(statement_sha256=AA, reason="the tarball was swapped"),),
            revoked_keys=(RevokedKey(name="eve", keyid=BB, reason="laptop stolen"),),
            vouched=(Vouched(version="1.0", statement_sha256=AA, root_sha256=BB),),
        ),
    )
    return RootFile(signatures=(TufSignature(keyid=AA, sig="ab" * 64),), signed=signed)


def make_bundle_value() -> Bundle:
    """Return a bundle of two files."""
    return make_bundle("gzip", "1.12", {"release.layout": b"\xff\x00", "release.statement": b"{}"})


def make_provenance() -> Provenance:
    """Return one builder's account of a build."""
    return Provenance(
        subject=(Subject(name="gzip", digest=Sha256(sha256=AA)),),
        predicate=ProvenancePredicate(
            buildDefinition=BuildDefinition(
                externalParameters=ExternalParameters(
                    project="gzip", version="1.12", target="linux-amd64", recipe_sha256=AA
                ),
                internalParameters=InternalParameters(
                    profile="hardened-1", profile_sha256=BB, fingerprint_sha256=CC
                ),
                resolvedDependencies=(
                    ResolvedDependency(name="sources/gzip", digest=Sha256(sha256=BB)),
                ),
            ),
            runDetails=RunDetails(
                builder=BuilderIdentity(id="urn:relsign:builder:bob"),
                metadata=RunMetadata(startedOn=NOON, finishedOn=NOON),
            ),
        ),
    )


def make_lock() -> BuilderLock:
    """Return a locked environment of one package and one wheel."""
    return BuilderLock(
        builder="debian-python",
        definition_sha256=AA,
        suite="bookworm",
        architecture="amd64",
        source_date_epoch=1_700_000_000,
        packages=(
            LockedPackage(
                name="base-files", version="1:12.4+deb12u15", architecture="amd64", sha256=BB,
                size=70_936, path="pool/main/b/base-files/base-files_12.4+deb12u15_amd64.deb",
            ),
        ),
        wheels=(
            LockedWheel(
                name="hatchling", version="1.32.4", file="hatchling-1.32.4-py3-none-any.whl",
                sha256=CC, size=70_000,
            ),
        ),
        rootfs=RootFileSystem(sha256=AA, size=120_000_000),
    )  # fmt: skip


# --- tables people write -----------------------------------------------------------------------

SIGNATURE: dict[str, object] = {
    "file": "gzip_1.12.orig.tar.xz.asc",
    "sha256": BB,
    "key": "keys/upstream/gzip.asc",
    "fingerprint": "155D3FC500C834486D1EEA677FD9FCCB000BEEEE",
}
SOURCE: dict[str, object] = {
    "kind": "debian-source",
    "name": "gzip",
    "package": "gzip",
    "file": "gzip_1.12.orig.tar.xz",
    "sha256": AA,
    "signature": SIGNATURE,
}
TARGET: dict[str, object] = {
    "name": "linux-amd64",
    "builder": "debian-c",
    "source_date_epoch": 1649350794,
    "commands": ["./configure", "make"],
    "environment": {"CC": "gcc"},
    "artifact": [{"path": "src/gzip", "expect_sha256": BB}],
    "pack": [{"directory": "stage", "name": "gzip-1.12.tar.gz"}],
}
RECIPE: dict[str, object] = {
    "project": {"name": "gzip", "version": "1.12"},
    "source": [SOURCE],
    "target": [TARGET],
}
BUILDER: dict[str, object] = {
    "name": "debian-python",
    "suite": "bookworm",
    "packages": ["python3", "libc6-dev"],
    "python": ["hatchling==1.32.4"],
}
ROSTER: dict[str, object] = {"member": plain(make_members())}
POLICY: dict[str, object] = {
    "dissent": "record",
    "share_roles": True,
    "layout_days": 30,
    "root_days": 60,
    "thresholds": {"owners": 2, "signers": 2, "builders": 3, "organisations": 2},
    "revoked": [{"statement_sha256": AA, "reason": "swapped"}],
}


def dump_toml(table: object) -> bytes:
    """Return a table as TOML."""
    assert isinstance(table, dict)
    return tomlkit.dumps(table).encode()


def read_envelope(data: bytes) -> Envelope:
    """Parse an envelope under a fixed name."""
    return parse_envelope(data, "envelope")


def read_bundle(data: bytes) -> dict[str, bytes]:
    """Parse a bundle and the base64 inside it."""
    return parse_bundle(data).files


JSON_SAMPLES = {
    "bundle": Sample(parse_bundle, make_bundle_value().to_bytes()),
    "charter": Sample(parse_charter, make_charter().to_bytes()),
    "dealing": Sample(parse_message, make_dealing().to_bytes()),
    "envelope": Sample(read_envelope, make_envelope().to_bytes()),
    "fingerprint": Sample(parse_fingerprint, make_fingerprint().to_bytes()),
    "group": Sample(parse_group, make_group().to_bytes()),
    "layout": Sample(parse_layout, make_layout().to_bytes()),
    "link": Sample(parse_link, make_link().to_bytes()),
    "lock": Sample(parse_lock, make_lock().to_bytes()),
    "provenance": Sample(parse_provenance, make_provenance().to_bytes()),
    "root": Sample(parse_root, make_root().to_bytes()),
    "sealed-number": Sample(parse_sealed_number, make_sealed_number().to_bytes()),
    "shares": Sample(parse_message, make_shares().to_bytes()),
    "statement": Sample(parse_statement, make_statement().to_bytes()),
    "transcript": Sample(parse_transcript, make_transcript().to_bytes()),
}
TOML_SAMPLES = {
    "builder": Sample(parse_builder, dump_toml(BUILDER)),
    "policy": Sample(parse_policy, dump_toml(POLICY)),
    "recipe": Sample(parse_recipe, dump_toml(RECIPE)),
    "roster": Sample(parse_roster, dump_toml(ROSTER)),
}
SAMPLES = {
    **JSON_SAMPLES,
    **TOML_SAMPLES,
    "bundle-contents": Sample(read_bundle, make_bundle_value().to_bytes()),
    "manifest": Sample(parse_manifest, encode_manifest({"gzip": AA, "gzip.1": BB})),
}
