"""Any bytes where OpenPGP is read: a value or a typed refusal, over 100,000 of them each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relsign.crypto.openpgp import (
    armor_signatures,
    dearmor,
    parse_certificate,
    split_certificates,
    split_signatures,
    verify_detached,
)
from relsign.crypto.openpgp_keys import parse_key
from relsign.crypto.openpgp_packets import parse_signature, read_packets
from relsign.errors import InputError, VerificationError
from tests.crypto.openpgp_cases import (
    AT,
    MESSAGE,
    PRIMARY,
    SUBKEY,
    nist_key,
    revoked_primary,
    rsa_key,
    with_subkey,
    with_third_parties,
)
from tests.crypto.openpgp_maker import detached, simple
from tests.hostile.mutate import NUMBERS, Bytes
from tests.hostile.pgp import Certificates, Signatures
from tests.hostile.survival import MUTATIONS, count_refusals

FRAMED = 8_000
"""Documents with a right frame cost a signature each; they come on top of the others."""

KEYS = (PRIMARY, rsa_key(), nist_key("256"), nist_key("384"))
SIGNATURE = detached(PRIMARY, MESSAGE)
CERTIFICATES = tuple(parse_certificate(simple(key), "t") for key in KEYS)
TWO = split_signatures(SIGNATURE + detached(SUBKEY, MESSAGE), "t")

READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "packets": (lambda data: read_packets(data, "t"), with_subkey()),
    "signature": (lambda data: parse_signature(data, "t"), SIGNATURE[6:]),
    "ed25519 key": (lambda data: parse_key(data, "t"), PRIMARY.body),
    "rsa key": (lambda data: parse_key(data, "t"), rsa_key().body),
    "ecdsa key": (lambda data: parse_key(data, "t"), nist_key("256").body),
    "key ring": (lambda data: split_certificates(data, "t"), simple(PRIMARY) + simple(SUBKEY)),
    "armour": (lambda data: dearmor(data, "SIGNATURE", "t"), armor_signatures(TWO[:1])),
    "signature file": (lambda data: split_signatures(data, "t"), b"".join(TWO)),
    "armoured signature file": (lambda data: split_signatures(data, "t"), armor_signatures(TWO)),
}


@pytest.mark.parametrize("name", READERS)
def test_any_bytes(name: str) -> None:
    read, good = READERS[name]
    assert read(good)
    words = NUMBERS if good[:5] != b"-----" else (*NUMBERS, b"=", b"\n", b"\r\n", b"-----", b"A: b")
    refused = count_refusals(read, Bytes(good, name, words).make, MUTATIONS)
    assert MUTATIONS // 4 < refused < MUTATIONS


def test_any_bytes_as_a_certificate() -> None:
    refused = 0
    for good in (with_subkey(), with_third_parties(), revoked_primary(), simple(KEYS[2])):
        make = Bytes(good, "certificate", NUMBERS).make
        refused += count_refusals(lambda data: parse_certificate(data, "t"), make, MUTATIONS // 4)
    assert MUTATIONS // 4 < refused < MUTATIONS


def test_certificates_whose_frame_is_right() -> None:
    make = Certificates("frame", KEYS).make
    refused = count_refusals(lambda data: parse_certificate(data, "t"), make, FRAMED)
    assert FRAMED // 4 < refused < FRAMED


def _verify(data: bytes) -> None:
    """Try a signature with the key it claims, and with those of other kinds."""
    for certificate in CERTIFICATES:
        try:
            verify_detached(certificate, data, MESSAGE, AT)
        except VerificationError:
            continue
        return
    raise VerificationError("by nobody")


def test_any_bytes_as_a_detached_signature() -> None:
    make = Bytes(SIGNATURE, "detached", NUMBERS).make
    typed = (InputError, VerificationError)
    assert count_refusals(_verify, make, MUTATIONS, typed) > MUTATIONS // 2


def test_detached_signatures_whose_frame_is_right() -> None:
    signatures = Signatures("detached", KEYS)
    typed = (InputError, VerificationError)
    refused = count_refusals(_verify, lambda: signatures.detached(MESSAGE), FRAMED, typed)
    assert FRAMED // 4 < refused < FRAMED


def test_a_wrong_checksum_is_shown_escaped() -> None:
    text = armor_signatures(TWO[:1])
    broken = text.replace(b"\n=", b"\n=\x1b[2J", 1)
    with pytest.raises(InputError, match="wrong checksum") as caught:
        dearmor(broken, "SIGNATURE", "t")
    assert str(caught.value).isprintable()
