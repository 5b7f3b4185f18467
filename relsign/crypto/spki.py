"""Public keys of strangers: who a key is, and whether it made a signature.

Other people's envelopes are signed with Ed25519, ECDSA on P-256 or RSA of 2048 bits and
more.  A key may arrive as PEM, as 64 hexadecimal digits (Ed25519) or as a line of OpenSSH;
what it *is* are the bytes of its SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in their one DER
form, so that a key in two forms is still one key.

Schemes have the names securesystemslib gives them:

    ed25519               RFC 8032, libsodium's strict form
    ecdsa-sha2-nistp256   DER (r, s), or r and s as 32 bytes each
    rsassa-pss-sha256     MGF1 with SHA-256, salt of any length
    rsa-pkcs1v15-sha256

    >>> key = parse_key(b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "k")
    >>> key.schemes
    ('ed25519',)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_ssh_public_key,
)

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, parse_ed25519
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.dsse_policy import Scheme
from relsign.formats.envelope import decode_base64

MAX_KEY_BYTES = 16 << 10
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Larger ones cost a verifier more time than they are worth."""
_EXPONENTS = range(65_537, 1 << 32, 2)
_ED25519_SIGNATURE_BYTES = 64
_RAW_ECDSA_BYTES = 64
_DER_ECDSA_BYTES = range(8, 73)
_RSA_SCHEMES: tuple[Scheme, ...] = ("rsassa-pss-sha256", "rsa-pkcs1v15-sha256")
_PEM = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)-----END PUBLIC KEY-----\s*"
)
_HEX = re.compile(rb"[0-9a-fA-F]{64}\s*")
_OPENSSH = re.compile(
    rb"(?:ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+(?: [^\n]*)?\n?"
)
_PREHASHED = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class StrangerKey:
    """A public key somebody else holds; equal to any other with the same material."""

    spki: bytes
    """DER of the SubjectPublicKeyInfo: the key's identity."""
    schemes: tuple[Scheme, ...]
    """How its signatures may be made; RSA leaves two ways unless one is chosen."""
    _public: Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey = field(
        repr=False, compare=False
    )

    @property
    def spki_sha256(self) -> str:
        """SHA-256 of the material: what people compare."""
        return sha256_hex(self.spki)

    def only(self, scheme: Scheme, where: str) -> StrangerKey:
        """Return this key for one scheme; raise InputError if it is not one of the key's."""
        if scheme not in self.schemes:
            raise InputError(
                "not a scheme of this key",
                where=where,
                expected=" or ".join(self.schemes),
                got=scheme,
                hint="leave `scheme` out to accept what the key can make",
            )
        return StrangerKey(self.spki, (scheme,), self._public)

    def fits(self, signature: bytes) -> bool:
        """Say whether `signature` has a size this key's signatures can have."""
        if isinstance(self._public, RSAPublicKey):
            return len(signature) == (self._public.key_size + 7) // 8
        if isinstance(self._public, Ed25519PublicKey):
            return len(signature) == _ED25519_SIGNATURE_BYTES
        return len(signature) in _DER_ECDSA_BYTES


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """Bytes that were signed, and their digest, so that many keys need it once."""

    data: bytes
    sha256: bytes


def signed_bytes(data: bytes) -> SignedBytes:
    """Return `data` with its SHA-256."""
    return SignedBytes(data, bytes.fromhex(sha256_hex(data)))


def parse_key(data: bytes, where: str) -> StrangerKey:
    """Return the one public key in `data`: PEM, 64 hexadecimal digits or a line of OpenSSH.

    Raises InputError for anything else: two keys, a private key, a certificate, another
    curve, RSA below 2048 or above 8192 bits, an Ed25519 key of small order.
    """
    if len(data) > MAX_KEY_BYTES:
        raise _refused("too large for a public key", where, f"at most {MAX_KEY_BYTES} bytes")
    if b"PRIVATE KEY" in data:
        raise _refused(
            "a private key", where, "a public key", "make its public half: `openssl pkey -pubout`"
        )
    if _HEX.fullmatch(data):
        return _of_ed25519(bytes.fromhex(data.decode("ascii")), where)
    if pem := _PEM.fullmatch(data):
        return key_of_der(_decode(b"".join(pem[1].split()).decode("ascii"), where), where)
    if _OPENSSH.fullmatch(data):
        return _of_openssh(data.strip(), where)
    raise _refused("not a public key", where, "PEM, 64 hexadecimal digits or a line of OpenSSH")


