"""What all TUF metadata of ours has in common: the signatures around ``signed``."""

from __future__ import annotations

from typing import Annotated

from relsign.formats.canonical import Document
from relsign.formats.names import HexDigest, refuse_repeats, shaped


class TufSignature(Document, frozen=True, kw_only=True):
    """An Ed25519 signature over the canonical bytes of ``signed`` (TUF specification 4.2)."""

    keyid: HexDigest
    sig: Annotated[str, shaped("128 digits of 0-9 a-f", r"[0-9a-f]{128}")]


def refuse_disorder(signatures: tuple[TufSignature, ...]) -> None:
    """Raise ValueError for signatures that are not sorted by keyid, or two under one."""
    keyids = [signature.keyid for signature in signatures]
    refuse_repeats("signature's keyid", keyids)
    if keyids != sorted(keyids):
        raise ValueError("signatures are not sorted by keyid")
