"""Whose rules judge a release: today's root, or the root of the release's own day.

Keys expire, people leave, layouts run out, and the releases they made stay good.  The
owners of the present root may vouch for a release of an earlier one by naming the very
statement and that root (`Vouched`).  It is then judged by the keys and thresholds of
that root, on the day it was released.  A key stolen since then can make no statement
the owners named.
"""

from __future__ import annotations

from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.policy import Vouched
from relsign.formats.root import parse_root
from relsign.verify.release import Evidence
from relsign.verify.root import TrustedRoot, open_root


class Day(Value, frozen=True):
    """The root and the moment (aware UTC) by which a release is judged."""

    root: TrustedRoot
    at: datetime
    words: str = ""
    """What the row says where it is not today."""

    @property
    def is_past(self) -> bool:
        """Say whether it is the day of a release that was vouched for since."""
        return bool(self.words)


def find_day(root: TrustedRoot, evidence: Evidence, now: datetime) -> Day:
    """Return today, or the day of a release the owners vouch for.

    Raises VerificationError where what they vouch for is another version or was made
    when its root had expired, NotEnoughError where the bundle lacks that root.
    """
    digest = evidence.statement_digest
    for vouched in root.root.policy.vouched:
        if vouched.statement_sha256 == digest:
            return _its_own_day(root, vouched, evidence, now)
    return Day(root, now)


def _its_own_day(root: TrustedRoot, vouched: Vouched, evidence: Evidence, now: datetime) -> Day:
    predicate = evidence.statement.predicate
    if vouched.version != predicate.version:
        raise VerificationError(
            "the owners vouch for this statement as another version",
            where="root.json: vouched",
            expected=vouched.version,
            got=predicate.version,
        )
    old = open_root(_root_of_its_day(vouched, evidence))
    at = min(now, predicate.released_at)
    if old.root.project != root.root.project or at >= old.root.expires:
        raise VerificationError(
            "was made when the root of its day had expired, or for another project",
            where="root.json: vouched",
            got=f"{old.root.project}, until {old.root.expires.isoformat()}",
        )
    return Day(
        old,
        at,
        f"judged by version {old.root.version} as of {at.date().isoformat()}: "
        f"the owners of version {root.root.version} vouch for it",
    )


def _root_of_its_day(vouched: Vouched, evidence: Evidence) -> bytes:
    for data in evidence.roots:
        if sha256_hex(parse_root(data).signed.to_bytes()) == vouched.root_sha256:
            return data
    raise NotEnoughError(
        f"the bundle lacks the root that version {vouched.version} was made under",
        hint="download the bundle again: newer ones hold it",
    )
