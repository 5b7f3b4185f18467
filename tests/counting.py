"""People who are counted: zoe with an OpenPGP certificate, and roots with more members."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.manifest import encode_manifest
from relsign.formats.root import Root
from relsign.formats.roster import Member, OpenPGPKey
from relsign.verify.root import TrustedRoot, open_root
from tests.crypto.openpgp_maker import (
    DAY,
    USER_ID,
    binding,
    certification,
    ed25519,
    lasts,
    packet,
    revocation,
)
from tests.verify.releases import (
    Release,
    make_root,
    root_of,
    sign_by,
    signed_root,
)

PRIMARY, SUB_ONE, SUB_TWO = ed25519(1), ed25519(2), ed25519(3)
STRANGER = ed25519(4)
MANIFEST = encode_manifest(Release().statement().digests())


def certificate(*parts: bytes, one: bytes = b"", two: bytes = b"", primary: bytes = b"") -> bytes:
    """Return zoe's: a primary key that certifies, and two subkeys that sign."""
    return (
        packet(6, PRIMARY.body)
        + b"".join(parts)
        + packet(13, USER_ID)
        + certification(PRIMARY, *([primary] if primary else []), flag_byte=0x01)
        + packet(14, SUB_ONE.body)
        + binding(PRIMARY, SUB_ONE, *([one] if one else []))
        + packet(14, SUB_TWO.body)
        + binding(PRIMARY, SUB_TWO, *([two] if two else []))
    )


ZOE = certificate()
REVOKED = certificate(revocation(0x20, PRIMARY, PRIMARY.hashed))
SHORT = lasts(15 * DAY)
"""Ends after the signatures were made and before anybody asks."""


def zoe(data: bytes) -> Member:
    key = OpenPGPKey(certificate=base64.b64encode(data).decode())
    return Member(name="zoe", operator="zoe", organisation="acme", roles=("signer",), key=key)


def root_with(*more: Member) -> Root:
    policy = make_root().policy
    members = tuple(sorted((*policy.members, *more), key=lambda each: each.name))
    return root_of(msgspec.structs.replace(policy, members=members))


def trusted(*more: Member) -> TrustedRoot:
    return open_root(signed_root(root_with(*more)))


def label(root: TrustedRoot, name: str) -> str:
    return next(party.keyid for party in root.parties if party.name == name)


def envelope(payload: bytes, signatures: Sequence[Signature]) -> bytes:
    return Envelope(
        payload=payload, payload_type=INTOTO_PAYLOAD, signatures=tuple(signatures)
    ).to_bytes()


def ours(root: TrustedRoot, payload: bytes, *names: str) -> list[Signature]:
    """Return people's own signatures, labelled as theirs."""
    message = pae(INTOTO_PAYLOAD, payload)
    return [Signature(keyid=label(root, name), sig=sign_by(name, message)) for name in names]
