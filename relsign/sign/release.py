"""Sign a release: the owners its layout, the signers its statement.

Requests are typed.  A signer never signs given bytes: everything is made again
from the documents on its own disk, compared with what others proposed, shown,
and only then signed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import OpenPGPPublic, Party
from relsign.crypto.minisign import signature_file
from relsign.crypto.openpgp import armor_signatures
from relsign.crypto.signatures import verify_by, verify_envelope
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE, parse_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, parse_envelope
from relsign.formats.manifest import encode_manifest
from relsign.formats.roster import Role
from relsign.formats.statement import (
    PreviousRelease,
    ReleasePredicate,
    Statement,
    parse_statement,
)
from relsign.sign.links import Sign, seal
from relsign.sign.statement import AgreedBuild, agreed_build, make_statement, require_same
from relsign.system.clock import now_utc
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import ReleaseFolder
from relsign.verify.layout import TrustedLayout, check_layout
from relsign.verify.release import CLOCK_SKEW
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What a signer is asked to sign, all of it derived on its own machine."""

    statement: Statement
    build: AgreedBuild
    layout: TrustedLayout
    sizes: dict[str, int]
    signed_by: tuple[str, ...]
    """Labels of the signatures already there."""


def party_named(root: TrustedRoot, name: str, role: Role) -> Party:
    """Return a party of the root; raise InputError if it is unknown or lacks the role."""
    for party in root.parties:
        if party.name == name and role in party.roles:
            return party
    names = ", ".join(party.name for party in root.having(role))
    raise InputError(
        f"no {role} of that name in the trust root",
        got=name,
        expected=names,
        hint="add the key with `relsign key add` and run `relsign policy compile`",
    )


def prepare_request(
    release: ReleaseFolder,
    root: TrustedRoot,
    previous: PreviousRelease | None,
    now: datetime,
) -> SigningRequest:
    """Derive the statement of a release from this machine's documents.

    (1) the builders agree; (2) the owners signed the layout, for exactly these
    artifacts; (3) a statement that is there already says the same; (4) every
    artifact is on this disk with its digest.  Raises NotEnoughError or
    VerificationError, and signs nothing.
    """
    evidence = {folder.name: release.evidence_of(folder) for folder in release.build_folders()}
    build = agreed_build(root, release.project, release.version, evidence, now)  # (1)
    layout_data = _layout_bytes(release)
    layout_payload = parse_envelope(layout_data, LAYOUT_FILE).payload
    existing = read_statement(release)
    released_at = now
    if existing is not None:
        proposed = _proposed(existing, root, previous, now)
        released_at, previous = proposed.released_at, proposed.previous
    statement = make_statement(
        release.project, release.version, build, layout_payload, previous, released_at
    )
    layout = check_layout(  # (2)
        root, layout_data, statement.predicate, now, tuple(build.artifacts)
    )
    if existing is not None:
        require_same(statement, existing.payload)  # (3)
    return SigningRequest(
        statement=statement,
        build=build,
        layout=layout,
        sizes={  # (4)
            name: release.find_artifact(name, digest)[1].size
            for name, digest in build.artifacts.items()
        },
        signed_by=tuple(s.keyid for s in existing.signatures) if existing else (),
    )


def _proposed(
    existing: Envelope, root: TrustedRoot, previous: PreviousRelease | None, now: datetime
) -> ReleasePredicate:
    """Return what an earlier signer chose: the release's time and its predecessor.

    Raises VerificationError unless a signer of the root signed it, the time is not
    ahead of this machine's, and the predecessor is the one given here, if one is.
    """
    hint = "ask who put it there; delete it to propose your own"
    if not verify_envelope(existing, root.having("signer"), now).valid:
        raise VerificationError("no signer signed it", where=STATEMENT_FILE, hint=hint)
    predicate = parse_statement(existing.payload, STATEMENT_FILE).predicate
    if predicate.released_at > now + CLOCK_SKEW:
        raise VerificationError(
            "is dated in the future",
            where=f"{STATEMENT_FILE}: predicate.released_at",
            got=predicate.released_at.isoformat(),
            hint=hint,
        )
    if previous is not None and predicate.previous != previous:
        raise VerificationError(
            "names another previous release than yours",
            where=f"{STATEMENT_FILE}: predicate.previous",
            expected=previous.version,
            got=predicate.previous.version if predicate.previous else "none",
            hint=hint,
        )
    return predicate


