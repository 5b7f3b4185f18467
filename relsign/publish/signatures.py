"""The signatures stock tools check: `SHA256SUMS.asc` and `SHA256SUMS.minisig`.

They add no vote, so what matters is that none of them is false: each is verified
against the root's signers before it is published.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from relsign.crypto.keys import Ed25519Public, OpenPGPPublic, Party
from relsign.crypto.minisign import public_key_text, verify_file
from relsign.crypto.openpgp import armor_signatures, split_signatures, verify_detached
from relsign.crypto.openpgp_armor import armor
from relsign.errors import NotEnoughError
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder

MAX_SIGNATURE_BYTES = 1 << 20


def add_stock_signatures(
    candidate: Candidate, release: ReleaseFolder, signers: tuple[Party, ...], now: datetime
) -> Candidate:
    """Return the candidate with the stock signatures its signers made.

    Raises as `stock_signatures` does.
    """
    manifest = candidate.files["SHA256SUMS"]
    added = stock_signatures(release, signers, manifest, now)
    return replace(candidate, files={**candidate.files, **added})


def stock_signatures(
    release: ReleaseFolder, signers: tuple[Party, ...], manifest: bytes, now: datetime
) -> dict[str, bytes]:
    """Return `SHA256SUMS.asc` and `.minisig` as far as signers made them.

    All OpenPGP signatures go into one file; of minisign's, whose format holds one,
    the first signer's in the root's order is taken.  Raises VerificationError for
    a signature that does not hold.
    """
    detached: list[bytes] = []
    files: dict[str, bytes] = {}
    for party in signers:
        if isinstance(party.key, OpenPGPPublic):
            detached += _openpgp(release, party.name, party.key, manifest, now)
        else:
            files |= _minisign(release, party.name, party.key, manifest, files)
    if detached:
        files["SHA256SUMS.asc"] = armor_signatures(detached)
    return files


def _openpgp(
    release: ReleaseFolder, name: str, key: OpenPGPPublic, manifest: bytes, now: datetime
) -> list[bytes]:
    data = _read(release, f"{name}.asc")
    if data is None:
        return []
    signatures = split_signatures(data, f"signatures/{name}.asc")
    for signature in signatures:
        verify_detached(key.certificate, signature, manifest, now)
    return list(signatures)


def _minisign(
    release: ReleaseFolder,
    name: str,
    key: Ed25519Public,
    manifest: bytes,
    files: Mapping[str, bytes],
) -> dict[str, bytes]:
    data = _read(release, f"{name}.minisig")
    if data is None or "SHA256SUMS.minisig" in files:
        return {}
    digest = hashlib.blake2b(manifest).digest()
    verify_file(key.raw, data, digest, f"signatures/{name}.minisig")
    return {"SHA256SUMS.minisig": data}


def _read(release: ReleaseFolder, name: str) -> bytes | None:
    try:
        return read_bounded(release.signatures / name, MAX_SIGNATURE_BYTES)
    except NotEnoughError:
        return None


def public_key_files(parties: tuple[Party, ...]) -> dict[str, bytes]:
    """Return the public keys stock tools need, by file name.

    OpenPGP certificates for gpg, minisign keys, and PEM (SubjectPublicKeyInfo,
    RFC 8410) for in-toto-verify and openssl.
    """
    files: dict[str, bytes] = {}
    for party in parties:
        if isinstance(party.key, OpenPGPPublic):
            certificate = armor(party.key.data, "PUBLIC KEY BLOCK")
            files[f"{party.name}.asc"] = certificate
        else:
            files[f"{party.name}.pem"] = ed25519_pem(party.key.raw)
            if "signer" in party.roles:
                files[f"{party.name}.minisign.pub"] = public_key_text(party.key.raw)
    return files


def ed25519_pem(raw: bytes) -> bytes:
    """Return a raw key as PEM SubjectPublicKeyInfo (RFC 8410, section 4)."""
    body = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode()
