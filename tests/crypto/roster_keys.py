"""Members with keys of the other kinds: ECDSA, RSA in both schemes, OpenPGP, groups."""

from __future__ import annotations

import base64
from functools import cache

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relsign.formats.roster import (
    EcdsaKey,
    Ed25519Key,
    FrostKey,
    Member,
    OpenPGPKey,
    Role,
    RsaKey,
    RsaScheme,
)
from tests.crypto.openpgp_maker import Key, simple
from tests.crypto.stranger_keys import private
from tests.verify.releases import group_member, secret

AnyKey = Ed25519Key | EcdsaKey | RsaKey | OpenPGPKey | FrostKey


def spki_of(key: PrivateKeyTypes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a private key."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def ecdsa_key() -> EllipticCurvePrivateKey:
    key = private("ec1")
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


@cache
def rsa_key() -> RSAPrivateKey:
    key = private("rsa1")
    assert isinstance(key, RSAPrivateKey)
    return key


def person(name: str, key: AnyKey, *roles: Role) -> Member:
    """Return a member of the organisation birch; a signer where no role is named."""
    return Member(
        name=name, operator=name, organisation="birch", roles=roles or ("signer",), key=key
    )


def ecdsa_member(name: str = "edda", *roles: Role) -> Member:
    return person(name, EcdsaKey(public=b64(spki_of(ecdsa_key()))), *roles)


def rsa_member(name: str = "rita", *roles: Role, scheme: RsaScheme = "rsassa-pss-sha256") -> Member:
    return person(name, RsaKey(public=b64(spki_of(rsa_key())), scheme=scheme), *roles)


def openpgp_member(key: Key, name: str = "petra", *roles: Role) -> Member:
    return person(name, OpenPGPKey(certificate=b64(simple(key))), *roles)


def sign_ecdsa(message: bytes, kind: HashAlgorithm | None = None) -> bytes:
    return ecdsa_key().sign(message, ECDSA(kind or SHA256()))


def sign_pss(message: bytes, salt: int = 32) -> bytes:
    return rsa_key().sign(message, PSS(mgf=MGF1(SHA256()), salt_length=salt), SHA256())


def sign_pkcs1(message: bytes, kind: HashAlgorithm | None = None) -> bytes:
    return rsa_key().sign(message, PKCS1v15(), kind or SHA512())


def openpgp_key(name: str) -> Key:
    """Return a person's or group's private key (`secret`) as an OpenPGP one."""
    return Key(Ed25519PrivateKey.from_private_bytes(bytes(secret(name))))


def certified(certificate: bytes, name: str = "team") -> Member:
    """Return a group with a certificate, whatever that says."""
    group = group_member(name)
    key = group.key
    assert isinstance(key, FrostKey)
    return msgspec.structs.replace(
        group, key=msgspec.structs.replace(key, certificate=b64(certificate))
    )
