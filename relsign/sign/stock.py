"""Signatures over SHA256SUMS in the form that gpg and minisign read.

They add no vote.  `signatures/NAME.asc` is an OpenPGP signer's, `NAME.minisig` an
Ed25519 signer's.  An ECDSA or RSA signer leaves none: no tool that people check
downloads with reads one.
"""

from __future__ import annotations

import hashlib

from relsign.crypto.keys import Ed25519Public, OpenPGPPublic, Party
from relsign.crypto.minisign import signature_file
from relsign.crypto.openpgp import armor_signatures
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError
from relsign.formats.manifest import encode_manifest
from relsign.formats.statement import Statement


def has_stock_form(party: Party) -> bool:
    """Say whether a stock tool reads signatures of this kind of key."""
    return isinstance(party.key, OpenPGPPublic | Ed25519Public)


def stock_file_name(party: Party) -> str:
    """Return the name of a signer's file in `signatures/`."""
    return f"{party.name}.{'asc' if isinstance(party.key, OpenPGPPublic) else 'minisig'}"


def make_stock_signature(party: Party, sign: Sign, statement: Statement) -> bytes:
    """Return a signer's signature over the SHA256SUMS of a statement.

    Raises InputError for a key without such a form.
    """
    manifest = encode_manifest(statement.digests())
    if isinstance(party.key, OpenPGPPublic):
        return armor_signatures([sign(manifest)])
    predicate = statement.predicate
    comment = f"{predicate.project} {predicate.version} SHA256SUMS"
    return signature_file(sign, _raw(party), hashlib.blake2b(manifest).digest(), comment)


def _raw(party: Party) -> bytes:
    if not isinstance(party.key, Ed25519Public):
        raise InputError("no stock tool reads signatures of this kind of key", where=party.name)
    return party.key.raw
