"""Members' keys that are a SubjectPublicKeyInfo: ECDSA on P-256, and RSA.

Strict where strangers' keys (`relsign.crypto.spki`) are taken in several forms: one DER
form, one scheme per key, and an RSA modulus that is not of a kind known to be weak.
Loaded only for the rosters that have such a key.
"""

from __future__ import annotations

from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from relsign.crypto.keys import EcdsaPublic, RsaPublic
from relsign.crypto.rsa_weakness import find_weakness
from relsign.crypto.spki import StrangerKey, key_of_der
from relsign.errors import InputError, VerificationError
from relsign.formats.roster import RsaScheme


def parse_ecdsa(der: bytes, where: str) -> EcdsaPublic:
    """Return the P-256 key of a SubjectPublicKeyInfo (RFC 5480, 2), its point uncompressed.

    Raises InputError for any other form, curve or kind of key.
    """
    key = _only(der, "ecdsa-sha2-nistp256", where)
    return EcdsaPublic(key.spki)


def parse_rsa(der: bytes, scheme: RsaScheme, where: str) -> RsaPublic:
    """Return the RSA key of a SubjectPublicKeyInfo (RFC 3279, 2.3.1) for one scheme.

    Raises InputError for any other form or kind of key, a modulus of under 2048 or over
    8192 bits, an exponent that is even, below 65537 or above 32 bits, and for a modulus
    of a kind known to be weak.
    """
    key = _only(der, "rsassa-pss-sha256", where)
    public = cast("RSAPublicKey", load_der_public_key(key.spki))
    weakness = find_weakness(public.public_numbers().n)
    if weakness:
        raise InputError(
            f"an RSA key with {weakness}",
            where=where,
            hint="make a new key with another program or device, and enrol that",
        )
    return RsaPublic(key.spki, scheme)


def verify_spki(key: EcdsaPublic | RsaPublic, signature: bytes, message: bytes) -> None:
    """Check a signature by the key's own scheme; raise VerificationError if it is not good.

    ECDSA is DER over SHA-256 (RFC 5758, 3.2).  RSA is PSS with SHA-256 and a salt of any
    length (RFC 8017, 8.1) or PKCS #1 version 1.5 with SHA-512 (RFC 8017, 8.2), as the
    roster says, and never the other.
    """
    public = load_der_public_key(key.spki)
    try:
        if isinstance(key, EcdsaPublic):
            cast("EllipticCurvePublicKey", public).verify(signature, message, ECDSA(SHA256()))
        elif key.scheme == "rsassa-pss-sha256":
            padding = PSS(mgf=MGF1(SHA256()), salt_length=PSS.AUTO)
            cast("RSAPublicKey", public).verify(signature, message, padding, SHA256())
        else:
            cast("RSAPublicKey", public).verify(signature, message, PKCS1v15(), SHA512())
    except InvalidSignature as error:
        raise VerificationError("signature does not verify", got=key.keyid[:8]) from error


def _only(der: bytes, scheme: str, where: str) -> StrangerKey:
    key = key_of_der(der, where)
    if scheme not in key.schemes or key.spki != der:
        raise InputError(
            "not a public key of the kind the roster names",
            where=where,
            expected="ECDSA on P-256, uncompressed" if scheme.startswith("ecdsa") else "RSA",
            got=key.schemes[0],
            hint="enrol it anew with `relsign key add`",
        )
    return key
