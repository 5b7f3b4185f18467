"""Keys and parties: what is refused at enrolment, and who counts as one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace
from nacl.bindings import crypto_core_ed25519_add
from nacl.signing import SigningKey
from securesystemslib.signer._utils import compute_default_keyid

from relsign.crypto.keys import (
    Ed25519Public,
    OpenPGPPublic,
    check_members,
    parse_ed25519,
    parse_member,
    parties_of,
)
from relsign.crypto.openpgp import parse_certificate
from relsign.crypto.signatures import verify_by, verify_ed25519, verify_envelope
from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.errors import InputError, VerificationError
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey, Role
from tests.crypto.openpgp_maker import CREATED, DAY, Key, detached, ed25519, simple
from tests.verify.releases import NOW, make_root, member, parties, secret, sign_by

P = 2**255 - 19
SMALL_ORDER = {
    "identity": (1).to_bytes(32, "little"),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 4": (0).to_bytes(32, "little"),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
}
BAD_KEYS = {
    **SMALL_ORDER,
    "identity, not canonical": (P + 1).to_bytes(32, "little"),
    "y beyond p": (P + 3).to_bytes(32, "little"),
    "not on the curve": (2).to_bytes(32, "little"),
    "too short": b"\x58" * 31,
    "too long": b"\x58" * 33,
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_unacceptable_ed25519_keys(name: str) -> None:
    with pytest.raises(InputError, match="not an acceptable Ed25519") as caught:
        parse_ed25519(BAD_KEYS[name], "here")
    assert caught.value.where == "here"
    assert caught.value.hint


def test_a_key_of_mixed_order_is_refused() -> None:
    """Twice the group order: a good point plus one of small order."""
    good = secret("sam").verify_key.encode()
    mixed = crypto_core_ed25519_add(good, SMALL_ORDER["order 2"])
    parse_ed25519(good, "good")
    with pytest.raises(InputError):
        parse_ed25519(mixed, "mixed")


def test_keyids_are_those_of_securesystemslib() -> None:
    raw = secret("sam").verify_key.encode()
    key = Ed25519Public(raw)
    assert key.keyid == compute_default_keyid("ed25519", "ed25519", {"public": raw.hex()})


PETRA = ed25519(41)
LATER = datetime.fromtimestamp(CREATED + 11 * DAY, UTC)


def openpgp_member(key: Key = PETRA, name: str = "petra", role: Role = "signer") -> Member:
    certificate = base64.b64encode(simple(key)).decode()
    return Member(
        name=name,
        operator=name,
        organisation="birch",
        roles=(role,),
        key=OpenPGPKey(certificate=certificate),
    )


def test_an_openpgp_key_is_only_ever_a_signers() -> None:
    party = parse_member(openpgp_member(), "here")
    assert isinstance(party.key, OpenPGPPublic)
    assert party.keyid == parse_certificate(simple(PETRA), "x").fingerprint.lower()
    for role in ("owner", "builder"):
        with pytest.raises(InputError, match="only be a signer's") as caught:
            parse_member(openpgp_member(role=role), "here")
        assert caught.value.where == "here.roles"


def test_a_twin_is_seen_across_kinds_of_key() -> None:
    """The same Ed25519 key as a file and as an OpenPGP certificate is one key."""
    certificate = parse_certificate(simple(PETRA), "x")
    raw = next(iter(certificate.materials))
    twin = Member(
        name="twin",
        operator="twin",
        organisation="acme",
        roles=("signer",),
        key=Ed25519Key(public=raw.hex()),
    )
    with pytest.raises(InputError, match="one key under two names"):
        check_members((openpgp_member(), twin), "roster", share_roles=False)


def test_one_operator_is_in_one_organisation() -> None:
    one = member("a", "same", "acme", "signer")
    two = member("b", "same", "birch", "signer")
    with pytest.raises(InputError, match="two organisations") as caught:
        check_members((one, two), "roster", share_roles=False)
    assert caught.value.got == "a and b"


def test_one_key_has_one_role_unless_policy_says_so() -> None:
    both = msgspec.structs.replace(member("a", "a", "acme", "signer"), roles=("signer", "builder"))
    with pytest.raises(InputError, match="two roles"):
        check_members((both,), "roster", share_roles=False)
    party = check_members((both,), "roster", share_roles=True)[0]
    assert parties_of((party,), "builder") == parties_of((party,), "signer") == (party,)
    assert parties_of((party,), "owner") == ()


def test_keyids_that_begin_alike_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Link files are named after eight digits; two alike would replace each other."""
    monkeypatch.setattr(Ed25519Public, "keyid", property(lambda _self: "ab" * 32))
    members = (member("a", "a", "acme", "signer"), member("b", "b", "acme", "signer"))
    with pytest.raises(InputError, match="first 8 digits"):
        check_members(members, "roster", share_roles=False)