def sign_release(
    release: ReleaseFolder, request: SigningRequest, party: Party, sign: Sign
) -> tuple[Path, ...]:
    """Add `party`'s signatures to the release folder; return the files written.

    One over the statement, which counts, and one over SHA256SUMS in the form the
    key's stock tool reads.  Signing twice changes nothing.
    """
    envelope = seal(request.statement.to_bytes(), party, sign)
    # Asked only now: an OpenPGP signature made while a passphrase was typed bears a
    # later second than the command's start, and would seem to come from the future.
    now = now_utc()
    verify_by(party, envelope.signatures[0].sig, envelope.signed_bytes(), now)
    add_signature(release.statement_file, envelope, party, now)
    manifest = encode_manifest(request.statement.digests())
    make_folder(release.signatures)
    path = release.signatures / f"{party.name}.{_ending(party)}"
    write_whole(path, _stock_signature(party, sign, manifest, request.statement))
    return release.statement_file, path


def _ending(party: Party) -> str:
    return "asc" if isinstance(party.key, OpenPGPPublic) else "minisig"


def _stock_signature(party: Party, sign: Sign, manifest: bytes, statement: Statement) -> bytes:
    if isinstance(party.key, OpenPGPPublic):
        return armor_signatures([sign(manifest)])
    predicate = statement.predicate
    comment = f"{predicate.project} {predicate.version} SHA256SUMS"
    digest = hashlib.blake2b(manifest).digest()
    return signature_file(sign, party.key.raw, digest, comment)


def sign_layout(release: ReleaseFolder, party: Party, sign: Sign, now: datetime) -> None:
    """Add an owner's signature to the release's layout; raise InputError if there is none."""
    payload = parse_envelope(_layout_bytes(release), LAYOUT_FILE).payload
    add_signature(release.layout_file, seal(payload, party, sign), party, now)


def add_signature(path: Path, signed: Envelope, party: Party, now: datetime) -> bool:
    """Merge one party's signed envelope into the one on disk; say whether that changed it.

    A good signature the party made before is kept, so that signing twice changes
    nothing.  Raises InputError when the file holds another payload.
    """
    make_folder(path.parent)
    with FileLock(path.with_name(f".{path.name}.lock")):
        envelope = signed
        if path.exists():
            present = parse_envelope(read_bounded(path, MAX_BUNDLE_BYTES), path.name)
            if present.payload != signed.payload:
                raise InputError("holds another document now", where=os.fspath(path))
            if _has_good_signature(present, party, now):
                return False
            kept = tuple(s for s in present.signatures if s.keyid != party.keyid)
            envelope = Envelope(
                payload=present.payload, payload_type=INTOTO_PAYLOAD, signatures=kept
            ).with_signatures(signed.signatures)
        write_whole(path, envelope.to_bytes())
    return True


def _has_good_signature(envelope: Envelope, party: Party, now: datetime) -> bool:
    return any(_is_good(s, envelope, party, now) for s in envelope.signatures)


def _is_good(signature: Signature, envelope: Envelope, party: Party, now: datetime) -> bool:
    try:
        verify_by(party, signature.sig, envelope.signed_bytes(), now)
    except (InputError, VerificationError):
        return False
    return True


def read_statement(release: ReleaseFolder) -> Envelope | None:
    """Return the statement's envelope, or None when nobody signed yet."""
    try:
        data = read_bounded(release.statement_file, MAX_BUNDLE_BYTES)
    except NotEnoughError:
        return None
    return parse_envelope(data, STATEMENT_FILE)


def _layout_bytes(release: ReleaseFolder) -> bytes:
    try:
        return read_bounded(release.layout_file, MAX_BUNDLE_BYTES)
    except NotEnoughError as error:
        raise NotEnoughError(
            "there is no layout for this release yet",
            where=LAYOUT_FILE,
            hint="run `relsign policy compile`, then `relsign policy sign --as OWNER`",
        ) from error


def read_previous(bundle: Path | None) -> PreviousRelease | None:
    """Return the reference to the release a bundle holds; raise InputError if it holds none."""
    if bundle is None:
        return None
    data = read_bounded(bundle, MAX_BUNDLE_BYTES)
    files = parse_bundle(data, bundle.name).contents(bundle.name)
    if STATEMENT_FILE not in files:
        raise InputError("the bundle holds no release statement", where=os.fspath(bundle))
    payload = parse_envelope(files[STATEMENT_FILE], STATEMENT_FILE).payload
    return PreviousRelease(
        version=parse_statement(payload, STATEMENT_FILE).predicate.version,
        statement_sha256=sha256_hex(payload),
    )
