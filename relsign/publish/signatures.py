"""The signatures stock tools check, beside `SHA256SUMS`, and the keys they need for it.

They add no vote, so what matters is that none of them is false: each is verified
against the root's signers and release key, and one that does not hold is named and left
out.  Which files there are is `relsign.crypto.stock`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from relsign.crypto import signify, sshsig
from relsign.crypto.keys import (
    Ed25519Public,
    GroupPublic,
    OpenPGPPublic,
    Party,
    ed25519_spki,
    spki_pem,
)
from relsign.crypto.minisign import public_key_text
from relsign.crypto.openpgp import armor_signatures
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.stock import EXTRA, GPG, PEOPLE_GPG, StockFile, release_key, stock_files
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder

MAX_SIGNATURE_BYTES = 1 << 20
ALLOWED_SIGNERS = "allowed_signers"
"""What ssh-keygen looks up who may sign in; the release key's name is the identity."""


@dataclass(frozen=True, slots=True)
class StockSignatures:
    """Signature files to publish by name, and a line for each that is left out or missing."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def add_stock_signatures(
    candidate: Candidate, release: ReleaseFolder, signers: tuple[Party, ...], now: datetime
) -> Candidate:
    """Return the candidate with the stock signatures its signers and release key made.

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
    """Return the stock signature files as far as signers and the release key made them.

    OpenPGP signatures for one file go into it one by one; of every other format, which
    holds one signature, the first good one in the root's order is taken.  `signed` names
    those whose stock signatures are expected.
    """
    found: dict[str, list[bytes]] = {}
    notes: list[str] = []
    for file in stock_files(signers):
        try:
            data = read_bounded(release.signatures / file.name, MAX_SIGNATURE_BYTES)
            signature = file.checked(data, manifest, now)
        except NotEnoughError:
            if _is_expected(file, signed):
                notes.append(
                    f"signatures/{file.name}: not there; {file.party.name} signed without it"
                )
        except (InputError, VerificationError) as error:
            notes.append(f"signatures/{file.name}: left out: {error.what}")
        else:
            found.setdefault(file.published, []).append(signature)
    return StockSignatures(
        {name: _joined(name, several) for name, several in found.items()}, tuple(notes)
    )


def _is_expected(file: StockFile, signed: set[str]) -> bool:
    return file.party.name in signed and file.published not in EXTRA


def _joined(name: str, several: list[bytes]) -> bytes:
    return armor_signatures(several) if name in {GPG, PEOPLE_GPG} else several[0]


def public_key_files(parties: tuple[Party, ...]) -> dict[str, bytes]:
    """Return the public keys stock tools need, by file name.

    OpenPGP certificates for gpg, minisign keys, PEM (SubjectPublicKeyInfo, RFC 8410) for
    in-toto-verify and openssl, and of the release key also what signify and ssh-keygen read.
    """
    files: dict[str, bytes] = {}
    for party in parties:
        files |= dict(_key_files(party))
    held = release_key(parties)
    if held is not None:
        files |= dict(_release_key_files(*held))
    return files


def _key_files(party: Party) -> Iterable[tuple[str, bytes]]:
    name, key = party.name, party.key
    if isinstance(key, OpenPGPPublic):
        yield f"{name}.asc", armor(key.data, "PUBLIC KEY BLOCK")
        return
    if not isinstance(key, Ed25519Public):
        yield f"{name}.pem", spki_pem(key.spki)
        return
    yield f"{name}.pem", ed25519_pem(key.raw)
    if {"signer", "release"} & set(party.roles):
        yield f"{name}.minisign.pub", public_key_text(key.raw)
    if isinstance(key, GroupPublic) and key.certificate is not None:
        yield f"{name}.asc", armor(key.certificate, "PUBLIC KEY BLOCK")


def _release_key_files(party: Party, key: Ed25519Public) -> Iterable[tuple[str, bytes]]:
    yield f"{party.name}.signify.pub", signify.public_key_file(key.raw, party.name)
    yield f"{party.name}.ssh.pub", sshsig.public_key_line(key.raw, party.name)
    yield ALLOWED_SIGNERS, sshsig.allowed_signers_line(key.raw, party.name)


def ed25519_pem(raw: bytes) -> bytes:
    """Return a raw key as PEM SubjectPublicKeyInfo (RFC 8410, section 4)."""
    return spki_pem(ed25519_spki(raw))
