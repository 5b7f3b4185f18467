"""What has an end, and how near it is: root, layout, OpenPGP certificates of the roster.

A verifier refuses an expired root or layout, and a certificate that ran out makes a
signer's or a group's signatures count for nobody.  People should hear of it while the
cure is one command, so the last 60 days are told of.  Values in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from relsign.errors import InputError
from relsign.formats.envelope import decode_base64
from relsign.formats.roster import FrostKey, Member
from relsign.verify.root import TrustedRoot

SOON = timedelta(days=60)
FOREVER = timedelta(days=365_000)


@dataclass(frozen=True, slots=True)
class Expiring:
    """One thing that has expired, was revoked by its owner, or soon expires."""

    what: str
    """``trust root``, ``layout`` or ``certificate``."""
    name: str
    """Whose certificate it is; else empty."""
    expires_at: datetime | None
    """None where it is revoked or cannot sign."""
    hint: str

    def is_over(self, now: datetime) -> bool:
        """Say whether it counts no longer at `now` (aware)."""
        return self.expires_at is None or self.expires_at <= now

    def words(self, now: datetime) -> str:
        """Return the sentence for people, as of `now` (aware)."""
        subject = f"the {self.what} of {self.name}" if self.name else f"the {self.what}"
        if self.expires_at is None:
            return f"{subject} has no key that may sign: revoked, or made for other uses"
        day = self.expires_at.date().isoformat()
        if self.expires_at <= now:
            return f"{subject} EXPIRED on {day}"
        left = (self.expires_at - now).days
        return f"{subject} expires in {left} {'day' if left == 1 else 'days'}, on {day}"


def find_expiring(
    root: TrustedRoot, layout_expires: datetime | None, now: datetime
) -> tuple[Expiring, ...]:
    """Return what is over or ends within 60 days of `now` (aware), the soonest first.

    `layout_expires` is the end of the release's layout, None where there is none yet.
    """
    found = [
        Expiring(
            "trust root", "", root.root.expires,
            "run `relsign root rotate --renew`, then owners sign it",
        )
    ]  # fmt: skip
    if layout_expires is not None:
        hint = "run `relsign policy compile --renew`, then owners and signers sign again"
        found.append(Expiring("layout", "", layout_expires, hint))
    certificates = (_certificate(member) for member in root.root.members)
    found += [each for each in certificates if each is not None]
    near = [each for each in found if each.expires_at is None or each.expires_at - now <= SOON]
    return tuple(sorted(near, key=lambda each: each.expires_at or now - FOREVER))


def _certificate(member: Member) -> Expiring | None:
    """Return the end of a member's OpenPGP certificate; None where there is none, or no end."""
    # An openpgp key always has one, a group's key may have one, the others have none.
    encoded = getattr(member.key, "certificate", None)
    if not isinstance(encoded, str):
        return None
    # Most roots have no OpenPGP key, and its library takes as long to load as all of ours.
    from relsign.crypto.openpgp import parse_certificate  # noqa: PLC0415

    where = f"{member.name}: certificate"
    hint = _cure(member)
    try:
        certificate = parse_certificate(decode_base64(encoded, where), where)
    except InputError:
        # A root whose members were checked holds none of these; say so all the same.
        return Expiring("certificate", member.name, None, hint)
    usable = [key for key in certificate.signing_keys if not key.revoked]
    if certificate.revoked or not usable:
        return Expiring("certificate", member.name, None, hint)
    ends = [key.expires_at for key in usable if key.expires_at is not None]
    # It signs as long as one of its keys may, and no longer than its primary key.
    last = max(ends) if len(ends) == len(usable) else None
    limits = [end for end in (last, certificate.expires_at) if end is not None]
    return Expiring("certificate", member.name, min(limits), hint) if limits else None


def _cure(member: Member) -> str:
    """Return what to do about a certificate's end."""
    if isinstance(member.key, FrostKey):
        return (
            f"participants run `relsign ceremony renew {member.name} --days DAYS --as NAME`, "
            "then owners `relsign root add --replace`"
        )
    return "extend it with gpg, then `relsign key add`, and owners rotate the root"
