"""Add signatures to a document on disk, one writer at a time.

What is written holds good signatures only, one of each party: whoever can write the
folder cannot fill the envelope with junk until no more fits.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_by
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import MAX_BUNDLE_BYTES
from relsign.formats.envelope import Envelope, Signature, parse_envelope
from relsign.sign.places import make_real_folder
from relsign.system.files import read_bounded, write_whole
from relsign.system.lock import hold

PATIENCE_SECONDS = 60.0
"""How long to wait for another process that is writing the same document."""


def add_signatures(
    path: Path,
    signed: Envelope,
    parties: tuple[Party, ...],
    now: datetime,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> tuple[str, ...]:
    """Merge the good signatures of `signed` into the envelope at `path`.

    Returns the names of the parties that were added.  Kept are signatures that one of
    `parties` made, each under its own keyid; a good one that is there stays, so that
    signing twice changes nothing.  Raises InputError when the file holds another
    payload, HostError when it cannot be written.
    """
    make_real_folder(path.parent)
    with _alone(path, patience_seconds):
        try:
            present = parse_envelope(read_bounded(path, MAX_BUNDLE_BYTES), path.name)
        except NotEnoughError:
            present = None
        if present is not None and present.payload != signed.payload:
            raise InputError(
                "holds another document now",
                where=os.fspath(path),
                hint="look at what changed before you sign it",
            )
        there = {} if present is None else good_signatures(present, parties, now)
        added = {
            name: signature
            for name, signature in good_signatures(signed, parties, now).items()
            if name not in there
        }
        if added:
            _write(path, signed, (*there.values(), *added.values()))
    return tuple(added)


def good_signatures(
    envelope: Envelope, parties: tuple[Party, ...], now: datetime
) -> dict[str, Signature]:
    """Return party name -> its first good signature, labelled with its own keyid."""
    found: dict[str, Signature] = {}
    message = envelope.signed_bytes()
    for party in parties:
        for signature in sorted(envelope.signatures, key=lambda s: s.keyid != party.keyid):
            if _is_good(signature.sig, message, party, now):
                found[party.name] = Signature(keyid=party.keyid, sig=signature.sig)
                break
    return found


def _is_good(signature: bytes, message: bytes, party: Party, now: datetime) -> bool:
    try:
        verify_by(party, signature, message, now)
    except (InputError, VerificationError):
        return False
    return True


def _write(path: Path, signed: Envelope, signatures: tuple[Signature, ...]) -> None:
    bare = Envelope(payload=signed.payload, payload_type=signed.payload_type, signatures=())
    data = bare.with_signatures(signatures).to_bytes()
    # More signatures than an envelope may hold are refused here and not at the next reading.
    parse_envelope(data, path.name)
    write_whole(path, data)


def _alone(path: Path, patience_seconds: float) -> AbstractContextManager[None]:
    lock_file = path.with_name(f".{path.name}.lock")
    return hold(lock_file, "somebody else is writing it", patience_seconds=patience_seconds)
