"""ECDSA and RSA members: which keys are taken, what signs for them, and who is a twin."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, prod

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP384R1,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer._key import SSlibKey

from relsign.crypto.keys import (
    EcdsaPublic,
    Ed25519Public,
    Party,
    RsaPublic,
    check_members,
    ed25519_spki,
    parse_member,
    possible_keyids,
    spki_pem,
)
from relsign.crypto.rsa_weakness import find_weakness
from relsign.crypto.signatures import verify_by, verify_envelope
from relsign.errors import InputError, VerificationError
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.roster import EcdsaKey, Ed25519Key, Member, Role, RsaKey, RsaScheme
from tests.crypto.openpgp_maker import Key, ed25519
from tests.crypto.roster_keys import (
    b64,
    ecdsa_key,
    ecdsa_member,
    openpgp_member,
    person,
    rsa_key,
    rsa_member,
    sign_ecdsa,
    sign_pkcs1,
    sign_pss,
    spki_of,
)
from tests.crypto.stranger_keys import pem, private
from tests.verify.releases import NOW, secret

MESSAGE = b"what was signed"
EC, PSS, PKCS1 = "ecdsa", "pss", "pkcs1"


def members() -> dict[str, Party]:
    return {
        EC: parse_member(ecdsa_member(), "here"),
        PSS: parse_member(rsa_member(), "here"),
        PKCS1: parse_member(rsa_member(scheme="rsa-pkcs1v15-sha512"), "here"),
    }


# --- who is who --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["rsassa-pss-sha256", "rsa-pkcs1v15-sha512"])
def test_rsa_keyids_are_those_of_securesystemslib(scheme: RsaScheme) -> None:
    theirs = SSlibKey.from_crypto(rsa_key().public_key(), scheme=scheme)
    assert RsaPublic(spki_of(rsa_key()), scheme).keyid == theirs.keyid


def test_ecdsa_keyids_are_those_of_securesystemslib() -> None:
    theirs = SSlibKey.from_crypto(ecdsa_key().public_key())
    assert EcdsaPublic(spki_of(ecdsa_key())).keyid == theirs.keyid


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (ecdsa_member(), openpgp_member(Key(ecdsa_key()))),
        (rsa_member(), openpgp_member(Key(rsa_key()))),
        (rsa_member(), rsa_member("other", scheme="rsa-pkcs1v15-sha512")),
        (ecdsa_member(), ecdsa_member("other")),
    ],
)
def test_a_twin_is_seen_across_kinds_and_schemes(one: Member, two: Member) -> None:
    with pytest.raises(InputError, match="one key under two names"):
        check_members((one, two), "roster", share_roles=False)


def test_other_keys_of_the_same_kinds_are_no_twins() -> None:
    other = person("olaf", EcdsaKey(public=b64(spki_of(private("ec2")))))
    everybody = (ecdsa_member(), rsa_member(), other, openpgp_member(ed25519(41)))
    assert len(check_members(everybody, "roster", share_roles=False)) == 4


def test_every_keyid_a_material_could_have_is_known() -> None:
    """A revoked key is known again as another kind of key."""
    petra = parse_member(openpgp_member(Key(rsa_key())), "here").key
    ed = ed25519(41)
    raw = parse_member(openpgp_member(ed), "here").key
    found = members()
    for keys in (petra, found[PSS].key, found[PKCS1].key):
        assert {found[PSS].keyid, found[PKCS1].keyid} <= possible_keyids(keys)
    assert found[EC].keyid in possible_keyids(
        parse_member(openpgp_member(Key(ecdsa_key())), "").key
    )
    assert found[EC].keyid not in possible_keyids(petra)
    assert petra.keyid in possible_keyids(petra)
    (material,) = raw.materials
    plain = person("ed", Ed25519Key(public=material.hex()))
    assert parse_member(plain, "here").keyid in possible_keyids(raw)


@pytest.mark.parametrize("name", ["ed1", "ec1", "rsa1"])
def test_keys_are_written_for_other_tools_as_their_library_writes_them(name: str) -> None:
    key = private(name)
    spki = spki_of(key)
    if isinstance(key, Ed25519PrivateKey):
        assert ed25519_spki(key.public_key().public_bytes_raw()) == spki
    assert spki_pem(spki) == pem(name)


# --- which keys --------------------------------------------------------------------------------


def compressed(key: EllipticCurvePublicKey) -> bytes:
    """Return P-256's SubjectPublicKeyInfo with the point in its other form."""
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    body = algorithm + b"\x03" + bytes([len(point) + 1]) + b"\0" + point
    return b"\x30" + bytes([len(body)]) + body


