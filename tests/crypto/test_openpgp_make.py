"""OpenPGP that is made here: read back by our own reader, asked for once, refused when wrong."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.crypto.openpgp_armor import armor, dearmor
from relsign.crypto.openpgp_cleartext import MAX_LINE_BYTES, MAX_TEXT_BYTES, canonical_text
from relsign.crypto.openpgp_make import (
    Reason,
    Subkey,
    certificate,
    cleartext,
    detached,
    fingerprint,
    renewed,
    revocation,
    revocation_text,
    revoked,
    with_subkey,
)
from relsign.crypto.openpgp_packets import parse_signature, read_packets
from relsign.crypto.openpgp_write import mpi, packet, subpacket
from relsign.errors import InputError, VerificationError
from tests.crypto import openpgp_maker as stranger
from tests.crypto.make_tools import (
    CREATED,
    EXPIRES,
    LATER,
    SIGNED,
    USER_ID,
    Change,
    first_message,
    flipped,
    lies,
    signer,
)

Sign = Callable[[bytes], bytes]

KEY, SUB, OTHER = signer(1), signer(2), signer(9)
RAW = KEY.raw
DATA = b"4f2c  tar.tar.gz\n"
DAY = timedelta(days=1)
CERT = certificate(RAW, USER_ID, CREATED, EXPIRES, KEY.sign)
BOUND = with_subkey(CERT, Subkey(SUB.raw, CREATED + DAY, SUB.sign), KEY.sign)
SIGNATURE = detached(CERT, DATA, SIGNED, KEY.sign)
REVOCATION = revocation(RAW, CREATED, CREATED, Reason.UNSTATED, "", KEY.sign)
REVOKED = revoked(CERT, REVOCATION)

MAKERS: dict[str, Callable[[Sign], bytes]] = {
    "certificate": lambda sign: certificate(RAW, USER_ID, CREATED, EXPIRES, sign),
    "endless certificate": lambda sign: certificate(RAW, USER_ID, CREATED, None, sign),
    "binding": lambda sign: with_subkey(CERT, Subkey(SUB.raw, SIGNED, SUB.sign), sign),
    "renewed": lambda sign: renewed(CERT, SIGNED, LATER, sign),
    "revocation": lambda sign: revocation(RAW, CREATED, SIGNED, Reason.RETIRED, "old", sign),
    "detached": lambda sign: detached(CERT, DATA, SIGNED, sign),
    "cleartext": lambda sign: cleartext(CERT, DATA, SIGNED, sign),
}


def test_a_certificate_says_what_was_asked_for() -> None:
    found = parse_certificate(CERT, "t")
    assert (found.primary_material, found.user_ids) == (RAW, (USER_ID,))
    assert (found.created_at, found.expires_at, found.revoked) == (CREATED, EXPIRES, False)
    assert [key.material for key in found.signing_keys] == [RAW]
    key = stranger.ed25519(1, int(CREATED.timestamp()))
    assert found.fingerprint == fingerprint(RAW, CREATED) == key.fingerprint
    # The key is another one if it was created at another second.
    assert fingerprint(RAW, CREATED + timedelta(seconds=1)) != found.fingerprint
    endless = certificate(RAW, USER_ID, CREATED, None, KEY.sign)
    assert parse_certificate(endless, "t").expires_at is None


def test_the_subpackets_are_those_tools_ask_for() -> None:
    body = read_packets(CERT, "t")[2].body
    made = parse_signature(body, "t")
    assert made is not None
    assert [one.kind for one in made.hashed] == [33, 2, 27, 9, 11, 21, 22, 30, 23, 25]
    assert [one.kind for one in made.unhashed] == [16]
    assert {one.kind for one in made.hashed if one.critical} == {2, 9, 27}
    assert (made.kind, made.key_algorithm, made.hash_algorithm) == (0x13, 22, 10)
    again = parse_signature(read_packets(SIGNATURE, "t")[0].body, "t")
    assert again is not None
    assert [one.kind for one in again.hashed] == [33, 2]
    assert [one.kind for one in again.unhashed] == [16]


def test_a_detached_signature_verifies() -> None:
    found = parse_certificate(CERT, "t")
    assert verify_detached(found, SIGNATURE, DATA, SIGNED).material == RAW
    for bad in (flipped(SIGNATURE, -1), flipped(SIGNATURE, 3), SIGNATURE + SIGNATURE):
        with pytest.raises((InputError, VerificationError)):
            verify_detached(found, bad, DATA, SIGNED)
    with pytest.raises(VerificationError):
        verify_detached(found, SIGNATURE, DATA + b"x", SIGNED)


def test_a_subkey_signs_in_the_name_of_its_primary() -> None:
    found = parse_certificate(BOUND, "t")
    assert [key.material for key in found.signing_keys] == [RAW, SUB.raw]
    made = detached(BOUND, DATA, SIGNED, SUB.sign, SUB.raw)
    assert verify_detached(found, made, DATA, SIGNED).material == SUB.raw
    assert found.signing_keys[1].expires_at is None


def test_a_renewal_moves_the_expiry_and_keeps_what_was() -> None:
    for new in (LATER, None, SIGNED + DAY):
        made = renewed(BOUND, SIGNED, new, KEY.sign)
        assert parse_certificate(made, "t").expires_at == new
        assert len(made) > len(BOUND)
        tags = [one.tag for one in read_packets(made, "t")]
        assert tags == [6, 13, 2, 2, 14, 2]
        assert made.startswith(CERT)
    # A certificate that has expired is renewed too, and again.
    twice = renewed(renewed(CERT, LATER, LATER + DAY, KEY.sign), LATER + DAY, None, KEY.sign)
    assert parse_certificate(twice, "t").expires_at is None
    # A signature of version 3 says nothing that is heeded.
    old = CERT + packet(2, b"\x03\x05\x10" + bytes(20))
    assert renewed(old, SIGNED, LATER, KEY.sign).startswith(old)


def test_a_revocation_does_nothing_until_it_is_applied() -> None:
    assert not parse_certificate(CERT, "t").revoked
    assert parse_certificate(REVOKED, "t").revoked
    assert [one.tag for one in read_packets(revoked(BOUND, REVOCATION), "t")] == [
        6,
        2,
        13,
        2,
        14,
        2,
    ]
    with pytest.raises(VerificationError, match="is revoked"):
        verify_detached(parse_certificate(REVOKED, "t"), SIGNATURE, DATA, SIGNED)
    text = revocation_text(REVOCATION)
    assert text.splitlines()[1] == b"Comment: This is a revocation certificate"
    assert dearmor(text, "PUBLIC KEY BLOCK", "t") == REVOCATION


def test_a_reason_for_revocation_is_written_down() -> None:
    made = revocation(RAW, CREATED, SIGNED, Reason.COMPROMISED, "laptop lost", KEY.sign)
    parsed = parse_signature(read_packets(made, "t")[0].body, "t")
    assert parsed is not None
    assert [one.body for one in parsed.hashed if one.kind == 29] == [b"\x02laptop lost"]
    assert parsed.created == int(SIGNED.timestamp())


REVOCATIONS: dict[str, tuple[bytes, bytes, type[Exception]]] = {
    "of another key": (
        CERT,
        revocation(OTHER.raw, CREATED, SIGNED, Reason.UNSTATED, "", OTHER.sign),
        VerificationError,
    ),
    "of the same key with another birthday": (
        CERT,
        revocation(RAW, CREATED - DAY, SIGNED, Reason.UNSTATED, "", KEY.sign),
        VerificationError,
    ),
    "flipped": (CERT, flipped(REVOCATION, -1), VerificationError),
    "revoked already": (REVOKED, REVOCATION, InputError),
    "no revocation": (CERT, SIGNATURE, InputError),
    "two": (CERT, REVOCATION * 2, InputError),
    "nothing": (CERT, b"", InputError),
    "old": (CERT, packet(2, b"\x03\x05\x20"), InputError),
    "no signature": (CERT, packet(13, b"x"), InputError),
    "armoured": (CERT, armor(REVOCATION, "PUBLIC KEY BLOCK"), InputError),
    "cut": (CERT, REVOCATION[:-1], InputError),
}


@pytest.mark.parametrize("name", REVOCATIONS)
def test_revocations_that_are_refused(name: str) -> None:
    holder, made, error = REVOCATIONS[name]
    with pytest.raises(error):
        revoked(holder, made)


# --- what is asked -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_asked_depends_on_the_arguments_only(name: str) -> None:
    make = MAKERS[name]
    message = first_message(make)
    assert len(message) == hashlib.sha512().digest_size
    assert first_message(make) == message
    KEY.asked.clear()
    made = make(KEY.sign)
    assert KEY.asked == [message]
    assert make(lambda _: KEY.private.sign(message)) == made


def test_what_both_keys_of_a_binding_are_asked_depends_on_neither_answer() -> None:
    first = first_message(
        lambda sign: with_subkey(CERT, Subkey(SUB.raw, CREATED + DAY, sign), KEY.sign)
    )
    SUB.asked.clear()
    KEY.asked.clear()
    with_subkey(CERT, Subkey(SUB.raw, CREATED + DAY, SUB.sign), KEY.sign)
    assert [first] == SUB.asked
    # Another key behind the subkey changes what the primary signs, its answer alone does not.
    parsed = parse_signature(read_packets(BOUND, "t")[-1].body, "t")
    assert parsed is not None
    assert 32 in {one.kind for one in parsed.unhashed}
    assert 32 not in {one.kind for one in parsed.hashed}


@pytest.mark.parametrize("lie", lies())
@pytest.mark.parametrize("name", MAKERS)
def test_a_signer_that_lies_is_found_out(name: str, lie: str) -> None:
    with pytest.raises(VerificationError, match="does not verify"):
        MAKERS[name](lies()[lie])


@pytest.mark.parametrize("lie", lies())
def test_a_subkey_that_lies_is_found_out(lie: str) -> None:
    with pytest.raises(VerificationError, match="does not verify"):
        with_subkey(CERT, Subkey(SUB.raw, SIGNED, lies()[lie]), KEY.sign)


# --- what is refused before anything is asked --------------------------------------------------


def other_primary() -> bytes:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return stranger.simple(stranger.Key(private))


def two_user_ids() -> bytes:
    key = stranger.ed25519(1)
    second = stranger.certification(key, user_id=b"Second")
    return stranger.simple(key) + packet(13, b"Second") + second


def revoked_subkey() -> bytes:
    key, sub = stranger.ed25519(1), stranger.ed25519(2)
    binding = stranger.binding(key, sub)
    gone = stranger.revocation(0x28, key, key.hashed + sub.hashed)
    return stranger.simple(key) + packet(14, sub.body) + binding + gone


NAIVE = datetime(2024, 3, 1)  # noqa: DTZ001  # what is refused
SMALL_ORDER = bytes([1]) + bytes(31)
WRONG_TIMES: dict[str, datetime] = {
    "naive": NAIVE,
    "fraction": SIGNED.replace(microsecond=1),
    "another zone": SIGNED.astimezone(timezone(timedelta(hours=1))),
    "before 1970": datetime(1969, 12, 31, tzinfo=UTC),
    "after 2106": datetime(2106, 2, 8, tzinfo=UTC),
}
WRONG_LINES = {
    "two lines": "a\nb",
    "escape": "a\x1b[2J",
    "right to left": "a\u202eb",
    "backslash": "a\\b",
    "blank end": "a ",
    "too long": "x" * 201,
    "too long in UTF-8": "\u00e9" * 101,
    "surrogate": "\ud800",
}
BOUND_LATE = with_subkey(CERT, Subkey(SUB.raw, SIGNED, SUB.sign), KEY.sign)
REFUSED: dict[str, Callable[[Sign], bytes]] = {
    **{
        f"{word} of {what}": make
        for word, time in WRONG_TIMES.items()
        for what, make in {
            "creation": lambda sign, t=time: certificate(RAW, USER_ID, t, None, sign),
            "expiry": lambda sign, t=time: certificate(RAW, USER_ID, CREATED, t, sign),
            "renewal": lambda sign, t=time: renewed(CERT, t, LATER, sign),
            "revocation": lambda sign, t=time: revocation(
                RAW, CREATED, t, Reason.RETIRED, "", sign
            ),
            "signature": lambda sign, t=time: detached(CERT, DATA, t, sign),
            "text": lambda sign, t=time: cleartext(CERT, DATA, t, sign),
            "subkey": lambda sign, t=time: with_subkey(CERT, Subkey(SUB.raw, t, sign), sign),
        }.items()
    },
    **{
        f"{word} as {what}": make
        for word, line in WRONG_LINES.items()
        for what, make in {
            "user id": lambda sign, t=line: certificate(RAW, t, CREATED, None, sign),
            "reason": lambda sign, t=line: revocation(
                RAW, CREATED, SIGNED, Reason.RETIRED, t, sign
            ),
        }.items()
    },
    "no user id": lambda sign: certificate(RAW, "", CREATED, None, sign),
    "small order": lambda sign: certificate(SMALL_ORDER, USER_ID, CREATED, None, sign),
    "short key": lambda sign: certificate(RAW[:-1], USER_ID, CREATED, None, sign),
    "expires when created": lambda sign: certificate(RAW, USER_ID, CREATED, CREATED, sign),
    "signed before the key": lambda sign: detached(CERT, DATA, CREATED - DAY, sign),
    "signed before the subkey": lambda sign: detached(BOUND_LATE, DATA, CREATED, sign, SUB.raw),
    "signed when expired": lambda sign: detached(CERT, DATA, EXPIRES, sign),
    "subkey signs when expired": lambda sign: detached(BOUND, DATA, EXPIRES, sign, SUB.raw),
    "text when expired": lambda sign: cleartext(CERT, DATA, LATER, sign),
    "signed when revoked": lambda sign: detached(REVOKED, DATA, SIGNED, sign),
    "subkey revoked": lambda sign: detached(revoked_subkey(), DATA, LATER, sign, SUB.raw),
    "another key": lambda sign: detached(CERT, DATA, SIGNED, sign, OTHER.raw),
    "no certificate": lambda sign: detached(b"", DATA, SIGNED, sign),
    "RSA": lambda sign: detached(other_primary(), DATA, SIGNED, sign),
    "renewed in the same second": lambda sign: renewed(CERT, CREATED, LATER, sign),
    "renewed into the past": lambda sign: renewed(CERT, SIGNED, CREATED, sign),
    "renewed when revoked": lambda sign: renewed(REVOKED, SIGNED, LATER, sign),
    "renewed with two names": lambda sign: renewed(two_user_ids(), SIGNED, LATER, sign),
    "revoked before the key": lambda sign: revocation(
        RAW, CREATED, CREATED - DAY, Reason.RETIRED, "", sign
    ),
    "subkey before the key": lambda sign: with_subkey(
        CERT, Subkey(SUB.raw, CREATED - DAY, sign), sign
    ),
    "primary as subkey": lambda sign: with_subkey(CERT, Subkey(RAW, SIGNED, sign), sign),
    "subkey twice": lambda sign: with_subkey(BOUND, Subkey(SUB.raw, SIGNED, sign), sign),
    "subkey of small order": lambda sign: with_subkey(
        CERT, Subkey(SMALL_ORDER, SIGNED, sign), sign
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused_before_anything_is_asked(name: str) -> None:
    asked: list[bytes] = []

    def remember(message: bytes) -> bytes:
        asked.append(message)
        return KEY.private.sign(message)

    with pytest.raises(InputError):
        REFUSED[name](remember)
    assert asked == []


# --- text --------------------------------------------------------------------------------------

TEXTS: dict[str, tuple[bytes, bytes]] = {
    "empty": (b"", b""),
    "one line": (b"a", b"a"),
    "last line end": (b"a\n", b"a"),
    "empty last line": (b"a\n\n", b"a\r\n"),
    "line ends": (b"a\r\nb\nc\r\n", b"a\r\nb\r\nc"),
    "white space": (b"a \t\n\t b\t\n \n", b"a\r\n\t b\r\n"),
    "dashes": (b"-a\n- b\n", b"-a\r\n- b"),
    "UTF-8": ("\u00e9\u2028\u3000\n".encode(), "\u00e9\u2028\u3000".encode()),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_signed_in_one_form(name: str) -> None:
    text, canonical = TEXTS[name]
    assert canonical_text(text) == canonical


BAD_TEXTS = {
    "lone CR": b"a\rb",
    "CR at the end": b"a\r",
    "two CR": b"a\r\r\n",
    "NUL": b"a\0",
    "escape": b"\x1b[2J",
    "C1": "\u0085".encode(),
    "not UTF-8": b"\xff",
    "long line": b"x" * (MAX_LINE_BYTES + 1),
    "too large": b"x\n" * (MAX_TEXT_BYTES // 2) + b"x",
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_text_that_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a text to sign in the clear"):
        cleartext(CERT, BAD_TEXTS[name], SIGNED, KEY.sign)


def test_the_frame_of_a_text() -> None:
    made = cleartext(CERT, b"-x\nFrom y\r\nFromage  \n\nz\n", SIGNED, KEY.sign)
    head, mark, block = made.partition(b"-----BEGIN PGP SIGNATURE-----\n")
    assert head == (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- -x\n- From y\nFromage\n\nz\n"
    )
    inside = parse_signature(
        read_packets(dearmor(mark + block, "SIGNATURE", "t"), "t")[0].body, "t"
    )
    assert inside is not None
    assert inside.kind == 0x01


def test_a_text_signature_is_no_signature_of_a_file() -> None:
    made = cleartext(CERT, b"a", SIGNED, KEY.sign)
    block = made[made.index(b"-----BEGIN PGP SIGNATURE-----") :]
    with pytest.raises(VerificationError, match="not over binary data"):
        verify_detached(
            parse_certificate(CERT, "t"), dearmor(block, "SIGNATURE", "t"), b"a", SIGNED
        )


# --- framing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 191, 192, 193, 447, 448, 8_383])
def test_lengths_are_written_as_they_are_read(size: int) -> None:
    body = bytes(size)
    (found,) = read_packets(packet(13, body), "t")
    assert (found.tag, found.body) == (13, body)
    assert len(packet(13, body)) == size + (2 if size < 192 else 3)
    if size:
        assert subpacket(20, body[1:]).endswith(bytes([20]) + body[1:])
        assert subpacket(20, body[1:])[:-size] == packet(13, body)[1:-size]


INTEGERS = {
    b"": "0000",
    bytes(32): "0000",
    b"\x01": "000101",
    b"\x00\x80": "000880",
    b"\x00\x00\x01\x00": "00090100",
    b"\xff" + bytes(31): "0100ff" + "00" * 31,
}


@pytest.mark.parametrize("value", INTEGERS)
def test_integers_have_their_true_bit_count(value: bytes) -> None:
    assert mpi(value).hex() == INTEGERS[value]


# --- hostile bytes -----------------------------------------------------------------------------


def calls(data: bytes) -> tuple[Callable[[], bytes], ...]:
    return (
        lambda: detached(data, DATA, SIGNED, KEY.sign),
        lambda: cleartext(CERT, data, SIGNED, KEY.sign),
        lambda: renewed(data, SIGNED, LATER, KEY.sign),
        lambda: revoked(data, REVOCATION),
        lambda: revoked(CERT, data),
        lambda: revocation_text(data),
        lambda: with_subkey(data, Subkey(SUB.raw, SIGNED, SUB.sign), KEY.sign),
    )


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    for call in calls(data):
        with contextlib.suppress(InputError, VerificationError):
            call()


@given(st.integers(0, len(BOUND) - 1), st.integers(1, 255))
def test_an_altered_certificate_raises_only_our_errors(position: int, mask: int) -> None:
    for call in calls(flipped(BOUND, position, mask)):
        with contextlib.suppress(InputError, VerificationError):
            call()


def test_lies_are_lies() -> None:
    # The table of lies would prove nothing if one of them were the truth.
    truths: list[Change] = [lie for lie in lies().values() if lie(DATA) == KEY.private.sign(DATA)]
    assert truths == []
