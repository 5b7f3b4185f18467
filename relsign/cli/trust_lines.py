"""How a pin and a root are told, in lines for people and as JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relsign.formats.roster import FrostKey, Member, Role

if TYPE_CHECKING:
    from relsign.formats.root import Root
    from relsign.trust.pins.store import Kept

ROLES: dict[Role, str] = {
    "owner": "owners",
    "signer": "signers",
    "builder": "builders",
    "publisher": "publishers",
    "log": "logs",
    "witness": "witnesses",
    "release": "release",
}
"""Each role and the word for those who have it; at most one has the last."""


def describe(root: Root) -> list[str]:
    """Return the project, its validity, and who must agree, a line each."""
    needs = _needs(root)
    lines = [
        f"project    {root.project}",
        f"version    {root.version}, expires {root.expires:%Y-%m-%d}",
    ]
    for role, many in ROLES.items():
        people = [_person(m) for m in root.members if role in m.roles]
        if people:
            need = f"{needs[role]} of " if role in needs else ""
            count = release_key_asked(root) if role == "release" else f"{need}{len(people)}"
            lines.append(f"{many:<10} {count}: {', '.join(people)}")
    return lines


def release_key_asked(root: Root) -> str:
    """Say whether a release needs the signature of the release key, where there is one."""
    return "optional" if root.policy.release_key == "optional" else "required"


def shared_by(member: Member) -> str:
    """Say who shares a group's key, and how many of them sign; empty for any other key."""
    if not isinstance(member.key, FrostKey):
        return ""
    return f"any {member.key.threshold} of {', '.join(member.key.participants)}"


def _person(member: Member) -> str:
    return f"{member.name} ({'; '.join(filter(None, (member.organisation, shared_by(member))))})"


def _member_row(member: Member) -> dict[str, object]:
    row: dict[str, object] = {"name": member.name, "organisation": member.organisation}
    if isinstance(member.key, FrostKey):
        row["shared"] = {
            "threshold": member.key.threshold,
            "participants": list(member.key.participants),
        }
    return row


def pin_row(kept: Kept) -> dict[str, object]:
    """Return what `trust list` says of a pin."""
    from relsign.crypto.words import digest_words
    from relsign.formats.root import parse_root

    newest = parse_root(kept.roots[-1]).signed
    pin = kept.pin
    return {
        "name": pin.name,
        "project": pin.project,
        "version": newest.version,
        "root_sha256": pin.memory.root.sha256,
        "words": digest_words(pin.memory.root.sha256),
        "expires": newest.expires,
        "newest": pin.seen[-1].version if pin.seen else None,
        "url": pin.url,
    }


def pin_details(kept: Kept) -> dict[str, object]:
    """Return what `trust show` says of a pin, with schema ``relsign/trust-show/1``."""
    from relsign.crypto.words import digest_words
    from relsign.formats.root import parse_root

    root, pin = parse_root(kept.roots[-1]).signed, kept.pin
    needs = _needs(root)
    roles = [
        {
            "role": role,
            "threshold": needs.get(role),
            "members": [_member_row(m) for m in root.members if role in m.roles],
        }
        for role in ROLES
    ]
    seen = [{"version": s.version, "sequence": s.sequence, "seen_at": s.seen_at} for s in pin.seen]
    return {
        "schema": "relsign/trust-show/1",
        **pin_row(kept),
        "pinned": {
            "version": pin.version,
            "root_sha256": pin.root_sha256,
            "words": digest_words(pin.root_sha256),
            "at": pin.pinned_at,
        },
        "roles": roles,
        "release_key": release_key_asked(root) if _has_release_key(root) else None,
        "seen": seen,
    }


def _has_release_key(root: Root) -> bool:
    return any("release" in member.roles for member in root.members)


def _needs(root: Root) -> dict[Role, int]:
    return {
        "owner": root.thresholds.owners,
        "signer": root.thresholds.signers,
        "builder": root.thresholds.builders,
    }
