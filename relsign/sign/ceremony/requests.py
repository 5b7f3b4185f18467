"""What a group can be asked to sign: typed requests, and nothing else.

Each participant makes the request from documents it has read and checked itself.  Two who
have different documents make different requests, and their messages never meet.  The
bytes that are signed follow from the request's kind; nobody can put bytes of a choice
there, which matters because one group key serves many formats: 64 chosen bytes would be
an OpenPGP signature over anything.

A release's request that cannot be carried out is refused when it is made, before anybody
commits to anything: an OpenPGP certificate that has expired, a text that a form refuses.

    release       the statement; SHA256SUMS for gpg, minisign, ssh-keygen, signify, openssl;
                  a git tag, where the recipe says of which commit the release is
    layout        an in-toto layout, where the group is an owner
    root          a version of the trust root, where the group is an owner
    certificate   the OpenPGP certificate, made or with a later end
    revocation    its revocation, kept by each participant for the day it is needed
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

from relsign.crypto import openpgp_make, signify, sshsig
from relsign.crypto.digest import sha256_hex
from relsign.crypto.git_tag import signed_tag
from relsign.crypto.minisign import signature_file
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.raw_signing import Sign
from relsign.formats.charter import Group
from relsign.formats.envelope import INTOTO_PAYLOAD, pae
from relsign.formats.manifest import encode_manifest
from relsign.formats.names import Digest
from relsign.formats.recipe import Recipe
from relsign.formats.root import Root
from relsign.formats.signing import RequestKind, SigningRequest
from relsign.formats.statement import Statement
from relsign.sign.ceremony.outputs import Output, plan
from relsign.sign.ceremony.session import Session
from relsign.sign.ceremony.tag import release_tag

NAMESPACE = "file"
"""Of sshsig: what ``ssh-keygen -Y verify -n file`` asks for."""
STATEMENT = "statement"
LAYOUT = "layout"
ROOT = "root"
CERTIFICATE = "certificate"
REVOCATION = "revocation"
REASON = "the release key is no longer to be used"


def release_session(
    group: Group, certificate: bytes | None, statement: Statement, recipe: Recipe
) -> Session:
    """Return the request for everything a release needs of its group.

    `certificate` is the group's OpenPGP certificate, binary; without one nothing is made
    for gpg, and no git tag.  `recipe` is the one the statement's layout names.  The
    outputs' names are those of the files in `signatures/`, but for the statement's 64 raw
    bytes.  Raises InputError for a certificate that cannot sign on the release's day.
    """
    raw = bytes.fromhex(group.key)
    predicate = statement.predicate
    manifest = encode_manifest(statement.digests())
    at = predicate.released_at
    comment = f"{predicate.project} {predicate.version} SHA256SUMS"
    outputs = [
        Output(STATEMENT, ("statement",), _plain(pae(INTOTO_PAYLOAD, statement.to_bytes()))),
        Output(
            f"{group.name}.minisig",
            ("minisign.1", "minisign.2"),
            lambda sign: signature_file(sign, raw, hashlib.blake2b(manifest).digest(), comment),
        ),
        Output(
            f"{group.name}.sig",
            ("sshsig",),
            lambda sign: sshsig.signature_file(raw, manifest, NAMESPACE, sign),
        ),
        Output(
            f"{group.name}.signify",
            ("raw",),
            lambda sign: signify.signature_file(raw, manifest, sign, comment),
        ),
        Output(f"{group.name}.ed25519", ("raw",), _plain(manifest)),
    ]
    if certificate is not None:
        outputs += _openpgp(group, certificate, manifest, at)
        payload = release_tag(group, certificate, recipe, statement).payload
        outputs += [_tag(group, certificate, payload, at)] if payload else []
    return _session(
        group,
        "release",
        statement.to_bytes(),
        at,
        tuple(outputs),
        manifest=manifest,
    )


def layout_session(group: Group, payload: bytes, expires: datetime) -> Session:
    """Return the request for an owner group's signature over a layout's payload."""
    output = Output(LAYOUT, ("layout",), _plain(pae(INTOTO_PAYLOAD, payload)))
    return _session(group, "layout", payload, expires, (output,))


def root_session(group: Group, root: Root) -> Session:
    """Return the request for an owner group's signature over a version of the root."""
    payload = root.to_bytes()
    output = Output(ROOT, ("root",), _plain(payload))
    return _session(group, "root", payload, root.expires, (output,))


