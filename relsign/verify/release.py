"""Steps 2, 3 and 7: the statement, who signed it, and that it was not taken back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, parties_of
from relsign.crypto.signatures import SignatureReport, verify_envelope
from relsign.crypto.threshold import distinct_operators
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import STATEMENT_FILE, Bundle, parse_bundle
from relsign.formats.canonical import Value, shorten
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation
from relsign.formats.statement import Statement, parse_statement
from relsign.verify.root import TrustedRoot

_ROOT_NAME = re.compile(r"([1-9][0-9]{0,9})\.root\.json")

CLOCK_SKEW = timedelta(hours=24)
"""How far a release may lie in the future before its time is called false."""


class Signed(Value, frozen=True):
    """Who signed a statement."""

    signers: tuple[Party, ...]
    """One per operator."""
    release_key: Party | None = None
    """The release key, if the root has one and it signed too; it is none of the signers."""


class Evidence(Value, frozen=True):
    """An opened bundle: its files by name, none of them believed yet."""

    bundle: Bundle
    files: Mapping[str, bytes]
    envelope: Envelope
    statement: Statement

    @property
    def statement_digest(self) -> Digest:
        """SHA-256 of the statement's payload."""
        return sha256_hex(self.envelope.payload)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The versions of the root in the bundle, by number; none of them believed yet."""
        numbered = {name: _ROOT_NAME.fullmatch(name) for name in self.files}
        return tuple(
            self.files[name]
            for _number, name in sorted(
                (int(match[1]), name) for name, match in numbered.items() if match
            )
        )


def open_evidence(bundle: bytes | Bundle) -> Evidence:
    """Return a bundle's contents, parsed and not yet believed.

    Raises InputError for malformed bytes, NotEnoughError if it has no statement.
    """
    if isinstance(bundle, bytes):
        bundle = parse_bundle(bundle)
    files = bundle.files
    for name in files:
        if name.endswith(".root.json") and not _ROOT_NAME.fullmatch(name):
            raise InputError("not the name of a version of the root", where=name)
    if STATEMENT_FILE not in files:
        raise NotEnoughError("the bundle holds no release statement", where=STATEMENT_FILE)
    envelope = parse_envelope(files[STATEMENT_FILE], STATEMENT_FILE)
    return Evidence(bundle, files, envelope, parse_statement(envelope.payload, STATEMENT_FILE))


def verify_bytes(root: TrustedRoot, evidence: Evidence, artifacts: Mapping[str, str]) -> str:
    """Check the project, and that every file in hand is an artifact of the statement.

    `artifacts` maps names to SHA-256 as the caller hashed them.  Returns the row's
    words.  Raises VerificationError for another project or other bytes.
    """
    predicate = evidence.statement.predicate
    if predicate.project != root.root.project:
        raise VerificationError(
            "a release of another project",
            where=f"{STATEMENT_FILE}: predicate.project",
            expected=root.root.project,
            got=predicate.project,
            hint="the bundle and the pinned root belong to different projects",
        )
    named = (evidence.bundle.project, evidence.bundle.version)
    if named != (predicate.project, predicate.version):
        raise VerificationError(
            "bundle and statement name different releases", expected=predicate.version
        )
    if not artifacts:
        raise NotEnoughError("no file was given to verify")
    digests = evidence.statement.digests()
    for name, digest in artifacts.items():
        if name not in digests:
            raise VerificationError(
                f"no artifact of this release is called {shorten(name)}",
                expected=", ".join(list(digests)[:5]),
                hint="restore the name it was published under",
            )
        if digests[name] != digest:
            raise VerificationError(
                f"{name} is not the file that was released",
                expected=digests[name],
                got=digest,
                hint="do not use it; delete it and download it again",
            )
    if len(artifacts) == 1:
        return f"sha256 {next(iter(artifacts.values()))}"
    return f"{len(artifacts)} files have the released bytes"


def verify_signers(
    root: TrustedRoot,
    evidence: Evidence,
    at: datetime,
    threshold: int,
    *,
    as_made: bool = False,
) -> Signed:
    """Return who signed the statement: signers, one per operator, and the release key.

    OpenPGP keys must be valid `at` that time, or with `as_made` when they signed.  The
    release key of the root, if it has one, must have signed besides the signers, and never
    counts as one of them, unless the owners said it is optional.
    Raises NotEnoughError when too few signed, VerificationError when too few did and one
    of the signatures is false.
    """
    known = root.statement_signers
    report = verify_envelope(evidence.envelope, known, at, as_made=as_made)
    people = SignatureReport(parties_of(report.valid, "signer"), report.bad, report.unknown)
    notes = revoked_labels(root, evidence.envelope)
    signers = require(people, threshold, "signers", notes)
    said = parties_of(report.valid, "release")
    if not said:
        _forgo_release_key(root, evidence.envelope, at)
    return Signed(signers, said[0] if said else None)


def _forgo_release_key(root: TrustedRoot, envelope: Envelope, at: datetime) -> None:
    """Return if a statement may do without the release key, which has not signed it.

    Raises VerificationError if a signature with its label is false, else NotEnoughError.
    """
    holders = root.having("release")
    if not holders or root.root.policy.release_key == "optional":
        return
    false = verify_envelope(envelope, holders, at).bad
    if false:
        raise VerificationError(f"the release key: {false[0]}", hint="the document was altered")
    name = holders[0].name
    raise NotEnoughError(
        f"the release key {name} has not signed",
        hint=f"get the newest bundle; the people of {name} sign with `relsign sign`",
    )


def revoked_labels(root: TrustedRoot, envelope: Envelope) -> tuple[str, ...]:
    """Say which signatures bear the label of a key the owners revoked: a hint, no more."""
    labels = {signature.keyid for signature in envelope.signatures}
    return tuple(
        f"the key of {key.name} is revoked: {shorten(key.reason)}"
        + (f"; {key.replacement} took its place" if key.replacement else "")
        for key in root.root.policy.revoked_keys
        if key.keyid in labels
    )


def require(
    report: SignatureReport, threshold: int, people: str, notes: tuple[str, ...] = ()
) -> tuple[Party, ...]:
    """Return the distinct parties of `report` if they meet `threshold`.

    Raises VerificationError if they do not and a signature was false, and
    NotEnoughError if they do not and nothing contradicts.
    """
    valid = distinct_operators(report.valid)
    if len(valid) >= threshold:
        return valid
    count = f"{len(valid)} of the {threshold} {people} needed"
    if report.bad:
        raise VerificationError(f"{count}; {report.bad[0]}", hint="the document was altered")
    others = f"; {report.unknown} by keys not in the root" if report.unknown else ""
    noted = "".join(f"; {note}" for note in notes)
    raise NotEnoughError(f"{count}{others}{noted}", hint="wait for the missing signatures")


def verify_standing(root: TrustedRoot, evidence: Evidence, now: datetime) -> str:
    """Check that the release is not revoked, not from the future, not its own past.

    Raises VerificationError with the owners' reason, and what to use instead, where
    they took it back.
    """
    predicate = evidence.statement.predicate
    for revocation in root.root.policy.revoked:
        if revokes(revocation, predicate.version, evidence.statement_digest):
            instead = revocation.replacement
            raise VerificationError(
                f"revoked by the owners: {shorten(revocation.reason)}",
                hint=f"use {instead} instead" if instead else "do not use this release",
            )
    if predicate.released_at > now + CLOCK_SKEW:
        raise VerificationError(
            "released in the future",
            where=f"{STATEMENT_FILE}: predicate.released_at",
            got=predicate.released_at.isoformat(),
            hint="check this machine's clock",
        )
    if predicate.previous is not None and predicate.previous.version == predicate.version:
        raise VerificationError("a release that follows itself", got=predicate.version)
    after = predicate.previous.version if predicate.previous else "nothing: the first release"
    return f"{predicate.version} is not revoked; follows {after}"


def revokes(revocation: Revocation, version: str, statement_sha256: str) -> bool:
    """Say whether a revocation takes back a release."""
    return statement_sha256 == revocation.statement_sha256 or version == revocation.version
