"""The lines that tell one root from the one before."""

from __future__ import annotations

import msgspec

from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, Thresholds
from relsign.formats.roster import Ed25519Key
from relsign.publish.roots import describe_change
from tests.verify.releases import LATER, NOW, make_root, member


def shown(reason: str, digit: str) -> str:
    """Return a revoked statement as a root holds it."""
    digest = digit * 64
    return (
        f'{{"reason":"{reason}","replacement":null,"statement_sha256":"{digest}","version":null}}'
    )


def test_every_difference_has_its_line() -> None:
    zoe = member("zoe", "zoe", "birch", "signer")
    gone = Revocation(statement_sha256=Digest("a" * 64), reason="mistake")
    new_one = Revocation(statement_sha256=Digest("b" * 64), reason="stolen key")
    old = make_root(revoked=(gone,))
    other_key = Ed25519Key(public="c" * 64)
    members = [
        msgspec.structs.replace(m, key=other_key) if m.name == "sam"
        else msgspec.structs.replace(m, operator="olaf") if m.name == "otto"
        else m
        for m in old.members if m.name != "sara"
    ]  # fmt: skip
    new = make_root(
        version=2,
        expires=NOW,
        members=(*members, zoe),
        thresholds=Thresholds(owners=1, signers=2, builders=2, organisations=1),
        dissent="record",
        share_roles=True,
        revoked=(new_one,),
    )
    change = describe_change(old, new)
    assert change.version == 2
    assert change.lines == (
        "version 1 → 2",
        "thresholds.owners 2 → 1",
        "thresholds.organisations 2 → 1",
        'dissent "refuse" → "record"',
        "share_roles false → true",
        f"expires {LATER.date()} → {NOW.date()}",
        "added zoe (signer; zoe, birch)",
        "removed sara (signer)",
        "changed otto: roles or operator",
        "changed sam: another key",
        f"revoked: added {shown('stolen key', 'b')}",
        f"revoked: NO LONGER {shown('mistake', 'a')}",
    )


def test_the_first_root_has_nothing_to_differ_from() -> None:
    assert describe_change(None, make_root()).lines == ("version 1, the first root here",)