def certificate_session(group: Group, expires: datetime) -> Session:
    """Return the request for the group's OpenPGP certificate, valid until `expires`."""
    raw = bytes.fromhex(group.key)
    output = Output(
        CERTIFICATE,
        ("certificate",),
        lambda sign: openpgp_make.certificate(raw, group.user_id, group.created, expires, sign),
    )
    return _session(group, "certificate", raw, expires, (output,))


def renewal_session(group: Group, certificate: bytes, at: datetime, expires: datetime) -> Session:
    """Return the request for a later end of the certificate: its fingerprint stays the same."""
    output = Output(
        CERTIFICATE,
        ("certificate",),
        lambda sign: openpgp_make.renewed(certificate, at, expires, sign),
    )
    subject = certificate + expires.isoformat().encode()
    return _session(group, "certificate", subject, at, (output,))


def revocation_session(group: Group) -> Session:
    """Return the request for a revocation of the group's OpenPGP key."""
    raw = bytes.fromhex(group.key)
    output = Output(
        REVOCATION,
        ("revocation",),
        lambda sign: openpgp_make.revocation(
            raw, group.created, group.created, openpgp_make.Reason.COMPROMISED, REASON, sign
        ),
    )
    return _session(group, "revocation", raw, group.created, (output,))


def _openpgp(group: Group, certificate: bytes, manifest: bytes, at: datetime) -> list[Output]:
    def detached(sign: Sign) -> bytes:
        packet = openpgp_make.detached(certificate, manifest, at, sign)
        return armor(packet, "SIGNATURE")

    def cleartext(sign: Sign) -> bytes:
        return openpgp_make.cleartext(certificate, manifest, at, sign)

    return [
        Output(f"{group.name}.asc", ("openpgp",), detached),
        Output(f"{group.name}.clear.asc", ("cleartext",), cleartext),
    ]


def _tag(group: Group, certificate: bytes, payload: bytes, at: datetime) -> Output:
    def tag(sign: Sign) -> bytes:
        packet = openpgp_make.detached(certificate, payload, at, sign)
        return signed_tag(payload, armor(packet, "SIGNATURE"))

    return Output(f"{group.name}.tag", ("tag",), tag)


def _plain(message: bytes) -> Callable[[Sign], bytes]:
    """Return a maker of the raw signature over `message`."""
    return lambda sign: sign(message)


def _session(
    group: Group,
    kind: RequestKind,
    subject: bytes,
    at: datetime,
    outputs: tuple[Output, ...],
    manifest: bytes | None = None,
) -> Session:
    slots = dict.fromkeys(slot for output in outputs for slot in output.slots)
    # A form that cannot be made is found out here, not after nonces were published for it.
    first = plan(outputs, {})
    request = SigningRequest(
        kind=kind,
        project=group.project,
        group=sha256_hex(group.to_bytes()),
        subject=sha256_hex(subject),
        manifest=None if manifest is None else sha256_hex(manifest),
        messages=messages_digest(first),
        at=at,
        namespace=NAMESPACE,
        slots=tuple(slots),
    )
    return Session(request, outputs, group)


def messages_digest(messages: Mapping[str, bytes]) -> Digest:
    """Return one digest of the bytes to be signed, by slot."""
    lines = [f"{slot} {sha256_hex(messages[slot])}\n" for slot in sorted(messages)]
    return sha256_hex("".join(lines).encode())