def rsa_spki(modulus: int, exponent: int = 65_537) -> bytes:
    public = RSAPublicNumbers(exponent, modulus).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def tail(number: int) -> bytes:
    return number.to_bytes(256)[-32:]


FACTOR, CLOSE, FLAWED = "a factor below 752", "close to each other", "CVE-2017-15361"


def without_small_factor(number: int, step: int) -> int:
    """Return the first of number, number + step, ... that no prime below 752 divides."""
    while find_weakness(number) == FACTOR:
        number += step
    return number


def flawed_modulus() -> int:
    """Return a modulus that is a power of 65537 modulo every prime up to 701."""
    product = prod(p for p in range(2, 702) if all(p % d for d in range(2, isqrt(p) + 1)))
    first = pow(65_537, 1234, product) + product * ((1 << 2047) // product + 1)
    return without_small_factor(first, product)


P = rsa_key().private_numbers().p
N = rsa_key().public_key().public_numbers().n
WEAK: dict[str, tuple[int, str]] = {
    "divided by three": (N * 3, FACTOR),
    "divided by 751": (N * 751, FACTOR),
    "a square": (P * P, CLOSE),
    "factors side by side": (P * without_small_factor(P + 2, 2), CLOSE),
    "of the flawed library": (flawed_modulus(), FLAWED),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_modulus_is_named(name: str) -> None:
    modulus, words = WEAK[name]
    assert words in find_weakness(modulus)


def test_a_modulus_that_was_made_well_is_not_named() -> None:
    assert find_weakness(N) == ""
    # One residue that is no power of 65537 modulo 11 is enough.
    assert FLAWED not in find_weakness(without_small_factor(flawed_modulus() + 2, 2))


BAD_RSA: dict[str, tuple[bytes, str]] = {
    "weak": (rsa_spki(WEAK["of the flawed library"][0]), FLAWED),
    "1024 bits": (rsa_spki(N >> 1024 | 1), "RSA of 1024 bits"),
    "8193 bits": (rsa_spki(1 << 8192 | 1), "RSA of 8193 bits"),
    "an even exponent": (rsa_spki(N)[:-1] + b"\0", "unsafe|not a public key"),
    "exponent 3": (rsa_spki(N, 3), "unsafe"),
    "an exponent of 33 bits": (rsa_spki(N, (1 << 32) + 1), "unsafe"),
    "an even modulus": (rsa_spki(N).replace(tail(N), tail(N - 1)), "unsafe|not a public key"),
    "an ECDSA key": (spki_of(ecdsa_key()), "not a public key of the kind the roster names"),
    "an Ed25519 key": (spki_of(private("ed1")), "not a public key of the kind the roster names"),
    "a byte more": (spki_of(rsa_key()) + b"\0", "not a p"),
    "half of it": (spki_of(rsa_key())[:150], "not a public key"),
    "nothing known": (b"\x30" * 40, "not a public key"),
}
BAD_ECDSA: dict[str, tuple[bytes, str]] = {
    "P-384": (spki_of(derive_private_key(7, SECP384R1())), "not a kind of key"),
    "secp256k1": (spki_of(derive_private_key(7, SECP256K1())), "not a kind of key"),
    "compressed": (compressed(ecdsa_key().public_key()), "not a public key of the kind"),
    "not on the curve": (spki_of(ecdsa_key())[:-1] + b"\0", "not a public key"),
    "an RSA key": (spki_of(rsa_key()), "not a public key of the kind the roster names"),
    "a byte more": (spki_of(ecdsa_key()) + b"\0", "not a p"),
}


@pytest.mark.parametrize("name", BAD_RSA)
def test_rsa_keys_that_are_refused(name: str) -> None:
    der, words = BAD_RSA[name]
    with pytest.raises(InputError, match=words) as caught:
        parse_member(person("x", RsaKey(public=b64(der), scheme="rsassa-pss-sha256")), "here")
    assert caught.value.where == "here.key.public"
    assert caught.value.hint


@pytest.mark.parametrize("name", BAD_ECDSA)
def test_ecdsa_keys_that_are_refused(name: str) -> None:
    der, words = BAD_ECDSA[name]
    with pytest.raises(InputError, match=words) as caught:
        parse_member(person("x", EcdsaKey(public=b64(der))), "here")
    assert caught.value.where == "here.key.public"
    assert caught.value.hint


@pytest.mark.parametrize("role", ["owner", "builder", "publisher", "log", "witness", "release"])
@pytest.mark.parametrize("make", [ecdsa_member, rsa_member])
def test_ecdsa_and_rsa_keys_are_only_ever_signers(make: Callable[..., Member], role: Role) -> None:
    with pytest.raises(InputError, match="an ECDSA or RSA key can only be a signer's") as caught:
        parse_member(make("x", role), "here")
    assert caught.value.where == "here.roles"


# --- what signs --------------------------------------------------------------------------------


def raw_pair(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32) + s.to_bytes(32)


GOOD: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "ecdsa": (EC, sign_ecdsa),
    "pss": (PSS, sign_pss),
    "pss, another salt": (PSS, lambda m: sign_pss(m, 64)),
    "pss, no salt": (PSS, lambda m: sign_pss(m, 0)),
    "pkcs1": (PKCS1, sign_pkcs1),
}
FALSE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "ecdsa over other bytes": (EC, lambda m: sign_ecdsa(m + b"x")),
    "ecdsa over SHA-384": (EC, lambda m: sign_ecdsa(m, SHA384())),
    "ecdsa, r and s side by side": (EC, lambda m: raw_pair(sign_ecdsa(m))),
    "ecdsa, a byte more": (EC, lambda m: sign_ecdsa(m) + b"\0"),
    "ecdsa, nothing": (EC, lambda _: b""),
    "ecdsa, zeros": (EC, lambda _: bytes.fromhex("3006020100020100")),
    "an RSA signature under the ECDSA key": (EC, sign_pss),
    "pss over other bytes": (PSS, lambda m: sign_pss(m + b"x")),
    "pss under the key for pkcs1": (PKCS1, sign_pss),
    "pkcs1 under the key for pss": (PSS, sign_pkcs1),
    "pkcs1 over SHA-256": (PKCS1, lambda m: sign_pkcs1(m, SHA256())),
    "pkcs1 over other bytes": (PKCS1, lambda m: sign_pkcs1(m + b"x")),
    "pkcs1, shorter": (PKCS1, lambda m: sign_pkcs1(m)[1:]),
    "pkcs1, longer": (PKCS1, lambda m: b"\0" + sign_pkcs1(m)),
    "pss, nothing": (PSS, lambda _: b""),
    "pss, all ones": (PSS, lambda _: b"\xff" * 256),
}


