"""Sign a release: the owners its layout, the signers its statement.

Requests are typed.  A signer never signs given bytes: everything is made again
from the documents on its own disk, compared with what others proposed, shown,
and only then signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from relsign.crypto.keys import Party
from relsign.crypto.raw_signing import Sign
from relsign.crypto.signatures import verify_by, verify_envelope
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.fingerprint import ProfileDigest
from relsign.formats.roster import Role
from relsign.formats.statement import (
    PreviousRelease,
    ReleasePredicate,
    Statement,
    parse_statement,
)
from relsign.sign.evidence.checks import require_own_checks
from relsign.sign.evidence.links import seal
from relsign.sign.evidence.materials import require_own_materials
from relsign.sign.merge import add_signatures
from relsign.sign.places import check_release_folder, make_real_folder
from relsign.sign.review.others import require_followed
from relsign.sign.review.preview import require_verifiable
from relsign.sign.statement import (
    AgreedBuild,
    Succession,
    agreed_build,
    make_statement,
    require_same,
    silent_builders,
)
from relsign.sign.stock import has_stock_form, make_stock_signature, stock_file_name
from relsign.system.clock import now_utc
from relsign.system.files import read_bounded, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.layout import TrustedLayout, check_layout
from relsign.verify.release import CLOCK_SKEW
from relsign.verify.root import TrustedRoot

OLDEST_PROPOSAL = timedelta(days=365)
"""How long others may take to sign what the first signer dated."""
ASK = "ask who put it there; delete it to propose your own"


@dataclass(frozen=True, slots=True)
class Previous:
    """The release before, as `sign.review.previous` verified it; only the reference is signed."""

    reference: PreviousRelease
    sequence: int
    released_at: datetime


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What a signer is asked to sign, all of it derived on its own machine."""

    statement: Statement
    build: AgreedBuild
    layout: TrustedLayout
    sizes: dict[str, int]
    signed_by: tuple[str, ...]
    """Labels of the signatures already there."""
    silent: tuple[str, ...]
    """Builders of the root who have not reported."""


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
        hint="add the card with `relsign root add CARD`, then owners run "
        "`relsign root sign --as NAME`",
    )


def prepare_request(
    workspace: Workspace,
    root: TrustedRoot,
    previous: Previous | None,
    profile: ProfileDigest,
    now: datetime,
) -> SigningRequest:
    """Derive the statement of a release from this machine's documents.

    (1) the builders agree; (2) the owners signed the layout, for exactly these
    artifacts; (3) a statement that is there already says the same; (4) recipe,
    sources, locks, profile and checks are the ones on this disk; (5) every artifact is, with
    its digest; (6) the verifier would accept it once it is signed.  Raises
    NotEnoughError or VerificationError, InputError for one that follows none and is not the
    first; signs nothing.
    """
    release = workspace.release()
    check_release_folder(release)
    evidence, _strange = release.all_evidence()
    recipe = workspace.recipe()
    build = agreed_build(  # (1)
        root, release.project, release.version, evidence, now, checked=bool(recipe.check)
    )
    layout_data = _layout_bytes(release)
    existing = read_statement(release)
    statement = make_statement(
        release.project,
        release.version,
        build,
        parse_envelope(layout_data, LAYOUT_FILE).payload,
        _chosen(existing, root, previous, now),
    )
    layout = check_layout(  # (2)
        root, layout_data, statement.predicate, now, tuple(build.artifacts)
    )
    if existing is not None:
        require_same(statement, existing.payload)  # (3)
    require_followed(workspace, root, statement.predicate, now)
    require_own_materials(workspace, profile, layout.recipe_sha256, build.fingerprints)  # (4)
    require_own_checks(workspace, layout.layout, build.checked_in)
    found = release.find_artifacts(build.artifacts)  # (5)
    require_verifiable(root, statement, layout_data, build.files, now)  # (6)
    return SigningRequest(
        statement=statement,
        build=build,
        layout=layout,
        sizes={name: hashed.size for name, (_path, hashed) in found.items()},
        signed_by=tuple(s.keyid for s in existing.signatures) if existing else (),
        silent=silent_builders(root, build.reports),
    )


