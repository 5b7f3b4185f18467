"""`relsign verify --explain`: keys of every kind, and the release key, by stock tools."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.formats.envelope import Signature, parse_envelope
from relsign.formats.root import Root
from relsign.formats.roster import EcdsaKey, Member, OpenPGPKey, RsaKey, RsaScheme
from relsign.verify.root import check_root
from relsign.verify.verdict import Word
from tests.build.gnupg_home import GnuPG
from tests.crypto.roster_keys import ecdsa_member, rsa_member, sign_ecdsa, sign_pkcs1, sign_pss
from tests.trust.replays import lasting, lay, release, run
from tests.verify.releases import group_member, make_root, sign_by, signature_by

Change = Callable[[dict[str, bytes]], dict[str, bytes]]
SCHEMES: dict[RsaScheme, Callable[[bytes], bytes]] = {
    "rsassa-pss-sha256": lambda message: sign_pss(message, 20),
    "rsa-pkcs1v15-sha512": sign_pkcs1,
}


def signed_by_edda_and_rita(
    root: Root, rsa: Callable[[bytes], bytes], *, forge: str = ""
) -> Change:
    """Let an ECDSA and an RSA signer sign the statement; one may sign other bytes."""
    keyids = {party.name: party.keyid for party in check_root(root)}

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        envelope = parse_envelope(files["release.statement"], "statement")
        made = tuple(
            Signature(
                keyid=keyids[name],
                sig=sign(envelope.signed_bytes() + (b"." if name == forge else b"")),
            )
            for name, sign in (("edda", sign_ecdsa), ("rita", rsa))
        )
        return {**files, "release.statement": envelope.with_signatures(made).to_bytes()}

    return change


def others(scheme: RsaScheme) -> Root:
    """Return a root in which an ECDSA and an RSA key are signers' too."""
    more = (ecdsa_member(), rsa_member(scheme=scheme))
    return lasting(members=tuple(sorted((*make_root().members, *more), key=lambda m: m.name)))


