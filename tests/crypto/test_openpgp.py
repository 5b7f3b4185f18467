"""OpenPGP certificates and signatures: the table, malformed bytes, mutations."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.openpgp import (
    armor_signatures,
    dearmor,
    parse_certificate,
    split_certificates,
    split_signatures,
    verify_detached,
)
from relsign.crypto.openpgp_armor import armor, dearmor_all
from relsign.crypto.openpgp_packets import Packet, parse_signature, read_packets
from relsign.errors import InputError, VerificationError
from tests.crypto.openpgp_cases import (
    AT,
    CASES,
    MESSAGE,
    PRIMARY,
    SUBKEY,
    nist_key,
    revoked_primary,
    revoked_user_id,
    rsa_key,
    with_subkey,
    with_third_parties,
)
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    USER_ID,
    Key,
    back_signature,
    certification,
    detached,
    ed25519,
    flags,
    lasts,
    mpi,
    packet,
    revocation,
    simple,
    sub,
    uid_hashed,
    when,
)

GOOD = simple(PRIMARY)
SIGNATURE = detached(PRIMARY, MESSAGE)


@pytest.mark.parametrize("name", CASES)
def test_the_table(name: str) -> None:
    case = CASES[name]()
    if case.good:
        verify_detached(parse_certificate(case.certificate, "t"), case.signature, case.message, AT)
        return
    with pytest.raises((InputError, VerificationError)) as caught:
        verify_detached(parse_certificate(case.certificate, "t"), case.signature, case.message, AT)
    assert case.reason in str(caught.value)


def test_what_a_certificate_says() -> None:
    data = simple(PRIMARY, lasts(100 * DAY)) + with_subkey(lasts(9 * DAY))[len(GOOD) :]
    certificate = parse_certificate(data, "t")
    created = datetime(2024, 1, 1, tzinfo=UTC)
    assert certificate.fingerprint == PRIMARY.fingerprint
    assert certificate.user_ids == ("Test <test@example.org>",)
    assert certificate.created_at == created
    assert certificate.expires_at == created + timedelta(days=100)
    assert not certificate.revoked
    assert [key.fingerprint for key in certificate.signing_keys] == [
        PRIMARY.fingerprint,
        SUBKEY.fingerprint,
    ]
    assert certificate.signing_keys[1].expires_at == created + timedelta(days=9)
    raws = [
        key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        for key in (PRIMARY, SUBKEY)
        if isinstance(key.private, Ed25519PrivateKey)
    ]
    assert certificate.materials == frozenset(raws)


def test_a_revoked_certificate_parses_and_says_so() -> None:
    assert parse_certificate(revoked_primary(), "t").revoked


def test_a_primary_that_only_certifies_is_still_seen_as_material() -> None:
    certificate = parse_certificate(with_subkey(), "t")
    assert len(certificate.signing_keys) == 1
    assert certificate.primary_material in certificate.materials


@pytest.mark.parametrize("key", [rsa_key(), nist_key("256"), nist_key("384")])
def test_material_of_rsa_and_ecdsa_is_spki(key: Key) -> None:
    (material,) = parse_certificate(simple(key), "t").materials
    assert load_der_public_key(material) == key.private.public_key()


def test_a_revoked_user_id_is_not_listed() -> None:
    assert parse_certificate(revoked_user_id(), "t").user_ids == ("Test <test@example.org>",)
    older = parse_certificate(revoked_user_id(created=CREATED - DAY), "t")
    assert older.user_ids == ("Test <test@example.org>", "Other <other@example.org>")


def test_an_undated_revocation_of_a_user_id_counts() -> None:
    undated = PRIMARY.signature_body(0x30, uid_hashed(PRIMARY), [PRIMARY.issuer])
    with pytest.raises(InputError, match="no valid self-signature"):
        parse_certificate(GOOD + packet(2, undated), "t")


def test_other_peoples_revocations_do_not_count() -> None:
    other = ed25519(9)
    signed = PRIMARY.hashed
    forged = other.signature_body(
        0x20, signed, [PRIMARY.issuer, when(CREATED)], unhashed=[PRIMARY.issuer_keyid]
    )
    data = GOOD + packet(2, forged) + revocation(0x20, other, signed)
    assert not parse_certificate(data, "t").revoked


@pytest.mark.parametrize(
    ("user_id", "shown"),
    [
        (b"a\x1b[2J\nb", r"a\x1b[2J\nb"),
        ("\u202etxt".encode(), r"\u202etxt"),
        (b"\xff\\x41", r"\\xff\\x41"),
        ("Zo\u00eb".encode(), "Zo\u00eb"),
    ],
)
def test_user_ids_are_shown_safely(user_id: bytes, shown: str) -> None:
    data = packet(6, PRIMARY.body) + packet(13, user_id) + certification(PRIMARY, user_id=user_id)
    assert parse_certificate(data, "t").user_ids == (shown,)


def body(number: int, rest: bytes, version: int = 4) -> bytes:
    return bytes([version]) + CREATED.to_bytes(4, "big") + bytes([number]) + rest


def on_curve(oid: str, point: bytes) -> bytes:
    curve = bytes.fromhex(oid)
    return bytes([len(curve)]) + curve + mpi(point)


ED = "2b06010401da470f01"
P256 = "2a8648ce3d030107"
COMPRESSED = (
    nist_key("256").private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    if isinstance(nist_key("256").private, ec.EllipticCurvePrivateKey)
    else b""
)

BAD_KEYS = {
    "version 3": body(1, b"", version=3),
    "dsa": body(17, b""),
    "ed25519 of RFC 9580": body(27, bytes(32)),
    "truncated": PRIMARY.body[:-1],
    "trailing": PRIMARY.body + b"x",
    "other curve": body(22, on_curve("2b06010401975501050100", b"\x40" + bytes(32))),
    "no prefix": body(22, on_curve(ED, b"\x41" + PRIMARY.body[-32:])),
    "small order": body(22, on_curve(ED, b"\x40\x01" + bytes(31))),
    "not canonical": body(22, on_curve(ED, b"\x40" + b"\xee" + b"\xff" * 30 + b"\x7f")),
    "too short": body(22, on_curve(ED, b"\x40" + bytes(31))),
    "rsa 1024": body(1, mpi(b"\xff" * 128) + mpi(b"\x01\x00\x01")),
    "rsa 16384": body(1, mpi(b"\xff" * 2048) + mpi(b"\x01\x00\x01")),
    "even exponent": body(1, mpi(b"\xff" * 256) + mpi(b"\x02")),
    "even modulus": body(1, mpi(b"\xff" * 255 + b"\xfe") + mpi(b"\x01\x00\x01")),
    "long exponent": body(1, mpi(b"\xff" * 256) + mpi(b"\x01" * 9)),
    "p521": body(19, on_curve("2b81040023", b"\x04" + bytes(132))),
    "off the curve": body(19, on_curve(P256, b"\x04" + b"\x01" * 64)),
    "compressed": body(19, on_curve(P256, COMPRESSED)),
    "integer not stripped": body(1, b"\x08\x00" + bytes(256)),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_primary_key_is_refused_and_a_bad_subkey_cannot_sign(name: str) -> None:
    rest = packet(13, USER_ID) + certification(PRIMARY)
    with pytest.raises(InputError):
        parse_certificate(packet(6, BAD_KEYS[name]) + rest, "t")
    certificate = parse_certificate(GOOD + packet(14, BAD_KEYS[name]), "t")
    assert len(certificate.signing_keys) == 1


BAD_CERTIFICATES = {
    "empty": b"",
    "secret key": packet(5, PRIMARY.body),
    "signature first": SIGNATURE + GOOD,
    "message": GOOD + packet(11, b"b\0\0\0\0\0"),
    "reserved tag": GOOD + packet(0, b""),
    "not a packet": GOOD + b"\x00",
    "truncated": GOOD[:-1],
    "partial length": GOOD + b"\xcd\xe1ab",
    "indeterminate length": GOOD + b"\xb7ab",
    "too large": GOOD + packet(60, bytes(1 << 20)),
    "too many packets": GOOD + b"\xca\x00" * 5_000,
    "long user ID": GOOD + packet(13, bytes(2_049)),
    "old revocation": GOOD + packet(2, b"\x03\x05\x20" + bytes(20)),
    "truncated signature": GOOD + packet(2, b"\x04\x13"),
    "empty subpacket": GOOD + packet(2, b"\x04\x13\x16\x0a\x00\x01\x00\x00\x00\x00\x00"),
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_malformed_certificates(name: str) -> None:
    with pytest.raises(InputError):
        parse_certificate(BAD_CERTIFICATES[name], "t")


def test_a_key_ring_is_split() -> None:
    first, second = with_third_parties(), with_subkey()
    assert split_certificates(first + second, "t") == (first, second)
    assert split_certificates(b"", "t") == ()
    for bad in (SIGNATURE + first, first + b"x", first + packet(60, bytes(1 << 20))):
        with pytest.raises(InputError):
            split_certificates(bad, "t")


def test_packets_that_may_be_skipped_are() -> None:
    data = GOOD + packet(10, b"PGP") + packet(12, b"\0") + packet(21, bytes(9)) + packet(40, b"x")
    assert parse_certificate(data, "t") == parse_certificate(GOOD, "t")
    assert parse_certificate(with_third_parties(), "t") == parse_certificate(GOOD, "t")


BAD_SELF_SIGNATURES = {
    "expiry of three bytes": certification(PRIMARY, sub(9, b"\0\0\1")),
    "itself expires": certification(PRIMARY, sub(3, DAY.to_bytes(4, "big"))),
    "undated": packet(2, PRIMARY.signature_body(0x13, uid_hashed(PRIMARY), [PRIMARY.issuer])),
    "flags twice": certification(PRIMARY, flags(1)),
    "algorithm of another key": packet(
        2,
        rsa_key().signature_body(
            0x13, uid_hashed(PRIMARY), [PRIMARY.issuer, when(CREATED)], unhashed=[]
        ),
    ),
    "damaged integers": certification(PRIMARY)[:-66]
    + b"\x01\x00"
    + bytes(32)
    + certification(PRIMARY)[-32:],
}


@pytest.mark.parametrize("name", BAD_SELF_SIGNATURES)
def test_self_signatures_that_do_not_count(name: str) -> None:
    bare = packet(6, PRIMARY.body) + packet(13, USER_ID)
    with pytest.raises(InputError, match="no valid self-signature"):
        parse_certificate(bare + BAD_SELF_SIGNATURES[name], "t")


def test_odd_things_where_a_back_signature_belongs() -> None:
    both = PRIMARY.hashed + SUBKEY.hashed
    odd = [sub(32, b"\x04"), sub(32, b"\x03" + bytes(20))]
    hashed = [PRIMARY.issuer, when(CREATED), flags(2)]
    for loose, count in ((odd, 1), ([*odd, back_signature(PRIMARY, SUBKEY)], 2)):
        bound = PRIMARY.signature_body(0x18, both, hashed, unhashed=loose)
        data = GOOD + packet(14, SUBKEY.body) + packet(2, bound)
        assert len(parse_certificate(data, "t").signing_keys) == count


def test_empty_key_flags_allow_nothing() -> None:
    data = simple(PRIMARY, sub(27, b""), flag_byte=None)
    assert parse_certificate(data, "t").signing_keys == ()


BAD_SIGNATURES: dict[str, tuple[bytes, type[Exception]]] = {
    "empty": (b"", InputError),
    "armoured": (armor(SIGNATURE, "SIGNATURE"), InputError),
    "cleartext": (b"-----BEGIN PGP SIGNED MESSAGE-----\n", InputError),
    "another packet": (SIGNATURE + packet(10, b"PGP"), InputError),
    "too large": (packet(2, bytes(1 << 16)), InputError),
    "trailing bytes": (packet(2, SIGNATURE[6:] + b"x"), InputError),
    "version 3": (packet(2, b"\x03" + SIGNATURE[7:]), VerificationError),
    "version 6": (packet(2, b"\x06" + SIGNATURE[7:]), VerificationError),
    "undated": (
        packet(2, PRIMARY.signature_body(0, MESSAGE, [PRIMARY.issuer])),
        VerificationError,
    ),
    "date of three bytes": (
        packet(2, PRIMARY.signature_body(0, MESSAGE, [PRIMARY.issuer, sub(2, b"abc")])),
        VerificationError,
    ),
    "two issuers": (detached(PRIMARY, MESSAGE, SUBKEY.issuer), VerificationError),
    "zero": (
        packet(2, SIGNATURE[6:].replace(SIGNATURE[-68:], bytes(4))),
        VerificationError,
    ),
}


@pytest.mark.parametrize("name", BAD_SIGNATURES)
def test_malformed_signatures(name: str) -> None:
    data, error = BAD_SIGNATURES[name]
    with pytest.raises(error):
        verify_detached(parse_certificate(GOOD, "t"), data, MESSAGE, AT)


@pytest.mark.parametrize("key", [rsa_key(), nist_key("256"), nist_key("384")])
def test_a_damaged_signature_of_each_algorithm(key: Key) -> None:
    made = bytearray(detached(key, MESSAGE))
    made[-1] ^= 1
    with pytest.raises(VerificationError, match="does not verify"):
        verify_detached(parse_certificate(simple(key), "t"), bytes(made), MESSAGE, AT)


def test_packet_lengths_of_every_form() -> None:
    for header, size in (
        (b"\xcd\x02", 2),
        (b"\xcd\xc0\x08", 200),
        (b"\xcd\xff\x00\x00\x00\x02", 2),
        (b"\xb4\x02", 2),
        (b"\xb5\x00\x02", 2),
        (b"\xb6\x00\x00\x00\x02", 2),
    ):
        whole = header + bytes(size)
        assert read_packets(whole, "t") == (Packet(13, bytes(size), whole),)


def test_subpacket_lengths_of_every_form() -> None:
    area = b"\x02\x63a" + b"\xc0\x09\x63" + bytes(200) + b"\xff\x00\x00\x00\x02\x63b"
    head = b"\x04\x00\x16\x0a" + len(area).to_bytes(2, "big") + area
    parsed = parse_signature(head + b"\x00\x00ab", "t")
    assert parsed is not None
    assert [len(item.body) for item in parsed.hashed] == [1, 200, 1]


@given(st.binary(max_size=2_000))
def test_armour_round_trip(data: bytes) -> None:
    block = armor(data, "SIGNATURE")
    assert dearmor(block, "SIGNATURE", "t") == data
    assert dearmor_all(block + b"\n" + block, "SIGNATURE", "t") == (data, data)


BLOCK = armor(b"some bytes", "SIGNATURE").decode()
ARMOUR_ACCEPTED = {
    "line ends": BLOCK.replace("\n", "\r\n"),
    "headers": BLOCK.replace("-----\n\n", "-----\nComment: a: b\nHash: SHA512\n\n", 1),
    "no checksum": BLOCK.replace("\n=" + BLOCK.split("\n=")[1][:4], ""),
    "white space": "\n \n" + BLOCK + "\n\t\n",
}
ARMOUR_REFUSED = {
    "nothing": "",
    "text before": "hello\n" + BLOCK,
    "text after": BLOCK + "hello",
    "other kind": BLOCK.replace("SIGNATURE", "MESSAGE"),
    "no end": BLOCK[:40],
    "no empty line": BLOCK.replace("\n\n", "\n"),
    "no empty line, no body": "-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----",
    "odd header": BLOCK.replace("-----\n\n", "-----\nodd\n\n", 1),
    "wrong checksum": BLOCK.replace("\n=", "\n=A", 1),
    "not base64": BLOCK.replace("\n\n", "\n\n*", 1),
    "bits left over": BLOCK.replace("cw==", "cx=="),
    "not ASCII": BLOCK.replace("\n\n", "\nComment: \u00eb\n\n"),
    "two blocks": BLOCK + BLOCK,
    "huge": BLOCK + "\n" * (2 << 20),
}


@pytest.mark.parametrize("name", ARMOUR_ACCEPTED)
def test_armour_that_is_accepted(name: str) -> None:
    assert dearmor(ARMOUR_ACCEPTED[name].encode(), "SIGNATURE", "t") == b"some bytes"


@pytest.mark.parametrize("name", ARMOUR_REFUSED)
def test_armour_that_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        dearmor(ARMOUR_REFUSED[name].encode(), "SIGNATURE", "t")


def test_signature_files() -> None:
    other = detached(SUBKEY, MESSAGE)
    text = armor_signatures([SIGNATURE, other])
    assert split_signatures(text, "t") == (SIGNATURE, other)
    assert split_signatures(SIGNATURE + other, "t") == (SIGNATURE, other)
    for bad in (GOOD, b"", SIGNATURE + other):
        with pytest.raises(InputError):
            armor_signatures([bad])


def mutations(seed: int, original: bytes, count: int) -> list[bytes]:
    """Return changed copies: bytes replaced, cut or doubled, the same for the same seed."""
    # The seed makes the run repeatable; nothing secret depends on it.
    chance = random.Random(seed)  # noqa: S311
    made = []
    for _ in range(count):
        data = original
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(data) + 1)
            end = min(len(data), start + chance.randint(1, 12))
            new = chance.choice(
                [b"", chance.randbytes(1), chance.randbytes(end - start), data[start:end] * 2]
            )
            data = data[:start] + new + data[end:]
        made.append(data)
    return made


def outcome(certificate: bytes, signature: bytes) -> str:
    try:
        verify_detached(parse_certificate(certificate, "t"), signature, MESSAGE, AT)
    except (InputError, VerificationError) as error:
        return type(error).__name__
    return "good"


def test_mutated_certificates_raise_only_our_errors() -> None:
    original = GOOD + with_subkey()[len(simple(PRIMARY, flag_byte=1)) :]
    known = parse_certificate(original, "t").materials
    seen = []
    for data in mutations(1, original, 1_500):
        seen.append(outcome(data, SIGNATURE))
        with contextlib.suppress(InputError):
            # No mutation gives anyone else the right to sign.
            assert parse_certificate(data, "t").materials <= known
    assert seen.count("InputError") > seen.count("good") > 0


def test_mutated_signatures_raise_only_our_errors_and_hold_only_if_what_is_signed_is_kept() -> None:
    certificate = simple(PRIMARY)
    for data in mutations(2, SIGNATURE, 1_500):
        if outcome(certificate, data) == "good":
            # Only what is not signed may differ: the header's length and the unhashed area.
            (packet_found,) = read_packets(data, "t")
            kept = parse_signature(packet_found.body, "t")
            wanted = parse_signature(SIGNATURE[6:], "t")
            assert kept is not None
            assert wanted is not None
            assert (kept.trailer, kept.mpis) == (wanted.trailer, wanted.mpis)


@given(st.binary(max_size=400), st.binary(max_size=200))
def test_any_bytes_raise_only_our_errors(certificate: bytes, signature: bytes) -> None:
    assert outcome(certificate, SIGNATURE) != "good"
    assert outcome(GOOD, signature) != "good"
    assert outcome(packet(6, PRIMARY.body) + packet(2, certificate), signature) != "good"
    for read in (lambda: dearmor(certificate, "X", "t"), lambda: split_signatures(signature, "t")):
        with contextlib.suppress(InputError):
            read()