@pytest.mark.parametrize("name", GOOD)
def test_signatures_that_hold(name: str) -> None:
    who, sign = GOOD[name]
    verify_by(members()[who], sign(MESSAGE), MESSAGE, NOW)


@pytest.mark.parametrize("name", FALSE)
def test_signatures_that_do_not_hold(name: str) -> None:
    who, sign = FALSE[name]
    with pytest.raises(VerificationError, match="does not verify"):
        verify_by(members()[who], sign(MESSAGE), MESSAGE, NOW)


def test_several_kinds_of_keys_sign_one_envelope() -> None:
    found = members()
    ed = Party("ed", "ed", "birch", ("signer",), Ed25519Public(secret("ed").verify_key.encode()))
    everybody = (found[EC], found[PSS], ed)
    message = pae(INTOTO_PAYLOAD, b"{}")
    signatures = (
        Signature(keyid=found[EC].keyid, sig=sign_ecdsa(message)),
        Signature(keyid="", sig=sign_pss(message)),
        Signature(keyid=ed.keyid, sig=secret("ed").sign(message).signature),
    )
    envelope = Envelope(payload=b"{}", payload_type=INTOTO_PAYLOAD, signatures=signatures)
    assert verify_envelope(envelope, everybody, NOW).valid == everybody
    wrong = msgspec.structs.replace(signatures[0], sig=sign_ecdsa(b"x"))
    envelope = Envelope(payload=b"{}", payload_type=INTOTO_PAYLOAD, signatures=(wrong,))
    report = verify_envelope(envelope, everybody, NOW)
    assert report.bad == ("edda: signature does not verify",)
