"""Part of step 7, not rolled back: a release beside those this person has seen.

The signers number releases one after another.  Whoever shows an old one to a person
who has seen a newer, or two different ones under one number, is refused here, even
though every signature is good.  Releases that the root took back bind nobody: after
a revocation the release before it is the newest again.

    words = check_history(seen, Presented(3, "2.0", digest), revoked=root.revoked)
"""

from __future__ import annotations

from collections.abc import Iterable

from relsign.errors import VerificationError
from relsign.formats.canonical import Value
from relsign.formats.memory import Seen
from relsign.formats.policy import Revocation

_WHERE = "what you have seen"


class Presented(Value, frozen=True):
    """The release in question, as its signed statement says."""

    sequence: int
    version: str
    statement_sha256: str


def check_history(
    seen: Iterable[Seen],
    release: Presented,
    *,
    revoked: Iterable[Revocation] = (),
    wanted: str | None = None,
) -> str:
    """Return the row's words; raise VerificationError for a release to be refused.

    `seen` is what this person verified before, in any order; `revoked` what the root
    takes back; `wanted` the version asked for by name, or None for the newest.
    Checked: (1) it is the version asked for; (2) no other statement was seen under
    its sequence or version; (3) it is not older than the newest seen, unless it was
    asked for by name (TUF specification 1.0, section 1.5.2: rollback attacks).
    """
    if wanted is not None and release.version != wanted:  # (1)
        raise VerificationError(
            "not the version asked for",
            expected=wanted,
            got=release.version,
            hint="get the bundle of the version you want",
        )
    everything = tuple(seen)
    binding = _not_revoked(everything, tuple(revoked))
    for entry in binding:  # (2)
        _refuse_equivocation(entry, release)
    newest = max(binding, key=lambda entry: entry.sequence, default=None)
    if newest is not None and release.sequence < newest.sequence:  # (3)
        return _older(newest, release, wanted)
    return _say_newest(everything, newest, release)


def _say_newest(everything: tuple[Seen, ...], newest: Seen | None, release: Presented) -> str:
    """Say how new a release is; one that was taken back is not passed over in silence."""
    last = newest.sequence if newest else 0
    newer_gone = any(entry.sequence > last for entry in everything)
    standing = " that was not taken back" if newer_gone else ""
    if newest is None:
        return f"{release.version} is the first release you see of this project{standing}"
    if release.sequence == newest.sequence:
        return f"{release.version} is the newest release you have seen{standing}"
    return f"{release.version} is newer than {newest.version}, the newest you had seen{standing}"


def _not_revoked(seen: Iterable[Seen], revoked: tuple[Revocation, ...]) -> tuple[Seen, ...]:
    statements = {r.statement_sha256 for r in revoked}
    versions = {r.version for r in revoked}
    return tuple(
        entry
        for entry in seen
        if entry.statement_sha256 not in statements and entry.version not in versions
    )


def _refuse_equivocation(entry: Seen, release: Presented) -> None:
    if entry.statement_sha256 == release.statement_sha256:
        return
    numbers = (
        ("sequence", str(entry.sequence), str(release.sequence)),
        ("version", entry.version, release.version),
    )
    for what, before, now in numbers:
        if before == now:
            raise VerificationError(
                f"two different releases under one number: {what} {now}",
                where=_WHERE,
                expected=f"statement {entry.statement_sha256}, seen {entry.seen_at:%Y-%m-%d}",
                got=release.statement_sha256,
                hint="keep both bundles as evidence, and ask the project over another channel",
            )


def _older(newest: Seen, release: Presented, wanted: str | None) -> str:
    if wanted is not None:
        return f"older than {newest.version}, asked for by name"
    raise VerificationError(
        f"older than {newest.version}, which you have seen",
        where=_WHERE,
        expected=f"sequence {newest.sequence} or higher",
        got=f"sequence {release.sequence} ({release.version})",
        hint=f"get {newest.version}, or ask for this one by name: --release {release.version}",
    )
