"""Keys of strangers: which are keys, which are one key, and what they signed."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer._signature import Signature as ReferenceSignature

from relsign.crypto.spki import MAX_KEY_BYTES, parse_key, signed_bytes, verify_stranger
from relsign.errors import InputError, VerificationError
from relsign.formats.dsse_policy import Scheme
from relsign.formats.envelope import pae
from tests.crypto.stranger_keys import openssh, pem, private, signer

MESSAGE = b"what was signed"
SCHEMES: list[tuple[str, Scheme]] = [
    ("ed1", "ed25519"),
    ("ec1", "ecdsa-sha2-nistp256"),
    ("rsa1", "rsassa-pss-sha256"),
    ("rsa1", "rsa-pkcs1v15-sha256"),
]


def sign(name: str, scheme: str, message: bytes = MESSAGE) -> bytes:
    return bytes.fromhex(signer(name, scheme).sign(message).signature)


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ed1", "ec1", "rsa1"])
def test_a_key_is_the_same_in_every_form(name: str) -> None:
    key = parse_key(pem(name), "key")
    assert parse_key(openssh(name), "key") == key
    assert parse_key(openssh(name).split(b" somebody")[0], "key") == key
    assert parse_key(pem(name).replace(b"\n", b"\r\n"), "key") == key
    assert parse_key(pem(f"{name[:-1]}2"), "key") != key
    other = subprocess.run(
        ["openssl", "pkey", "-pubin", "-pubout", "-outform", "DER"],
        input=pem(name), capture_output=True, check=True,
    )  # fmt: skip
    assert key.spki == other.stdout


def test_an_ed25519_key_may_be_64_digits() -> None:
    private_key = private("ed1")
    assert isinstance(private_key, Ed25519PrivateKey)
    digits = private_key.public_key().public_bytes_raw().hex()
    for text in (digits, digits.upper(), f"{digits}\n"):
        assert parse_key(text.encode(), "key") == parse_key(pem("ed1"), "key")


def test_a_compressed_point_is_the_same_key() -> None:
    written = subprocess.run(
        ["openssl", "pkey", "-pubin", "-pubout", "-ec_conv_form", "compressed"],
        input=pem("ec1"), capture_output=True, check=True,
    )  # fmt: skip
    assert len(written.stdout) < len(pem("ec1"))
    assert parse_key(written.stdout, "key") == parse_key(pem("ec1"), "key")


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN PUBLIC KEY-----\n" + body + b"-----END PUBLIC KEY-----\n"


def _rsa(exponent: int, modulus: int) -> bytes:
    public = RSAPublicNumbers(exponent, modulus).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _openssl(*words: str, after: str = "") -> bytes:
    made = subprocess.run(["openssl", *words], capture_output=True, check=True).stdout
    read = ["openssl", "pkey", "-pubout"] if not after else after.split()
    return subprocess.run(read, input=made, capture_output=True, check=True).stdout


def _ssh(kind: bytes) -> bytes:
    return openssh("ed1").replace(b"ssh-ed25519 ", kind + b" ")


P384 = generate_private_key(SECP384R1()).public_key()
DER = parse_key(pem("ec1"), "key").spki
PRIVATE = private("ec1").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SMALL_ORDER = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
ODD = (1 << 2047) + 1

BAD_KEYS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "not a public key"),
    ("words", b"a key", "not a public key"),
    ("not ASCII", b"\xff\xfe", "not a public key"),
    ("too long", b"a" * (MAX_KEY_BYTES + 1), "too large"),
    ("63 digits", b"a" * 63, "not a public key"),
    ("65 digits", b"a" * 65, "not a public key"),
    ("small order", SMALL_ORDER.encode(), "not an acceptable Ed25519 public key"),
    ("identity", b"01" + b"00" * 31, "not an acceptable Ed25519 public key"),
    ("not canonical", b"ff" * 32, "not an acceptable Ed25519 public key"),
    ("a private key", PRIVATE, "a private key"),
    ("two keys", pem("ed1") + pem("ed2"), "not a public key"),
    ("words before", b"hello\n" + pem("ed1"), "not a public key"),
    ("words after", pem("ed1") + b"hello", "not a public key"),
    ("a certificate", pem("ed1").replace(b"PUBLIC KEY", b"CERTIFICATE"), "not a public key"),
    ("base64 junk", pem("ed1").replace(b"MCow", b"M=ow"), "base64"),
    ("base64 with blanks", pem("ed1").replace(b"MCow", b"MC ow"), "not a public key"),
    ("no DER", _pem(b"junk"), "not a public key"),
    ("a byte more", _pem(DER + b"\0"), "not a public key"),
    ("a point off the curve", _pem(DER[:-1] + bytes([DER[-1] ^ 1])), "not a public key"),
    ("the point at infinity", _pem(bytes.fromhex("301906") + DER[3:23] + b"\x03\x02\0\0"), "not a"),
    ("another curve", P384.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "kind"),
    ("a short RSA key", _openssl("genrsa", "1024"), "RSA of 1024 bits"),
    ("a huge RSA key", _rsa(65_537, (1 << 8192) + 1), "RSA of 8193 bits"),
    ("an exponent of 3", _rsa(3, ODD), "unsafe modulus or exponent"),
    ("an even exponent", _rsa(65_539 * 2 + 1, ODD + 1), "unsafe modulus or exponent"),
    ("an even modulus", _rsa(65_537, ODD - 1), "unsafe modulus or exponent"),
    ("a huge exponent", _rsa((1 << 40) + 1, ODD), "unsafe modulus or exponent"),
    ("RSA of PKCS#1", _openssl("genrsa", "2048", after="openssl rsa -RSAPublicKey_out"), "not a"),
    (
        "RSA for PSS alone",
        _openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
        "not a plain SubjectPublicKeyInfo",
    ),
    ("X25519", _openssl("genpkey", "-algorithm", "x25519"), "not a kind of key"),
    ("Ed448", _openssl("genpkey", "-algorithm", "ed448"), "not a kind of key"),
    ("two lines of OpenSSH", openssh("ed1") + openssh("ed2"), "not a public key"),
    ("a hardware key of OpenSSH", _ssh(b"sk-ssh-ed25519@openssh.com"), "not a public key"),
    ("OpenSSH of another type", _ssh(b"ssh-rsa"), "not an OpenSSH public key"),
    ("OpenSSH without a key", b"ssh-ed25519 AAAA", "not an OpenSSH public key"),
    ("OpenSSH base64 junk", b"ssh-ed25519 A=A", "not an OpenSSH public key"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words"), [row[1:] for row in BAD_KEYS], ids=[row[0] for row in BAD_KEYS]
)
def test_what_is_no_acceptable_key_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_key(data, "key.pem")
    assert caught.value.where == "key.pem"
    assert caught.value.hint


def test_openssh_of_an_accepted_kind_is_checked_like_any_other() -> None:
    small = _openssl("genrsa", "1024")
    line = subprocess.run(
        ["ssh-keygen", "-i", "-m", "PKCS8", "-f", "/dev/stdin"],
        input=small, capture_output=True, check=True,
    ).stdout  # fmt: skip
    with pytest.raises(InputError, match="RSA of 1024 bits"):
        parse_key(line, "key.pub")


@given(st.integers(0, 5), st.binary(max_size=4), st.integers(0, 200))
def test_spoiled_keys_raise_nothing_else(which: int, junk: bytes, place: int) -> None:
    whole = (pem("ed1"), pem("ec1"), pem("rsa1"), openssh("ed1"), openssh("ec1"), openssh("rsa1"))
    spoiled = whole[which][:place] + junk + whole[which][place + len(junk) :]
    try:
        key = parse_key(spoiled, "key")
    except InputError:
        return
    assert key.spki


# --- schemes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "scheme"), SCHEMES)
def test_what_securesystemslib_signs_verifies(name: str, scheme: Scheme) -> None:
    key = parse_key(pem(name), "key")
    assert verify_stranger(key, sign(name, scheme), signed_bytes(MESSAGE)) == scheme
    only = key.only(scheme, "key")
    assert verify_stranger(only, sign(name, scheme), signed_bytes(MESSAGE)) == scheme
    assert only == key or name == "rsa1"


@pytest.mark.parametrize(("name", "scheme"), SCHEMES)
def test_a_signature_over_other_bytes_or_by_another_key_fails(name: str, scheme: Scheme) -> None:
    key, made = parse_key(pem(name), "key"), sign(name, scheme)
    flipped = bytes([made[0] ^ 1]) + made[1:]
    wrong = (
        (key, made, MESSAGE + b"."),
        (key, made, b""),
        (key, flipped, MESSAGE),
        (key, made[:-1], MESSAGE),
        (key, made + b"\0", MESSAGE),
        (key, b"", MESSAGE),
        (parse_key(pem(f"{name[:-1]}2"), "key"), made, MESSAGE),
    )
    for other, signature, message in wrong:
        with pytest.raises(VerificationError, match="does not verify"):
            verify_stranger(other, signature, signed_bytes(message))


def test_an_rsa_key_may_be_held_to_one_scheme() -> None:
    key = parse_key(pem("rsa1"), "key").only("rsassa-pss-sha256", "key")
    with pytest.raises(VerificationError):
        verify_stranger(key, sign("rsa1", "rsa-pkcs1v15-sha256"), signed_bytes(MESSAGE))
    with pytest.raises(InputError, match="not a scheme of this key"):
        parse_key(pem("ed1"), "key").only("rsassa-pss-sha256", "key")


@pytest.mark.parametrize(("name", "scheme"), SCHEMES)
def test_openssl_agrees(tmp_path: Path, name: str, scheme: Scheme) -> None:
    (tmp_path / "key.pem").write_bytes(pem(name))
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "changed").write_bytes(MESSAGE + b".")
    (tmp_path / "sig").write_bytes(sign(name, scheme))
    words = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "sig"]
    if scheme == "rsassa-pss-sha256":
        words += ["-sigopt", "rsa_padding_mode:pss"]
    if scheme == "ed25519":
        words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
        words += ["-sigfile", "sig", "-in"]
    for file, good in (("message", True), ("changed", False)):
        done = subprocess.run([*words, file], cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode == 0) is good


def test_openssl_s_signatures_verify(tmp_path: Path) -> None:
    for name in ("ed1", "ec1", "rsa1"):
        key = private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key.pem").write_bytes(key)
        (tmp_path / "message").write_bytes(MESSAGE)
        made = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "message"]
            + ([] if name == "ed1" else ["-digest", "sha256"]),
            cwd=tmp_path, capture_output=True, check=True,
        ).stdout  # fmt: skip
        found = verify_stranger(parse_key(pem(name), "key"), made, signed_bytes(MESSAGE))
        assert found in {"ed25519", "ecdsa-sha2-nistp256", "rsa-pkcs1v15-sha256"}


# --- the vector of the specification -----------------------------------------------------------

# https://github.com/secure-systems-lab/dsse, protocol.md, "Test Vectors".
VECTOR_X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
VECTOR_Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
VECTOR_SIGNATURE = (
    "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
)


def vector_key() -> bytes:
    public = EllipticCurvePublicNumbers(VECTOR_X, VECTOR_Y, SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_vector_of_the_dsse_protocol_verifies() -> None:
    signed = pae("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    signature = base64.b64decode(VECTOR_SIGNATURE)
    key = parse_key(vector_key(), "vector")
    assert verify_stranger(key, signature, signed_bytes(signed)) == "ecdsa-sha2-nistp256"
    for wrong in (b"hello world", signed.replace(b"29", b"029"), signed + b"\n"):
        with pytest.raises(VerificationError):
            verify_stranger(key, signature, signed_bytes(wrong))


def test_both_forms_of_an_ecdsa_signature_verify() -> None:
    key, private_key = parse_key(pem("ec1"), "key"), private("ec1")
    assert isinstance(private_key, EllipticCurvePrivateKey)
    der = private_key.sign(MESSAGE, ECDSA(SHA256()))
    r, s = decode_dss_signature(der)
    raw = r.to_bytes(32) + s.to_bytes(32)
    for form in (der, raw):
        assert verify_stranger(key, form, signed_bytes(MESSAGE)) == "ecdsa-sha2-nistp256"
    for zero in (bytes(64), r.to_bytes(32) + bytes(32), bytes(32) + s.to_bytes(32)):
        with pytest.raises(VerificationError):
            verify_stranger(key, zero, signed_bytes(MESSAGE))


@pytest.mark.parametrize(("name", "scheme"), SCHEMES)
def test_the_reference_takes_the_same_signature(name: str, scheme: Scheme) -> None:
    one = signer(name, scheme)
    made = one.sign(MESSAGE)
    assert isinstance(made, ReferenceSignature)
    one.public_key.verify_signature(made, MESSAGE)
    verify_stranger(parse_key(pem(name), "k"), bytes.fromhex(made.signature), signed_bytes(MESSAGE))


def test_rsa_signatures_of_the_longest_salt_verify() -> None:
    key = private("rsa1")
    assert isinstance(key, RSAPrivateKey)
    made = key.sign(MESSAGE, PSS(MGF1(SHA256()), PSS.MAX_LENGTH), SHA256())
    found = verify_stranger(parse_key(pem("rsa1"), "key"), made, signed_bytes(MESSAGE))
    assert found == "rsassa-pss-sha256"
