"""Which signature files stock tools find beside a release, who makes each, and whether it holds.

    SHA256SUMS.asc         gpg; the release key's alone where it has a certificate, because
                           gpg fails on a file with signatures of keys it does not know
    SHA256SUMS.people.asc  the OpenPGP signers' own, where the file above is the release key's
    SHA256SUMS.clear.asc   gpg, gpgv: the text and its signature in one file
    SHA256SUMS.tag         git: a signed tag object of the release's commit
    SHA256SUMS.minisig     minisign; the release key's where there is one, else a signer's
    SHA256SUMS.sig         ssh-keygen, in the namespace "file"
    SHA256SUMS.signify     signify
    SHA256SUMS.ed25519     64 bytes, openssl

The last three, the text with its signature and the tag are the release key's only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto import minisign, signify, sshsig
from relsign.crypto.digest import sha256_hex
from relsign.crypto.git_tag import parse_signed_tag
from relsign.crypto.keys import Ed25519Public, GroupPublic, OpenPGPPublic, Party, parties_of
from relsign.crypto.openpgp import (
    Certificate,
    parse_certificate,
    split_signatures,
    verify_cleartext,
    verify_detached,
)
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.tag_message import parse_tag_message

GPG = "SHA256SUMS.asc"
PEOPLE_GPG = "SHA256SUMS.people.asc"
CLEAR = "SHA256SUMS.clear.asc"
TAG = "SHA256SUMS.tag"
MINISIGN = "SHA256SUMS.minisig"
SSH = "SHA256SUMS.sig"
SIGNIFY = "SHA256SUMS.signify"
RAW = "SHA256SUMS.ed25519"
STOCK = (GPG, PEOPLE_GPG, CLEAR, TAG, MINISIGN, SSH, SIGNIFY, RAW)
EXTRA = frozenset({CLEAR, TAG, SSH, SIGNIFY, RAW})
"""Not missed where they are not there: a release key in a file makes none of them."""

_Check = Callable[[Ed25519Public, bytes, bytes, str], None]
"""Raises unless a key made a file's signature over a manifest; the last is a place."""


@dataclass(frozen=True, slots=True)
class StockFile:
    """A file that a member may have left in `signatures/`, and where it is published."""

    party: Party
    name: str
    published: str

    def checked(self, data: bytes, manifest: bytes, now: datetime) -> bytes:
        """Return what of the file is published: one OpenPGP signature, or all of it.

        Raises InputError or VerificationError unless this party signed `manifest`.
        """
        where, key = f"signatures/{self.name}", self.party.key
        if isinstance(key, OpenPGPPublic):
            # A file with anything odd in it counts for nobody.
            if len(found := split_signatures(data, where)) != 1:
                raise InputError("not one signature", where=where, got=str(len(found)))
            return _first_good(key.certificate, data, where, manifest, now)
        if isinstance(key, GroupPublic) and key.certificate and self.published in _OF_GROUPS:
            certificate = parse_certificate(key.certificate, self.party.name)
            return _OF_GROUPS[self.published](certificate, data, where, manifest, now)
        if not isinstance(key, Ed25519Public):
            raise InputError("not a key that stock tools know", where=where)
        _CHECKS[self.published](key, data, manifest, where)
        return data


def release_key(parties: tuple[Party, ...]) -> tuple[Party, Ed25519Public] | None:
    """Return who holds the release key, and the key, if anybody does."""
    for party in parties_of(parties, "release"):
        if isinstance(party.key, Ed25519Public):
            return party, party.key
    return None


def stock_files(parties: tuple[Party, ...]) -> tuple[StockFile, ...]:
    """Return which files may be published, and whose each is: signers' and the release key's."""
    held = release_key(parties)
    certified = held is not None and isinstance(held[1], GroupPublic) and held[1].certificate
    files = list(_of_people(parties, PEOPLE_GPG if certified else GPG, minisign=held is None))
    if held is not None:
        name = held[0].name
        places = {"minisig": MINISIGN, "sig": SSH, "signify": SIGNIFY, "ed25519": RAW}
        if certified:
            places |= {"asc": GPG, "clear.asc": CLEAR, "tag": TAG}
        files += [StockFile(held[0], f"{name}.{end}", place) for end, place in places.items()]
    return tuple(files)