def verify_stranger(key: StrangerKey, signature: bytes, message: SignedBytes) -> Scheme:
    """Return the scheme by which `key` made `signature` over `message`.

    Raises VerificationError if it did not by any scheme the key is for.
    """
    if key.fits(signature):
        for scheme in key.schemes:
            if _holds(key, scheme, signature, message):
                return scheme
    raise VerificationError(
        "signature does not verify",
        expected=" or ".join(key.schemes),
        got=f"key {key.spki_sha256[:8]}, {len(signature)} bytes of signature",
        hint="it was made by another key or over other bytes: do not use what it signs",
    )


def _holds(key: StrangerKey, scheme: Scheme, signature: bytes, message: SignedBytes) -> bool:
    public = key._public  # noqa: SLF001 - this module's own field
    try:
        if isinstance(public, Ed25519PublicKey):
            verify_ed25519(Ed25519Public(public.public_bytes_raw()), signature, message.data)
        elif isinstance(public, RSAPublicKey):
            pss = PSS(mgf=MGF1(SHA256()), salt_length=PSS.AUTO)
            padding = pss if scheme == "rsassa-pss-sha256" else PKCS1v15()
            public.verify(signature, message.sha256, padding, _PREHASHED)
        else:
            return _holds_ecdsa(public, signature, message.sha256)
    except (InvalidSignature, VerificationError):
        return False
    return True


def _holds_ecdsa(public: EllipticCurvePublicKey, signature: bytes, digest: bytes) -> bool:
    """Try DER, then (r, s) of 32 bytes each, which the vectors of DSSE use."""
    forms = [signature]
    if len(signature) == _RAW_ECDSA_BYTES:
        half = _RAW_ECDSA_BYTES // 2
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        forms.append(encode_dss_signature(r, s))
    for form in forms:
        try:
            public.verify(form, digest, ECDSA(_PREHASHED))
        except InvalidSignature:
            continue
        return True
    return False


def _decode(text: str, where: str) -> bytes:
    try:
        return decode_base64(text, where)
    except InputError as error:
        raise _refused(error.what, where, "PEM as its program wrote it") from error


def key_of_der(der: bytes, where: str) -> StrangerKey:
    """Return the key of a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).

    A point of P-256 may be compressed: the key's own `spki` has the form that is not.
    Raises InputError as `parse_key` does.
    """
    try:
        public = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused("not a public key", where, "a SubjectPublicKeyInfo") from error
    key = _of_public(public, where)
    # A point may be written compressed; everything else has one form, and a key that says
    # it is for PSS alone would lose that word here.
    if key.spki != der and not isinstance(public, EllipticCurvePublicKey):
        raise _refused(
            "not a plain SubjectPublicKeyInfo",
            where,
            "one DER form, rsaEncryption for RSA",
            "write it anew from its own program: `openssl pkey -pubin -pubout`",
        )
    return key


def _of_openssh(line: bytes, where: str) -> StrangerKey:
    try:
        public = load_ssh_public_key(line)
    except (ValueError, NotImplementedError, UnsupportedAlgorithm) as error:
        raise _refused("not an OpenSSH public key", where, "`TYPE BASE64 COMMENT`") from error
    return _of_public(public, where)


def _of_public(public: object, where: str) -> StrangerKey:
    if isinstance(public, Ed25519PublicKey):
        return _of_ed25519(public.public_bytes_raw(), where)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return StrangerKey(_spki(public), ("ecdsa-sha2-nistp256",), public)
    if isinstance(public, RSAPublicKey):
        _check_rsa(public, where)
        return StrangerKey(_spki(public), _RSA_SCHEMES, public)
    raise _refused("not a kind of key that is accepted", where, "Ed25519, ECDSA P-256 or RSA")


def _of_ed25519(raw: bytes, where: str) -> StrangerKey:
    try:
        key = parse_ed25519(raw, where)
    except InputError as error:
        raise _refused(error.what, where, error.expected) from error
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    return StrangerKey(_spki(public), ("ed25519",), public)


def _check_rsa(public: RSAPublicKey, where: str) -> None:
    numbers = public.public_numbers()
    if not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        raise _refused(
            f"RSA of {public.key_size} bits", where, f"{MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
        )
    if numbers.e not in _EXPONENTS or not numbers.n % 2:
        raise _refused(
            "RSA with an unsafe modulus or exponent", where, "an odd modulus, exponent 65537"
        )


def _spki(public: Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refused(what: str, where: str, expected: str, hint: str = "") -> InputError:
    return InputError(
        what,
        where=shorten(where, 400),
        expected=expected,
        hint=hint or "ask the key's holder for a public key in one of the accepted forms",
    )
