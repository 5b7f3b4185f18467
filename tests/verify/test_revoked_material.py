"""A revoked key is known by its material, whatever it was called when it was revoked."""

from __future__ import annotations

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import material_digests, parse_member
from relsign.errors import InputError
from relsign.formats.policy import RevokedKey
from relsign.formats.root import Root
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey
from relsign.verify.root import check_root, open_root
from relsign.verify.verdict import Outcome, Word
from tests.crypto.openpgp_maker import Key, binding, packet, simple
from tests.crypto.roster_keys import (
    b64,
    ecdsa_key,
    ecdsa_member,
    openpgp_key,
    openpgp_member,
    person,
    rsa_key,
    rsa_member,
    spki_of,
)
from tests.verify.broken import step
from tests.verify.releases import Release, group_member, secret, signed_root, with_members


def with_subkey() -> Member:
    """Return petra, whose certificate signs by a subkey that is eve's key."""
    primary, subkey = openpgp_key("petra"), openpgp_key("eve")
    ring = simple(primary) + packet(14, subkey.body) + binding(primary, subkey)
    return person("petra", OpenPGPKey(certificate=b64(ring)))


def bare(of: str, name: str = "anna") -> Member:
    return person(name, Ed25519Key(public=secret(of).verify_key.encode().hex()))


def revoke(gone: Member, *members: Member, named: bool = True) -> Root:
    """Return a root that revokes a key under its keyid, and by its materials if `named`."""
    key = parse_member(gone, "test").key
    entry = RevokedKey(
        name="gone",
        keyid=key.keyid,
        material_sha256=material_digests(key) if named else msgspec.UNSET,
        reason="laptop stolen",
    )
    return with_members(*members, revoked_keys=(entry,))


AGAIN: dict[str, tuple[Member, Member]] = {
    "a certificate's key bare": (openpgp_member(openpgp_key("eve")), bare("eve")),
    "a certificate's key as a group's": (
        openpgp_member(openpgp_key("eve")),
        group_member(key_of="eve"),
    ),
    "a certificate's ECDSA key bare": (openpgp_member(Key(ecdsa_key())), ecdsa_member()),
    "a certificate's RSA key bare": (openpgp_member(Key(rsa_key())), rsa_member()),
    "a certificate's RSA key bare, with the other scheme": (
        openpgp_member(Key(rsa_key())),
        rsa_member(scheme="rsa-pkcs1v15-sha512"),
    ),
    "a subkey bare": (with_subkey(), bare("eve")),
    "a primary whose subkey signed, bare": (with_subkey(), bare("petra")),
    "a subkey in a certificate of its own": (with_subkey(), openpgp_member(openpgp_key("eve"))),
}


@pytest.mark.parametrize("name", AGAIN)
def test_the_key_of_a_revoked_certificate_is_known_again(name: str) -> None:
    gone, again = AGAIN[name]
    with pytest.raises(InputError, match=f"the key of {again.name} is revoked: laptop stolen"):
        check_root(revoke(gone, again))
    # Without its materials the fingerprint does not tell which key it is.
    check_root(revoke(gone, again, named=False))
    check_root(revoke(gone, bare("somebody")))


@pytest.mark.parametrize(
    "member", [bare("eve"), ecdsa_member(), rsa_member(), openpgp_member(openpgp_key("eve"))]
)
def test_a_key_that_is_enrolled_again_as_it_was_is_refused_once(member: Member) -> None:
    with pytest.raises(InputError, match="is revoked: laptop stolen"):
        check_root(revoke(member, member))


def test_materials_alone_are_enough() -> None:
    """Whatever the keyid says."""
    raw = secret("eve").verify_key.encode()
    entry = RevokedKey(
        name="gone", keyid="ab" * 32, material_sha256=(sha256_hex(raw),), reason="laptop stolen"
    )
    with pytest.raises(InputError, match="the key of anna is revoked"):
        check_root(with_members(bare("eve"), revoked_keys=(entry,)))


def test_what_is_hashed_is_the_bare_key_whatever_the_kind() -> None:
    raw = secret("eve").verify_key.encode()
    for member in (bare("eve"), openpgp_member(openpgp_key("eve")), group_member(key_of="eve")):
        assert material_digests(parse_member(member, "test").key) == (sha256_hex(raw),)
    for member in (rsa_member(), openpgp_member(Key(rsa_key()))):
        digests = material_digests(parse_member(member, "test").key)
        assert digests == (sha256_hex(spki_of(rsa_key())),)
    two = material_digests(parse_member(with_subkey(), "test").key)
    both = (secret(name).verify_key.encode() for name in ("eve", "petra"))
    assert two == tuple(sorted(sha256_hex(key) for key in both))


def test_a_release_under_such_a_root_is_refused() -> None:
    release = Release(root=revoke(openpgp_member(openpgp_key("sam"))))
    decision = release.decide()
    assert decision.verdict.word is Word.REFUSED
    said = step(release, "root")
    assert (said.outcome, "the key of sam is revoked" in said.text) == (Outcome.REFUSED, True)
    silent = Release(root=revoke(openpgp_member(openpgp_key("sam")), named=False))
    assert silent.decide().verdict.word is Word.VERIFIED


def test_a_root_that_names_materials_is_signed_and_read() -> None:
    root = revoke(with_subkey())
    assert open_root(signed_root(root)).root == root
    (key,) = root.policy.revoked_keys
    assert key.material_sha256 == material_digests(parse_member(with_subkey(), "test").key)
