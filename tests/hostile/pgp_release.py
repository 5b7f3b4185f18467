"""A good release that one of the signers signed with an OpenPGP key."""

from __future__ import annotations

import base64

from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.roster import Member, OpenPGPKey
from tests.crypto.openpgp_cases import PRIMARY
from tests.crypto.openpgp_maker import detached, simple
from tests.verify.releases import Release, make_root, signature_by


def petra() -> Member:
    """Return a signer with an OpenPGP key."""
    certificate = base64.b64encode(simple(PRIMARY)).decode()
    return Member(
        name="petra",
        operator="petra",
        organisation="acme",
        roles=("signer",),
        key=OpenPGPKey(certificate=certificate),
    )


def pgp_release() -> Release:
    """Return a release that needs petra's signature to be verified."""
    members = tuple(sorted((*make_root().members, petra()), key=lambda member: member.name))
    payload = Release().statement().to_bytes()
    signatures = (
        signature_by("sam", payload),
        Signature(
            keyid=PRIMARY.fingerprint.lower(), sig=detached(PRIMARY, pae(INTOTO_PAYLOAD, payload))
        ),
    )
    envelope = Envelope(payload=payload, payload_type=INTOTO_PAYLOAD, signatures=signatures)
    return Release(
        root=make_root(members=members),
        change_files=lambda files: {**files, STATEMENT_FILE: envelope.to_bytes()},
    )