def test_operators_and_organisations_count_once() -> None:
    known = parties(make_root())
    sam, sara = known["sam"], replace(known["sara"], operator="sam")
    assert distinct_operators((sam, sara, known["sven"])) == (sam, known["sven"])
    assert distinct_organisations((sam, sara, known["sven"])) == ("acme", "birch")


BAD_SIGNATURES = {
    "empty": b"",
    "short": b"\0" * 63,
    "long": b"\0" * 65,
    "zero": b"\0" * 64,
    "S not reduced": None,
}


@pytest.mark.parametrize("name", BAD_SIGNATURES)
def test_ed25519_signatures_that_do_not_hold(name: str) -> None:
    key = Ed25519Public(secret("sam").verify_key.encode())
    good = sign_by("sam", b"message")
    verify_ed25519(key, good, b"message")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(good[32:], "little") + order
    bad = BAD_SIGNATURES[name]
    signature = good[:32] + scalar.to_bytes(32, "little") if bad is None else bad
    with pytest.raises(VerificationError):
        verify_ed25519(key, signature, b"message")


def test_an_openpgp_signer_signs_an_envelope() -> None:
    party = parse_member(openpgp_member(), "here")
    message = pae(INTOTO_PAYLOAD, b"{}")
    signature = Signature(keyid=party.keyid, sig=detached(PETRA, message))
    envelope = Envelope(payload=b"{}", payload_type=INTOTO_PAYLOAD, signatures=(signature,))
    assert verify_envelope(envelope, (party,), LATER).valid == (party,)
    verify_by(party, signature.sig, message, LATER)
    other = Envelope(payload=b"[]", payload_type=INTOTO_PAYLOAD, signatures=(signature,))
    report = verify_envelope(other, (party,), LATER)
    assert report.valid == ()
    assert report.bad[0].startswith("petra: ")


def test_a_stranger_is_counted_as_unknown() -> None:
    stranger = SigningKey(b"\x07" * 32)
    sig = stranger.sign(pae(INTOTO_PAYLOAD, b"{}")).signature
    envelope = Envelope(
        payload=b"{}",
        payload_type=INTOTO_PAYLOAD,
        signatures=(Signature(keyid="", sig=sig), Signature(keyid="00" * 32, sig=sig)),
    )
    report = verify_envelope(envelope, tuple(parties(make_root()).values()), NOW)
    assert (report.valid, report.bad, report.unknown) == ((), (), 2)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("sam", "sam", "acme"), ("Sam", "x", "acme")),
        (("a", "sam", "acme"), ("b", "Sam", "acme")),
        (("a", "x", "acme"), ("b", "y", "ACME")),
    ],
)
def test_names_that_differ_only_by_case_are_refused(
    one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    """`sam` and `Sam` would count as two people to the program and as one to everybody else."""
    first = member(*one, "signer")
    key = Ed25519Key(public=secret("another").verify_key.encode().hex())
    second = msgspec.structs.replace(member(*two, "signer"), key=key)
    with pytest.raises(InputError, match="only by case"):
        check_members((first, second), "roster", share_roles=False)
