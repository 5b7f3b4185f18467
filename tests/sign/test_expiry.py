"""What ends, and when people are told of it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from relsign.formats.root import Root
from relsign.formats.roster import Member, OpenPGPKey
from relsign.sign.rules.expiry import SOON, Expiring, find_expiring
from relsign.verify.root import TrustedRoot, open_root
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    USER_ID,
    binding,
    certification,
    ed25519,
    lasts,
    packet,
    revocation,
    simple,
)
from tests.verify.releases import make_root, root_of, signed_root

NOW = datetime.fromtimestamp(CREATED, UTC) + timedelta(days=10)
FAR = NOW + timedelta(days=1000)
PRIMARY, SUBKEY = ed25519(1), ed25519(2)


def after(days: int) -> bytes:
    """Return the part that ends a key so many days after `NOW`."""
    return lasts((10 + days) * DAY)


def with_subkey(*extra: bytes, primary: tuple[bytes, ...] = ()) -> bytes:
    """Return a certificate that certifies only, and a subkey that signs."""
    return (
        simple(PRIMARY, *primary, flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + binding(PRIMARY, SUBKEY, *extra)
    )


def trusted(certificate: bytes | None = None, expires: datetime = FAR) -> TrustedRoot:
    root = make_root(expires=expires)
    if certificate is not None:
        key = OpenPGPKey(certificate=base64.b64encode(certificate).decode())
        who = Member(name="zoe", operator="zoe", organisation="acme", roles=("signer",), key=key)
        root = root_of(
            msgspec.structs.replace(root.policy, members=(*root.members, who)), expires=expires
        )
    return open_root(signed_root(root))


def found(certificate: bytes) -> tuple[Expiring, ...]:
    return find_expiring(trusted(certificate), FAR, NOW)


def test_what_ends_far_away_is_not_told() -> None:
    assert find_expiring(trusted(), FAR, NOW) == ()
    assert find_expiring(trusted(), None, NOW) == ()


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=-1), "the trust root EXPIRED on 2024-01-10"),
        (timedelta(0), "the trust root EXPIRED on 2024-01-11"),
        (timedelta(hours=5), "the trust root expires in 0 days, on 2024-01-11"),
        (timedelta(days=1), "the trust root expires in 1 day, on 2024-01-12"),
        (SOON, "the trust root expires in 60 days, on 2024-03-11"),
    ],
)
def test_a_root_that_ends(left: timedelta, words: str) -> None:
    (one,) = find_expiring(trusted(expires=NOW + left), FAR, NOW)
    assert one.words(NOW) == words
    assert one.is_over(NOW) == (left <= timedelta(0))
    assert "root rotate --renew" in one.hint


def test_a_day_more_than_that_is_not_told() -> None:
    assert find_expiring(trusted(expires=NOW + SOON + timedelta(seconds=1)), FAR, NOW) == ()


def test_a_layout_that_ends_and_the_soonest_first() -> None:
    root = trusted(expires=NOW + timedelta(days=9))
    said = [each.words(NOW) for each in find_expiring(root, NOW + timedelta(days=3), NOW)]
    assert said == [
        "the layout expires in 3 days, on 2024-01-14",
        "the trust root expires in 9 days, on 2024-01-20",
    ]


@pytest.mark.parametrize(
    "certificate",
    [
        simple(PRIMARY),
        simple(PRIMARY, after(61)),
        with_subkey(),
        # Another subkey may still sign when the first one's time is over.
        with_subkey(after(5)) + packet(14, ed25519(3).body) + binding(PRIMARY, ed25519(3)),
    ],
    ids=["no end", "far", "subkey", "second subkey"],
)
def test_a_certificate_that_can_sign_for_long_is_not_told(certificate: bytes) -> None:
    assert found(certificate) == ()


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (simple(PRIMARY, after(60)), "expires in 60 days, on 2024-03-11"),
        (simple(PRIMARY, after(-1)), "EXPIRED on 2024-01-10"),
        (with_subkey(after(7)), "expires in 7 days, on 2024-01-18"),
        (with_subkey(after(-2)), "EXPIRED on 2024-01-09"),
        (with_subkey(primary=(after(4),)), "expires in 4 days, on 2024-01-15"),
        (with_subkey(after(9), primary=(after(4),)), "expires in 4 days, on 2024-01-15"),
        (
            with_subkey(after(5))
            + packet(14, ed25519(3).body)
            + binding(PRIMARY, ed25519(3), after(8)),
            "expires in 8 days, on 2024-01-19",
        ),
    ],
    ids=["near", "over", "subkey", "subkey over", "primary", "primary first", "two subkeys"],
)
def test_a_certificate_ends_with_its_last_signing_key(certificate: bytes, words: str) -> None:
    (one,) = found(certificate)
    assert one.words(NOW) == f"the certificate of zoe {words}"
    assert one.is_over(NOW) == ("EXPIRED" in words)


@pytest.mark.parametrize(
    "certificate",
    [
        packet(6, PRIMARY.body)
        + revocation(0x20, PRIMARY, PRIMARY.hashed)
        + packet(13, USER_ID)
        + certification(PRIMARY),
        with_subkey() + revocation(0x28, PRIMARY, PRIMARY.hashed + SUBKEY.hashed),
        simple(PRIMARY, flag_byte=0x01),
    ],
    ids=["revoked", "subkey revoked", "certifies only"],
)
def test_a_certificate_that_cannot_sign(certificate: bytes) -> None:
    (one,) = found(certificate)
    assert one.expires_at is None
    assert one.is_over(NOW)
    assert one.words(NOW).startswith("the certificate of zoe has no key that may sign")


def test_a_certificate_nobody_can_read_is_told_of_too() -> None:
    root = trusted(simple(PRIMARY))
    *others, zoe = root.root.members
    broken = msgspec.structs.replace(zoe, key=OpenPGPKey(certificate="A" * 40))
    policy = msgspec.structs.replace(root.root.policy, members=(*others, broken))
    signed: Root = msgspec.structs.replace(root.root, policy=policy)
    (one,) = find_expiring(msgspec.structs.replace(root, root=signed), FAR, NOW)
    assert (one.name, one.expires_at) == ("zoe", None)
