"""The revocation of an OpenPGP key: made with the key, kept for the day it is needed.

    a group's     sealed in the vault of each participant; one of them is enough to use it
    a person's    where gpg left it: openpgp-revocs.d/FINGERPRINT.rev in the key's home

It does nothing until gpg imports it, and cannot be taken back then.  Programs that read
OpenPGP heed it.  relsign's own verifiers heed the trust root alone.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.openpgp import parse_certificate
from relsign.crypto.openpgp_armor import dearmor
from relsign.crypto.openpgp_make import revocation_text, revoked
from relsign.errors import InputError, NotEnoughError
from relsign.formats.charter import Group
from relsign.formats.roster import OpenPGPKey
from relsign.sign.groups.attendance import revocation_name
from relsign.sign.groups.shares import Belongings
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.keys.opening import GNUPG_FOLDER
from relsign.sign.keys.uri import GnupgUri
from relsign.system.files import new_file, read_bounded

MAX_REVOCATION_BYTES = 1 << 16
PRIVATE = 0o600
"""Of the file: whoever has it can end the key."""
_BLOCK = "PUBLIC KEY BLOCK"
_GUARD = b":-----BEGIN PGP"
"""gpg puts a colon before the block, so that nobody imports it by mistake."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revocation that was seen to end the key it is for."""

    text: bytes
    """Armoured, for ``gpg --import``."""
    fingerprint: str
    user_ids: tuple[str, ...]
    kept: str
    """Where it was kept."""


def group_revocation(
    mine: Belongings, group: Group, certificate: bytes | None, passphrase: bytes
) -> Revocation:
    """Return the revocation of a group's OpenPGP key from a participant's vault.

    Raises InputError where the vault has none, for a wrong passphrase, or where the
    group's certificate is missing or revoked; VerificationError for one of another key.
    """
    name, where = revocation_name(group.key), os.fspath(mine.vault.folder)
    if certificate is None:
        raise InputError(
            "the group's certificate is not there",
            where=f"keys/groups/{group.name}/certificate.pgp",
            hint="take it from another participant: a revocation is checked against it",
        )
    if name not in mine.vault.names():
        raise InputError(
            f"{mine.person} keeps no revocation of {group.name} on this machine",
            where=where,
            expected=name,
            hint="every participant of its first ceremony keeps one: ask another",
        )
    packet = mine.vault.load(name, passphrase)
    return _checked(certificate, packet, f"{where}{os.sep}{name}")


def own_revocation(store: KeyStore, name: str) -> Revocation:
    """Return the revocation that gpg made with a person's OpenPGP key.

    Raises InputError for a key of another kind, or where gpg's file is gone or damaged;
    VerificationError for one of another key.
    """
    member = store.member(name)
    if not isinstance(member.key, OpenPGPKey):
        raise InputError(
            "no OpenPGP key",
            where=name,
            hint=f"owners revoke it in the trust root: `relsign root remove {name} --revoke`",
        )
    certificate = base64.b64decode(member.key.certificate)
    uri = store.uri(name)
    home = Path(uri.home) if isinstance(uri, GnupgUri) and uri.home else None
    folder = home or store.folder / name / GNUPG_FOLDER
    fingerprint = parse_certificate(certificate, name).fingerprint
    path = folder / "openpgp-revocs.d" / f"{fingerprint}.rev"
    try:
        data = read_bounded(path, MAX_REVOCATION_BYTES)
    except NotEnoughError as error:
        raise InputError(
            "gpg's revocation certificate is not there",
            where=os.fspath(path),
            hint="with the secret key at hand gpg makes another: `gpg --gen-revoke`",
        ) from error
    _, guard, block = data.rpartition(_GUARD)
    text = guard[1:] + block if guard else data
    return _checked(certificate, dearmor(text, _BLOCK, os.fspath(path)), os.fspath(path))


def write_revocation(path: Path, revocation: Revocation) -> None:
    """Write a revocation for its owner alone; raise InputError for a file that is another."""
    try:
        present = read_bounded(path, MAX_REVOCATION_BYTES)
    except NotEnoughError:
        with new_file(path, PRIVATE) as stream:
            stream.write(revocation.text)
        return
    if present != revocation.text:
        raise InputError(
            "there is another file of that name",
            where=os.fspath(path),
            hint="name another file with --to",
        )


def _checked(certificate: bytes, packet: bytes, kept: str) -> Revocation:
    revoked(certificate, packet)
    parsed = parse_certificate(certificate, kept)
    return Revocation(revocation_text(packet), parsed.fingerprint, parsed.user_ids, kept)
