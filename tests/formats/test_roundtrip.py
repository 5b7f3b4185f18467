"""One value, one byte string: what is written is read back as it was."""

from __future__ import annotations

import base64
import string
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from relsign.formats.bundle import Bundle, make_bundle, parse_bundle
from relsign.formats.ceremony import (
    Acceptance,
    CeremonyMessage,
    Complaint,
    Contribution,
    Dealing,
    Proposal,
    SealedNumber,
    Shares,
    parse_message,
    parse_sealed_number,
)
from relsign.formats.charter import (
    Charter,
    Group,
    Holder,
    Participant,
    Transcript,
    parse_charter,
    parse_group,
    parse_transcript,
)
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
    parse_fingerprint,
)
from relsign.formats.link import Link, ReleaseBinding, Sha256, parse_link
from relsign.formats.manifest import encode_manifest, parse_manifest
from relsign.formats.names import Digest, is_reserved
from relsign.formats.policy import Revocation, Thresholds
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
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey
from relsign.formats.statement import (
    FingerprintId,
    PreviousRelease,
    ReleasePredicate,
    Statement,
    Subject,
    parse_statement,
)
from relsign.formats.tuf import TufSignature
from tests.formats.samples import LATER, NOON, read_envelope

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
names = st.builds(
    str.__add__, st.sampled_from(LETTERS), st.text(st.sampled_from(LETTERS + "._+-"), max_size=10)
)
files = names.filter(lambda name: not is_reserved(name))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
digests = st.text(HEX, min_size=64, max_size=64).map(Digest)
sizes = st.integers(0, 2**53 - 1)
sha256s = st.builds(Sha256, sha256=digests)
times = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
revocations = st.lists(st.builds(Revocation, statement_sha256=digests, reason=words), max_size=3)
thresholds = st.tuples(*[st.integers(1, 64)] * 4).map(
    lambda n: Thresholds(owners=n[0], signers=n[1], builders=max(n[2:]), organisations=min(n[2:]))
)
fingerprints = st.builds(
    Fingerprint,
    project=names,
    version=names.map(lambda name: name.replace("-", "~")),
    target=names,
    recipe_sha256=digests,
    sources=st.dictionaries(names, digests, min_size=1, max_size=3).map(
        lambda table: tuple(SourceDigest(name=n, sha256=table[n]) for n in sorted(table))
    ),
    environment=st.builds(
        EnvironmentDigest, builder=names, lock_sha256=digests, rootfs_sha256=digests
    ),
    profile=st.builds(ProfileDigest, name=names, sha256=digests),
    source_date_epoch=st.none() | st.integers(0, 253402300799),
    artifacts=st.dictionaries(names, st.tuples(digests, sizes), min_size=1, max_size=3).map(
        lambda table: tuple(
            BuiltArtifact(name=n, sha256=table[n][0], size=table[n][1], mode="0644")
            for n in sorted(table)
        )
    ),
)
statements = st.builds(
    Statement,
    subject=st.dictionaries(files, sha256s, min_size=1, max_size=4).map(
        lambda table: tuple(Subject(name=n, digest=table[n]) for n in sorted(table))
    ),
    predicate=st.builds(
        ReleasePredicate,
        project=names,
        version=names,
        fingerprints=st.dictionaries(names, digests, min_size=1, max_size=3).map(
            lambda table: tuple(FingerprintId(target=n, sha256=table[n]) for n in sorted(table))
        ),
        layout_sha256=digests,
        sequence=st.integers(2, 2**31),
        previous=st.builds(PreviousRelease, version=names, statement_sha256=digests),
        released_at=times,
    )
    | st.builds(
        ReleasePredicate,
        project=names,
        version=names,
        fingerprints=st.just((FingerprintId(target="t", sha256=Digest("0" * 64)),)),
        layout_sha256=digests,
        sequence=st.just(1),
        previous=st.none(),
        released_at=times,
    ),
)
keys = st.builds(Ed25519Key, public=digests) | st.builds(
    OpenPGPKey, certificate=st.text(LETTERS + "+/", min_size=40, max_size=60)
)
root_policies = st.builds(
    RootPolicy,
    project=names,
    members=st.dictionaries(names, st.tuples(names, keys), min_size=1, max_size=4).map(
        lambda table: tuple(
            Member(
                name=n, operator=table[n][0], organisation="o", roles=("owner",), key=table[n][1]
            )
            for n in sorted(table)
        )
    ),
    thresholds=thresholds,
    dissent=st.sampled_from(["refuse", "record"]),
    share_roles=st.booleans(),
    revoked=revocations.map(tuple),
)
tuf_roles = st.builds(
    TufRole, keyids=st.lists(digests, max_size=3).map(tuple), threshold=st.integers(1, 64)
)
roots = st.builds(
    RootFile,
    signatures=st.dictionaries(digests, st.text(HEX, min_size=128, max_size=128), max_size=3).map(
        lambda table: tuple(TufSignature(keyid=k, sig=table[k]) for k in sorted(table))
    ),
    signed=st.builds(
        Root,
        version=st.integers(1, 2**31),
        expires=times,
        keys=st.dictionaries(
            digests, st.builds(TufKey, keyval=st.builds(TufPublic, public=digests)), max_size=2
        ),
        roles=st.builds(
            TufRoles, root=tuf_roles, snapshot=tuf_roles, targets=tuf_roles, timestamp=tuf_roles
        ),
        policy=root_policies,
    ),
)
signatures = st.builds(
    Signature,
    keyid=st.just("") | st.text(HEX, min_size=8, max_size=64),
    sig=st.binary(min_size=1, max_size=80),
)
envelopes = st.builds(
    Envelope,
    payload=st.binary(max_size=80),
    payload_type=st.just(INTOTO_PAYLOAD),
    signatures=st.lists(signatures, max_size=4).map(tuple),
)
bundles = st.builds(make_bundle, names, names, st.dictionaries(names, st.binary(max_size=40)))
links = st.builds(
    Link,
    name=st.sampled_from(["source", "build"]),
    command=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=3).map(tuple),
    materials=st.dictionaries(paths, sha256s, max_size=4),
    products=st.dictionaries(paths, sha256s, max_size=4),
    environment=st.builds(ReleaseBinding, project=names, version=names),
)