@pytest.mark.parametrize("forge", ["", "edda", "rita"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_ecdsa_and_rsa_signers_are_checked_with_openssl(
    tmp_path: Path, scheme: RsaScheme, forge: str
) -> None:
    root = others(scheme)
    change = signed_by_edda_and_rita(root, SCHEMES[scheme], forge=forge)
    decision, steps = lay(tmp_path, release(root, signers=(), change_files=change))
    assert (decision.verdict.word is Word.VERIFIED) is (not forge), decision.verdict
    failed = run(tmp_path, steps)
    assert list(failed) == ([3] if forge else [])
    assert all(f"{forge}." in line and "-verify" in line for line in failed.get(3, []))
    assert len(failed.get(3, [])) == bool(forge)
    checks = [c for c in steps[3].commands if c.startswith("openssl pkeyutl -verify")]
    assert len(checks) == 2
    # What openssl was told of is the key of the root, not one of the bundle.
    for member in (ecdsa_member(), rsa_member(scheme=scheme)):
        assert isinstance(member.key, EcdsaKey | RsaKey)
        (der,) = (tmp_path / "by-hand").glob(f"{member.name}.*.der")
        assert der.read_bytes() == base64.b64decode(member.key.public)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_openssl_is_told_the_one_scheme_of_a_key(tmp_path: Path, scheme: RsaScheme) -> None:
    """A signature that the key made by another scheme fails in the shell as it does here."""
    root = others(scheme)
    (other,) = (sign for name, sign in SCHEMES.items() if name != scheme)
    change = signed_by_edda_and_rita(root, other)
    it = release(root, signers=(), change_files=change)
    decision, steps = lay(tmp_path, it)
    assert decision.verdict.word is Word.REFUSED
    failed = run(tmp_path, steps)
    assert [len(failed[number]) for number in failed] == [1]
    assert "rita." in failed[3][0]


def with_release_key(asked: str | msgspec.UnsetType = msgspec.UNSET) -> Root:
    members = (*make_root().members, group_member())
    return lasting(members=tuple(sorted(members, key=lambda m: m.name)), release_key=asked)


def test_the_release_key_is_shown_where_the_root_asks_for_it(tmp_path: Path) -> None:
    signers = ("sam", "sara", "team")
    decision, steps = lay(tmp_path, release(with_release_key(), signers=signers))
    assert decision.verdict.word is Word.VERIFIED
    assert run(tmp_path, steps) == {}
    words = "2 different people of the root signed that statement"
    assert steps[3].promise == f"{words}, and the release key team did too"
    assert sum("/team." in c and "-verify" in c for c in steps[3].commands) == 1
    # Who shares it is seen in the root.
    assert any('"participants":["sam","sara","sven"]' in c for c in steps[3].commands)


@pytest.mark.parametrize("root", [with_release_key("optional"), lasting()])
def test_the_release_key_is_not_promised_where_nobody_asks_for_it(
    tmp_path: Path, root: Root
) -> None:
    decision, steps = lay(tmp_path, release(root, signers=("sam", "sara", "team")))
    assert decision.verdict.word is Word.VERIFIED
    assert steps[3].promise == "2 different people of the root signed that statement"
    assert not [c for c in steps[3].commands if "/team." in c]
    assert run(tmp_path, steps) == {}


def test_a_false_signature_of_the_release_key_fails(tmp_path: Path) -> None:
    def forge(files: dict[str, bytes]) -> dict[str, bytes]:
        envelope = parse_envelope(files["release.statement"], "statement")
        keyid = signature_by("team", envelope.payload).keyid
        false = Signature(keyid=keyid, sig=sign_by("other-team", envelope.signed_bytes()))
        both = envelope.with_signatures((false,))
        return {**files, "release.statement": both.to_bytes()}

    decision, steps = lay(tmp_path, release(with_release_key(), change_files=forge))
    assert decision.verdict.word is Word.REFUSED
    failed = run(tmp_path, steps)
    assert [len(failed[number]) for number in failed] == [1]
    assert "/team." in failed[3][0]


def test_a_release_key_that_has_not_signed_has_no_line(tmp_path: Path) -> None:
    decision, steps = lay(tmp_path, release(with_release_key()))
    assert decision.verdict.word is Word.NOT_ENOUGH
    assert "and the release key team" in steps[3].promise
    assert not [c for c in steps[3].commands if "/team." in c]


@pytest.fixture
def gnupg(tmp_path: Path) -> Iterator[GnuPG]:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    made = GnuPG(home)
    yield made
    made.stop()


@pytest.mark.parametrize("good", [True, False])
def test_openpgp_signers_are_checked_with_gpgv(tmp_path: Path, gnupg: GnuPG, *, good: bool) -> None:
    key = gnupg.make_key("pia@example.org", at="20260101T000000")
    certificate = base64.b64encode(gnupg.run("--export", key)).decode()
    pia = Member(
        name="pia", operator="pia", organisation="acme", roles=("signer",),
        key=OpenPGPKey(certificate=certificate),
    )  # fmt: skip
    members = tuple(sorted((*make_root().members, pia), key=lambda m: m.name))

    def sign(files: dict[str, bytes]) -> dict[str, bytes]:
        envelope = parse_envelope(files["release.statement"], "statement")
        signed = tmp_path / "pae"
        signed.write_bytes(envelope.signed_bytes() + (b"" if good else b"."))
        made = gnupg.sign(signed, key, "--no-armor", at="20261101T000000")
        binary = gnupg.run("--dearmor", "--output", "-", made)
        whole = envelope.with_signatures((Signature(keyid=key.lower(), sig=binary),))
        return {**files, "release.statement": whole.to_bytes()}

    it = release(lasting(members=members), signers=("sam",), change_files=sign)
    decision, steps = lay(tmp_path, it)
    assert (decision.verdict.word is Word.VERIFIED) is good
    failed = run(tmp_path, steps)
    assert list(failed) == ([] if good else [3])
    assert sum(command.startswith("gpgv ") for command in steps[3].commands) == 1