def left_by(parties: tuple[Party, ...]) -> tuple[StockFile, ...]:
    """Return every file that `parties` may have left, published or not.

    Beside a release key a person's minisign file is not: its format holds one signature.
    """
    published = stock_files(parties)
    names = {file.name for file in published}
    others = (file for file in _of_people(parties, GPG, minisign=True) if file.name not in names)
    return (*published, *others)


def place_of(
    name: str, data: bytes, parties: tuple[Party, ...], manifest: bytes, now: datetime
) -> str | None:
    """Return under which name a published signature file would be published by `parties`.

    None where none of them made it.  The name is another one where people's OpenPGP
    signatures were published before there was a release key.
    """
    kinds = {GPG, PEOPLE_GPG} if name in {GPG, PEOPLE_GPG} else {name}
    for file in stock_files(parties):
        if file.published not in kinds:
            continue
        try:
            _check_published(file, data, manifest, now)
        except (InputError, VerificationError):
            continue
        return file.published
    return None


def _of_people(parties: tuple[Party, ...], gpg: str, *, minisign: bool) -> Iterator[StockFile]:
    for party in parties_of(parties, "signer"):
        if isinstance(party.key, OpenPGPPublic):
            yield StockFile(party, f"{party.name}.asc", gpg)
        elif isinstance(party.key, Ed25519Public) and minisign:
            yield StockFile(party, f"{party.name}.minisig", MINISIGN)


def _check_published(file: StockFile, data: bytes, manifest: bytes, now: datetime) -> None:
    """Check a published file, in which one person's OpenPGP signature stands among others'."""
    if isinstance(file.party.key, OpenPGPPublic):
        _first_good(file.party.key.certificate, data, file.published, manifest, now)
    else:
        file.checked(data, manifest, now)


def _first_good(
    certificate: Certificate, data: bytes, where: str, manifest: bytes, now: datetime
) -> bytes:
    """Return the first signature in a file that holds; raise why the last one does not."""
    reason: InputError | VerificationError | None = None
    for signature in split_signatures(data, where):
        try:
            verify_detached(certificate, signature, manifest, now)
        except (InputError, VerificationError) as error:
            reason = error
        else:
            return signature
    raise reason or InputError("no signature in it", where=where)


def _clear(
    certificate: Certificate, data: bytes, where: str, manifest: bytes, now: datetime
) -> bytes:
    verify_cleartext(certificate, data, manifest, now, where)
    return data


def _tag(
    certificate: Certificate, data: bytes, where: str, manifest: bytes, now: datetime
) -> bytes:
    """Return a signed tag that names this manifest; which commit it names nobody checks here."""
    tag, payload, armoured = parse_signed_tag(data, where)
    (signature,) = split_signatures(armoured, where)
    verify_detached(certificate, signature, payload, now)
    named = parse_tag_message(tag.message, where).manifest_sha256
    if named != sha256_hex(manifest):
        raise VerificationError(
            "the tag is of other files", where=where, expected=sha256_hex(manifest), got=named
        )
    return data


def _minisign(key: Ed25519Public, data: bytes, manifest: bytes, where: str) -> None:
    minisign.verify_file(key.raw, data, hashlib.blake2b(manifest).digest(), where)


def _raw(key: Ed25519Public, data: bytes, manifest: bytes, _where: str) -> None:
    verify_ed25519(key, data, manifest)


def _ssh(key: Ed25519Public, data: bytes, manifest: bytes, where: str) -> None:
    sshsig.verify_file(key.raw, data, manifest, sshsig.FILE_NAMESPACE, where)


def _signify(key: Ed25519Public, data: bytes, manifest: bytes, where: str) -> None:
    signify.verify_file(key.raw, data, manifest, where)


_CHECKS: dict[str, _Check] = {MINISIGN: _minisign, SSH: _ssh, SIGNIFY: _signify, RAW: _raw}
_OF_GROUPS = {GPG: _first_good, CLEAR: _clear, TAG: _tag}
"""The forms of a certificate whose key a group shares."""
