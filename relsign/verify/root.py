"""Step 1, the root: what the person pinned, turned into parties and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members, parties_of
from relsign.crypto.threshold import distinct_operators
from relsign.errors import InputError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.root import Root, parse_root
from relsign.formats.roster import Role


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """A root whose keys were checked and which has not expired."""

    root: Root
    parties: tuple[Party, ...]
    digest: Digest

    def having(self, role: Role) -> tuple[Party, ...]:
        """Return the parties of a role."""
        return parties_of(self.parties, role)


def verify_root(data: bytes, now: datetime) -> TrustedRoot:
    """Return the pinned root, checked; raise VerificationError or InputError otherwise.

    Checked: canonical form, keys, twins, one operator counted once, thresholds
    that the listed people can meet, expiry at `now` (aware UTC).
    """
    root = parse_root(data)
    parties = check_root(root)
    if now >= root.expires:
        raise VerificationError(
            "the trust root has expired",
            where="root.json: expires",
            got=root.expires.isoformat(),
            hint="get the project's new root.json and compare its 12 words",
        )
    return TrustedRoot(root, parties, sha256_hex(data))


def check_root(root: Root) -> tuple[Party, ...]:
    """Return a root's parties; raise InputError for keys or thresholds that cannot stand."""
    parties = check_members(root.members, "root.json", share_roles=root.share_roles)
    needs: tuple[tuple[Role, int], ...] = (
        ("owner", root.thresholds.owners),
        ("signer", root.thresholds.signers),
        ("builder", root.thresholds.builders),
    )
    for role, threshold in needs:
        people = len(distinct_operators(parties_of(parties, role)))
        if threshold > people:
            raise InputError(
                f"threshold of {role}s is larger than the role",
                where=f"root.json: thresholds.{role}s",
                expected=f"at most {people}",
                got=str(threshold),
            )
    organisations = {p.organisation for p in parties_of(parties, "builder")}
    if root.thresholds.organisations > len(organisations):
        raise InputError(
            "threshold of organisations is larger than the builders have",
            where="root.json: thresholds.organisations",
            expected=f"at most {len(organisations)}",
            got=str(root.thresholds.organisations),
        )
    return parties
