"""Keys of strangers, and envelopes that securesystemslib signs with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

from relsign.formats.envelope import INTOTO_PAYLOAD

FILE = b"the file that was built"
BUILDER = "https://example.org/builder/a"
BUILD_TYPE = "https://example.org/build/v1"
PARAMETERS = {"repository": "https://example.org/x.git", "ref": "v1.0", "jobs": 4, "debug": False}


@cache
def private(name: str) -> PrivateKeyTypes:
    """Return the key of that name: ``ed1``, ``ed2``, ``ec1``, ``rsa1`` ..., always the same."""
    kind, number = name[:-1], int(name[-1])
    if kind == "ed":
        return Ed25519PrivateKey.from_private_bytes(bytes([number + 40]) * 32)
    if kind == "ec":
        return derive_private_key(number + 1000, SECP256R1())
    return generate_private_key(65_537, 2048)


def pem(name: str) -> bytes:
    """Return a public key as PEM."""
    return private(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def openssh(name: str) -> bytes:
    """Return a public key as a line of OpenSSH."""
    line = private(name).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return line + b" somebody@example\n"


def signer(name: str, scheme: str | None = None) -> CryptoSigner:
    """Return securesystemslib's signer for a key."""
    key = private(name)
    return CryptoSigner(key, SSlibKey.from_crypto(key.public_key(), scheme=scheme))


def reference(payload: bytes, *signers: CryptoSigner, kind: str = INTOTO_PAYLOAD) -> bytes:
    """Return an envelope as securesystemslib writes it."""
    envelope = ReferenceEnvelope(payload, kind, {})
    for one in signers:
        envelope.sign(one)
    return json.dumps(envelope.to_dict()).encode()


def statement(
    digests: Mapping[str, str], predicate: object = None, kind: str = "urn:example:other"
) -> bytes:
    """Return an in-toto statement about files (name -> SHA-256)."""
    document: dict[str, object] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": n, "digest": {"sha256": d}} for n, d in digests.items()],
        "predicateType": kind,
    }
    if predicate is not None:
        document["predicate"] = predicate
    return json.dumps(document).encode()


def provenance(**changes: object) -> dict[str, object]:
    """Return a SLSA predicate; `changes` replace parts of its definition, or its ``builder``."""
    builder = changes.pop("builder", BUILDER)
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": PARAMETERS,
        "internalParameters": {"anything": [1, 2]},
        "resolvedDependencies": [
            {"uri": "git+https://example.org/x.git", "digest": {"gitCommit": "a" * 40}}
        ],
        **changes,
    }
    return {"buildDefinition": definition, "runDetails": {"builder": {"id": builder}}}


def b64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()
