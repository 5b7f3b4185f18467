"""The signatures stock tools check: `SHA256SUMS.asc` and `SHA256SUMS.minisig`.

They add no vote, so what matters is that none of them is false: each is verified
against the root's signers, and one that does not hold is named and left out.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

from relsign.crypto.keys import OpenPGPPublic, Party
from relsign.crypto.minisign import public_key_text, verify_file
from relsign.crypto.openpgp import armor_signatures, split_signatures, verify_detached
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder

MAX_SIGNATURE_BYTES = 1 << 20
STOCK = ("SHA256SUMS.asc", "SHA256SUMS.minisig")


@dataclass(frozen=True, slots=True)
class StockSignatures:
    """Signature files to publish by name, and a line for each that is left out or missing."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def add_stock_signatures(
    candidate: Candidate, release: ReleaseFolder, signers: tuple[Party, ...], now: datetime
) -> Candidate:
    """Return the candidate with the stock signatures its signers made.

    Who signed the statement and left no stock signature is noted; that is no error.
    """
    manifest = candidate.files["SHA256SUMS"]
    envelope = parse_envelope(candidate.files[f"in-toto/{STATEMENT_FILE}"], STATEMENT_FILE)
    signed = {party.name for party in verify_envelope(envelope, signers, now).valid}
    found = stock_signatures(release, signers, signed, manifest, now)
    return replace(
        candidate,
        files={**candidate.files, **found.files},
        notes=candidate.notes + found.notes,
    )


def stock_signatures(
    release: ReleaseFolder,
    signers: tuple[Party, ...],
    signed: set[str],
    manifest: bytes,
    now: datetime,
) -> StockSignatures:
    """Return `SHA256SUMS.asc` and `.minisig` as far as signers made them.

    All OpenPGP signatures go into one file, one per signer; of minisign's, whose
    format holds one, the first good one in the root's order is taken.  `signed`
    names the signers whose stock signatures are expected.
    """
    detached: list[bytes] = []
    files: dict[str, bytes] = {}
    notes: list[str] = []
    for party in signers:
        name = f"{party.name}{'.asc' if isinstance(party.key, OpenPGPPublic) else '.minisig'}"
        try:
            data = read_bounded(release.signatures / name, MAX_SIGNATURE_BYTES)
            if isinstance(party.key, OpenPGPPublic):
                detached.append(_first_good(party.key, data, name, manifest, now))
            else:
                digest = hashlib.blake2b(manifest).digest()
                verify_file(party.key.raw, data, digest, f"signatures/{name}")
                files.setdefault("SHA256SUMS.minisig", data)
        except NotEnoughError:
            if party.name in signed:
                notes.append(f"signatures/{name}: not there; {party.name} signed without it")
        except (InputError, VerificationError) as error:
            notes.append(f"signatures/{name}: left out: {error.what}")
    if detached:
        files["SHA256SUMS.asc"] = armor_signatures(detached)
    return StockSignatures(files, tuple(notes))


def _first_good(
    key: OpenPGPPublic, data: bytes, name: str, manifest: bytes, now: datetime
) -> bytes:
    """Return the first signature in a file that holds; raise why the last one does not."""
    reason: InputError | VerificationError | None = None
    for signature in split_signatures(data, f"signatures/{name}"):
        try:
            verify_detached(key.certificate, signature, manifest, now)
        except (InputError, VerificationError) as error:
            reason = error
        else:
            return signature
    raise reason or InputError("no signature in it", where=f"signatures/{name}")


def made_by_a_signer(
    name: str, data: bytes, signers: tuple[Party, ...], manifest: bytes, now: datetime
) -> bool:
    """Say whether one of `signers` made a published stock signature file."""
    for party in signers:
        try:
            if isinstance(party.key, OpenPGPPublic) and name.endswith(".asc"):
                _first_good(party.key, data, name, manifest, now)
                return True
            if not isinstance(party.key, OpenPGPPublic) and name.endswith(".minisig"):
                verify_file(party.key.raw, data, hashlib.blake2b(manifest).digest(), name)
                return True
        except (InputError, VerificationError):
            continue
    return False


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