def _chosen(
    existing: Envelope | None, root: TrustedRoot, previous: Previous | None, now: datetime
) -> Succession:
    """Return place and time: what an earlier signer chose, or else this one."""
    if existing is not None:
        proposed = _proposed(existing, root, previous, now)
        return Succession(proposed.sequence, proposed.previous, proposed.released_at)
    if previous is None:
        return Succession(1, None, now)
    _require_after(previous, now)
    return Succession(previous.sequence + 1, previous.reference, now)


def _proposed(
    existing: Envelope, root: TrustedRoot, previous: Previous | None, now: datetime
) -> ReleasePredicate:
    """Return what an earlier signer chose: the release's time and its predecessor.

    Raises VerificationError unless a signer of the root signed it, the time is not
    ahead of this machine's, long past or before the predecessor's, and the
    predecessor is the one given here, if one is.
    """
    if not verify_envelope(existing, root.statement_signers, now).valid:
        raise VerificationError("no signer signed it", where=STATEMENT_FILE, hint=ASK)
    predicate = parse_statement(existing.payload, STATEMENT_FILE).predicate
    if not now - OLDEST_PROPOSAL <= predicate.released_at <= now + CLOCK_SKEW:
        future = predicate.released_at > now
        raise VerificationError(
            "is dated in the future" if future else "is dated more than a year ago",
            where=f"{STATEMENT_FILE}: predicate.released_at",
            got=predicate.released_at.isoformat(),
            hint=ASK,
        )
    if previous is None:
        return predicate
    if predicate.previous != previous.reference:
        raise VerificationError(
            "names another previous release than yours",
            where=f"{STATEMENT_FILE}: predicate.previous",
            expected=_describe(previous.reference),
            got=_describe(predicate.previous) if predicate.previous else "none",
            hint=ASK,
        )
    if predicate.sequence != previous.sequence + 1:
        raise VerificationError(
            "does not count on from the previous release",
            where=f"{STATEMENT_FILE}: predicate.sequence",
            expected=str(previous.sequence + 1),
            got=str(predicate.sequence),
            hint=ASK,
        )
    _require_after(previous, predicate.released_at)
    return predicate


def _describe(release: PreviousRelease) -> str:
    return f"{release.version}, statement {release.statement_sha256}"


def _require_after(previous: Previous, released_at: datetime) -> None:
    if released_at < previous.released_at:
        raise VerificationError(
            "is dated before the release it follows",
            where=f"{STATEMENT_FILE}: predicate.released_at",
            expected=f"after {previous.released_at.isoformat()}",
            got=released_at.isoformat(),
            hint="check this machine's clock, and who proposed the statement",
        )


def sign_release(
    release: ReleaseFolder,
    request: SigningRequest,
    signers: tuple[Party, ...],
    party: Party,
    sign: Sign,
) -> tuple[Path, ...]:
    """Add `party`'s signatures to the release folder; return the files written.

    `signers` are all of the root's and its release key, whose signatures stay beside
    this one.  One is made over the statement, which counts, and one over SHA256SUMS in
    the form the key's stock tool reads, if there is one.  Signing twice changes nothing.
    """
    check_release_folder(release)
    add_own(release.statement_file, request.statement.to_bytes(), signers, party, sign)
    if not has_stock_form(party):
        return (release.statement_file,)
    make_real_folder(release.signatures)
    path = release.signatures / stock_file_name(party)
    write_whole(path, make_stock_signature(party, sign, request.statement))
    return release.statement_file, path


def sign_layout(
    release: ReleaseFolder, payload: bytes, owners: tuple[Party, ...], party: Party, sign: Sign
) -> None:
    """Add an owner's signature over `payload`, the layout it was shown, to the release's.

    Raises InputError when the file holds another layout by now; then nothing is written.
    """
    check_release_folder(release)
    add_own(release.layout_file, payload, owners, party, sign)


def add_own(
    path: Path, payload: bytes, parties: tuple[Party, ...], party: Party, sign: Sign
) -> None:
    """Add `party`'s signature over `payload` to an envelope, once it has been checked.

    Raises VerificationError if `sign` made something else, InputError where the file holds
    another payload by now.
    """
    envelope = seal(payload, party, sign)
    # Asked only now: an OpenPGP signature made while a passphrase was typed bears a
    # later second than the command's start, and would seem to come from the future.
    now = now_utc()
    verify_by(party, envelope.signatures[0].sig, envelope.signed_bytes(), now)
    add_signatures(path, envelope, parties, now)


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
