"""The release key: who needs it, that it is none of the signers, and that it may be a group's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from relsign.errors import InputError
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae
from relsign.formats.policy import RevokedKey, Vouched
from relsign.formats.root import Root, root_file_name
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey
from relsign.verify.demands import Demands, Level
from relsign.verify.root import check_root, open_root
from relsign.verify.verdict import Outcome, Row, Word
from tests.crypto.openpgp_maker import Key, binding, packet, simple
from tests.crypto.roster_keys import (
    b64,
    certified,
    ecdsa_key,
    ecdsa_member,
    openpgp_key,
    openpgp_member,
    person,
    rsa_key,
    rsa_member,
    sign_ecdsa,
    sign_pss,
)
from tests.verify.broken import added, replaced, statement_payload, step
from tests.verify.broken_release_key import BROKEN_RELEASE_KEY, keyid_of, signed_by
from tests.verify.releases import (
    LATER,
    Release,
    group_member,
    group_root,
    make_root,
    member,
    public_of,
    sealed,
    secret,
    signature_by,
    signed_root,
    with_members,
)

ALL = ("sam", "sara", "team")


def verdict(release: Release) -> Word:
    return release.decide().verdict.word


def signers(release: Release) -> Row:
    return step(release, "signers")


def test_the_row_says_that_the_release_key_signed_and_does_not_count_it() -> None:
    release = Release(root=group_root(), signers=ALL)
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED, decision.verdict
    words = "2 of 3 signed (need 2), and the release key: sam sara team"
    assert signers(release).text == words
    assert decision.release is not None
    assert [party.name for party in decision.release.signers] == ["sam", "sara"]
    assert decision.release.release_key is not None
    assert decision.release.release_key.name == "team"


@pytest.mark.parametrize("name", BROKEN_RELEASE_KEY)
def test_a_release_broken_in_one_way_is_not_verified(name: str) -> None:
    release, number, outcome, words = BROKEN_RELEASE_KEY[name]
    decision = release.decide()
    said = step(release, number)
    assert (said.outcome, words in said.text) == (outcome, True), said
    assert said.hint
    assert decision.release is None
    word = Word.REFUSED if outcome is Outcome.REFUSED else Word.NOT_ENOUGH
    assert decision.verdict.word is word


def test_a_root_without_a_release_key_is_judged_as_ever() -> None:
    release = Release()
    assert signers(release).text == "2 of 3 signed (need 2): sam sara"
    decision = release.decide()
    assert decision.release is not None
    assert decision.release.release_key is None


@pytest.mark.parametrize(
    "root",
    [
        group_root(),
        group_root(release_key="required"),
        group_root(release_key="optional"),
        with_members(member("team", "team", "acme", "release")),
        with_members(certified(simple(openpgp_key("team")))),
        with_members(group_member(roles=("owner", "release")), share_roles=True),
    ],
)
def test_a_release_key_of_every_kind_signs(root: Root) -> None:
    release = Release(root=root, signers=ALL)
    assert verdict(release) is Word.VERIFIED
    assert "and the release key" in signers(release).text


def test_the_owners_may_leave_it_to_the_signers() -> None:
    release = Release(root=group_root(release_key="optional"))
    assert verdict(release) is Word.VERIFIED
    assert signers(release).text == "2 of 3 signed (need 2): sam sara"
    false = signed_by(("sam", "sara"), signature_by("team", b"other"))
    assert verdict(replace(release, change_files=false)) is Word.VERIFIED


def test_the_hint_names_what_to_run() -> None:
    said = signers(Release(root=group_root()))
    assert said.outcome is Outcome.MISSING
    assert "`relsign sign`" in said.hint
    assert "team" in said.hint


def test_level_basic_asks_for_it_too() -> None:
    basic = Demands(level=Level.BASIC)
    assert verdict(Release(root=group_root(), demands=basic)) is Word.NOT_ENOUGH
    assert verdict(Release(root=group_root(), signers=ALL, demands=basic)) is Word.VERIFIED


def test_a_person_who_asks_for_more_signers_is_not_given_the_release_key() -> None:
    release = Release(root=group_root(), signers=ALL, demands=Demands(signers=3))
    assert "2 of the 3 signers" in signers(release).text
    assert verdict(replace(release, signers=(*ALL, "sven"))) is Word.VERIFIED


def test_its_label_decides_nothing() -> None:
    own = signature_by("team", statement_payload())
    for keyid in ("", "ab" * 32, keyid_of("sven")):
        unlabelled = signed_by(("sam", "sara"), msgspec.structs.replace(own, keyid=keyid))
        release = Release(root=group_root(), change_files=unlabelled)
        assert verdict(release) is Word.VERIFIED
    junk = Signature(keyid=keyid_of("team"), sig=bytes(64))
    beside = Release(root=group_root(), change_files=signed_by(("sam", "sara"), junk, own))
    assert verdict(beside) is Word.VERIFIED


def test_one_signature_twice_is_one() -> None:
    own = signature_by("team", statement_payload())
    twice = Release(root=group_root(), change_files=signed_by(("sam",), own, own))
    assert "1 of the 2 signers" in signers(twice).text


# --- an earlier root's releases ----------------------------------------------------------------


def later_root(made_under: Root, statement: str, *members: Member) -> Root:
    digest = open_root(signed_root(made_under)).digest
    entry = Vouched(version="1.0", statement_sha256=statement, root_sha256=digest)  # type: ignore[arg-type]
    root = with_members(*members, vouched=(entry,))
    return msgspec.structs.replace(root, version=2, expires=LATER + timedelta(days=900))


@pytest.mark.parametrize(
    ("then", "now", "who", "words"),
    [
        # Made before there was a release key: its own day asked for none.
        ((), (group_member(),), ("sam", "sara"), ""),
        # Made with one that has been replaced since.
        ((group_member(),), (group_member("new"),), ALL, ""),
        ((group_member(),), (), ALL, ""),
        ((group_member(),), (), ("sam", "sara"), "the release key team has not signed"),
        ((group_member(),), (group_member("new"),), ("sam", "sara", "new"), "team has not signed"),
    ],
)
def test_a_vouched_release_is_asked_for_the_release_key_of_its_own_day(
    then: tuple[Member, ...], now: tuple[Member, ...], who: tuple[str, ...], words: str
) -> None:
    first = with_members(*then)
    release = Release(signers=who, now=LATER + timedelta(days=300))
    release.root = later_root(first, release.evidence_digest(), *now)
    release.change_files = added({root_file_name(1): signed_root(first)})
    decision = release.decide()
    assert decision.verdict.word is (Word.NOT_ENOUGH if words else Word.VERIFIED), decision.verdict
    assert words in signers(release).text


def test_without_a_vouching_the_new_root_s_release_key_is_asked_for() -> None:
    newer = signed_root(msgspec.structs.replace(group_root(), version=2))
    release = Release(change_files=added({root_file_name(2): newer}))
    assert "the release key team has not signed" in signers(release).text
    assert verdict(replace(release, signers=ALL)) is Word.VERIFIED


# --- a group of owners -------------------------------------------------------------------------


def test_a_group_of_owners_signs_root_and_layout_as_one_owner() -> None:
    root = with_members(group_member("board", roles=("owner",)))
    release = Release(root=root, owners=("olga", "board"), root_signers=("olga", "board"))
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED, decision.verdict
    assert "2 owners signed" in step(release, "layout").text
    assert public_of(group_member("board")) in root.roles.root.keyids
    alone = replace(release, root_signers=("board",))
    assert "signed by 1 of its own owners" in step(alone, "root").text
    alone = replace(release, owners=("board",))
    assert "1 of the 2 owners" in step(alone, "layout").text


# --- keys of the other kinds -------------------------------------------------------------------


def test_ecdsa_and_rsa_signers_count_as_every_other() -> None:
    root = with_members(ecdsa_member(), rsa_member())
    message = pae(INTOTO_PAYLOAD, statement_payload())
    edda, rita = (p for p in check_root(root) if p.name in {"edda", "rita"})
    good = (
        Signature(keyid=edda.keyid, sig=sign_ecdsa(message)),
        Signature(keyid=rita.keyid, sig=sign_pss(message)),
    )
    release = Release(root=root, change_files=signed_by((), *good))
    assert verdict(release) is Word.VERIFIED
    assert signers(release).text == "2 of 5 signed (need 2): edda rita"
    false = (good[0], msgspec.structs.replace(good[1], sig=sign_pss(b"other")))
    assert "rita: signature" in signers(replace(release, change_files=signed_by((), *false))).text
    alone = replace(release, change_files=signed_by((), good[0], good[0]))
    assert "1 of the 2 signers" in signers(alone).text


# --- revoked keys ------------------------------------------------------------------------------


def revoking(keyid: str, *members: Member) -> Root:
    entry = RevokedKey(name="gone", keyid=keyid, reason="laptop stolen")
    return with_members(*members, revoked_keys=(entry,))


def raw_member(name: str, of: str) -> Member:
    return person(name, Ed25519Key(public=secret(of).verify_key.encode().hex()))


def keyid_of_member(who: Member) -> str:
    return next(p.keyid for p in check_root(with_members(who)) if p.name == who.name)


GROUP_CERTIFIED = certified(simple(openpgp_key("team")))
REVOKED: dict[str, tuple[str, Member]] = {
    "an Ed25519 key again": (keyid_of("eve"), raw_member("anna", "eve")),
    "an Ed25519 key as OpenPGP": (keyid_of("eve"), openpgp_member(openpgp_key("eve"))),
    "an Ed25519 key as a group": (keyid_of("eve"), group_member(key_of="eve")),
    "an Ed25519 key as a certified group": (keyid_of("team"), GROUP_CERTIFIED),
    "a group's certificate": (openpgp_key("team").fingerprint.lower(), GROUP_CERTIFIED),
    "an OpenPGP key again": (
        openpgp_key("eve").fingerprint.lower(),
        openpgp_member(openpgp_key("eve")),
    ),
    "an ECDSA key as OpenPGP": (
        keyid_of_member(ecdsa_member()),
        openpgp_member(Key(ecdsa_key())),
    ),
    "an RSA key as OpenPGP": (keyid_of_member(rsa_member()), openpgp_member(Key(rsa_key()))),
    "an RSA key with another scheme": (
        keyid_of_member(rsa_member()),
        rsa_member(scheme="rsa-pkcs1v15-sha512"),
    ),
}


@pytest.mark.parametrize("name", REVOKED)
def test_a_revoked_key_is_known_again_as_another_kind(name: str) -> None:
    keyid, who = REVOKED[name]
    with pytest.raises(InputError, match=f"the key of {who.name} is revoked: laptop stolen"):
        check_root(revoking(keyid, who))
    check_root(revoking("ab" * 32, who))


@pytest.mark.parametrize("kind", ["fingerprint", "keyid"])
def test_a_revoked_subkey_is_known_again(kind: str) -> None:
    """A certificate signs by its subkeys too: each has a fingerprint and a material."""
    primary, subkey = openpgp_key("petra"), openpgp_key("eve")
    ring = simple(primary) + packet(14, subkey.body) + binding(primary, subkey)
    who = person("petra", OpenPGPKey(certificate=b64(ring)))
    keyid = subkey.fingerprint.lower() if kind == "fingerprint" else keyid_of("eve")
    with pytest.raises(InputError, match="the key of petra is revoked"):
        check_root(revoking(keyid, who))
    check_root(revoking(keyid, openpgp_member(primary)))


def test_a_statement_of_strangers_says_that_the_release_key_is_missing_too() -> None:
    files = replaced(STATEMENT_FILE, sealed(statement_payload(), ["eve"]))
    said = signers(Release(root=group_root(), change_files=files))
    assert said.outcome is Outcome.MISSING
    assert "0 of the 2 signers needed; 1 by keys not in the root" in said.text
    assert make_root().policy.release_key is msgspec.UNSET
