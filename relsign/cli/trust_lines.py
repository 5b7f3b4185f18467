"""How a pin and a root are told, in lines for people and as JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relsign.formats.roster import Role

if TYPE_CHECKING:
    from relsign.formats.root import Root
    from relsign.trust.store import Kept

ROLES: dict[Role, str] = {
    "owner": "owners",
    "signer": "signers",
    "builder": "builders",
    "publisher": "publishers",
    "log": "logs",
    "witness": "witnesses",
}


def describe(root: Root) -> list[str]:
    """Return the project, its validity, and who must agree, a line each."""
    needs = _needs(root)
    lines = [
        f"project    {root.project}",
        f"version    {root.version}, expires {root.expires:%Y-%m-%d}",
    ]
    for role, many in ROLES.items():
        people = [f"{m.name} ({m.organisation})" for m in root.members if role in m.roles]
        if people:
            need = f"{needs[role]} of " if role in needs else ""
            lines.append(f"{many:<10} {need}{len(people)}: {', '.join(people)}")
    return lines


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
            "members": [
                {"name": m.name, "organisation": m.organisation}
                for m in root.members
                if role in m.roles
            ],
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
        "seen": seen,
    }


def _needs(root: Root) -> dict[Role, int]:
    return {
        "owner": root.thresholds.owners,
        "signer": root.thresholds.signers,
        "builder": root.thresholds.builders,
    }