people = st.dictionaries(names, digests, min_size=2, max_size=4).filter(
    lambda table: len(set(table.values())) == len(table)
)
base64s = st.binary(max_size=30).map(lambda data: base64.b64encode(data).decode())
sealed = st.dictionaries(names, base64s, max_size=3)
points = st.dictionaries(names, digests, max_size=3)
charters = st.builds(
    lambda table, **fields: Charter(
        kind="keygen",
        threshold=2,
        participants=tuple(Participant(name=n, identity=table[n]) for n in sorted(table)),
        dealers=tuple(sorted(table)),
        lost=None,
        previous=None,
        created=NOON,
        expires=LATER,
        **fields,
    ),
    people,
    project=names,
    group=names,
    role=st.sampled_from(["release", "owner"]),
    user_id=words,
    nonce=digests,
)
groups = st.builds(
    lambda table, **fields: Group(
        threshold=2,
        holders=tuple(Holder(name=n, identity=table[n], verifying=table[n]) for n in sorted(table)),
        **fields,
    ),
    people,
    project=names,
    name=names,
    role=st.sampled_from(["release", "owner"]),
    key=digests,
    user_id=words,
    created=times,
    ceremony=digests,
    previous=st.none() | digests,
)
transcripts = st.builds(
    Transcript,
    charter=charters,
    messages=st.lists(base64s, max_size=4, unique=True).map(lambda texts: tuple(sorted(texts))),
)
ceremony_messages = st.one_of(
    st.builds(Proposal, ceremony=digests, sender=names, charter=charters),
    st.builds(
        Dealing,
        ceremony=digests,
        sender=names,
        sealing=points,
        commitments=st.lists(digests, max_size=3).map(tuple),
        proof=st.none() | st.text(HEX, min_size=128, max_size=128),
    ),
    st.builds(Shares, ceremony=digests, sender=names, heard=digests, sealed=sealed, points=points),
    st.builds(Contribution, ceremony=digests, sender=names, heard=digests, sealed=base64s),
    st.builds(Acceptance, ceremony=digests, sender=names, heard=digests, group=digests),
    st.builds(Complaint, ceremony=digests, sender=names, accused=names, sealing_secret=digests),
)
sealed_numbers = st.builds(
    SealedNumber,
    ceremony=digests,
    sender=names,
    receiver=names,
    purpose=st.sampled_from(["share", "contribution", "signature"]),
    number=digests,
)


@given(fingerprints)
def test_fingerprints(value: Fingerprint) -> None:
    assert parse_fingerprint(value.to_bytes()) == value


@given(statements)
def test_statements(value: Statement) -> None:
    assert parse_statement(value.to_bytes()) == value


@given(roots)
def test_roots(value: RootFile) -> None:
    assert parse_root(value.to_bytes()) == value


@given(envelopes)
def test_envelopes(value: Envelope) -> None:
    assert read_envelope(value.to_bytes()) == value


@given(bundles)
def test_bundles(value: Bundle) -> None:
    assert parse_bundle(value.to_bytes()) == value


@given(charters)
def test_charters(value: Charter) -> None:
    assert parse_charter(value.to_bytes()) == value


@given(groups)
def test_groups(value: Group) -> None:
    assert parse_group(value.to_bytes()) == value


@given(transcripts)
def test_transcripts(value: Transcript) -> None:
    assert parse_transcript(value.to_bytes()) == value


@given(ceremony_messages)
def test_ceremony_messages(value: CeremonyMessage) -> None:
    assert parse_message(value.to_bytes()) == value


@given(sealed_numbers)
def test_sealed_numbers(value: SealedNumber) -> None:
    assert parse_sealed_number(value.to_bytes()) == value


@given(links)
def test_links(value: Link) -> None:
    assert parse_link(value.to_bytes()) == value


@given(st.dictionaries(names, digests, max_size=5))
def test_manifests(value: dict[str, Digest]) -> None:
    assert parse_manifest(encode_manifest(dict(value))) == value
    assert encode_manifest(dict(parse_manifest(encode_manifest(dict(value))))) == encode_manifest(
        dict(value)
    )
