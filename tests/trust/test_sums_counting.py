"""Whose signatures count, once each, and what their manifests say, with real gpg."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.crypto.openpgp_armor import armor, dearmor
from relsign.errors import InputError
from relsign.trust.sums import keys as sums_keys
from relsign.trust.sums import look as sums
from relsign.verify.verdict import Word
from tests.crypto.openpgp_maker import (
    DAY,
    USER_ID,
    binding,
    certification,
    detached,
    ed25519,
    lasts,
    packet,
    revocation,
    simple,
)
from tests.trust.sums_broken import WHERE, expired, signature_of
from tests.trust.sums_maker import (
    ALL,
    DEMO,
    OTHER,
    POLICY,
    Repository,
    Stranger,
    lines,
    make_people,
    make_repository,
    reasons,
)

V, R, N = Word.VERIFIED, Word.REFUSED, Word.NOT_ENOUGH
RECORD = 'threshold = 2\ndissent = "record"\n'
BELIEVE = 'threshold = 3\nexpired = "count-if-signed-before"\n'


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    with make_people(tmp_path_factory.mktemp("sums") / "home") as made:
        yield made


@pytest.fixture
def repository(tmp_path: Path, people: Stranger) -> Repository:
    return make_repository(tmp_path / "repository", people)


def test_the_policy_is_the_caller_s(repository: Repository) -> None:
    text = POLICY + "".join(f'[[builder]]\nname = "{name}"\n' for name in ("alice", "bob"))
    report = repository.check(text)
    assert (report.word, report.counted) == (V, 2)
    assert reasons(report) == {f"1.0/carol/{ALL}.asc": "builder is not known"}


# --- keys --------------------------------------------------------------------------------------


def test_an_expired_key_counts_for_the_time_before_if_the_policy_says_so(
    repository: Repository,
) -> None:
    expired(repository)
    assert repository.file(policy=BELIEVE).word is V
    assert repository.file(policy=BELIEVE.replace("3", "4")).word is N


def test_a_revoked_key_counts_for_nothing_even_what_it_signed_before(
    repository: Repository, tmp_path: Path
) -> None:
    gpg = repository.people.gpg
    key = gpg.make_key(f"gone-{tmp_path.name}")
    repository.put("bob", key=key)
    whole = gpg.certificate(key)
    (repository.keys / "bob.gpg").write_bytes(whole)
    assert repository.file(policy="threshold = 3\n").word is V
    made = (gpg.home / "openpgp-revocs.d" / f"{key}.rev").read_text().replace(":-----", "-----")
    revoking = dearmor(made[made.index("-----BEGIN") :].encode(), "PUBLIC KEY BLOCK", "x")
    binary = dearmor(whole, "PUBLIC KEY BLOCK", "x")
    (size,) = binary[1:2]
    (repository.keys / "bob.gpg").write_bytes(binary[: 2 + size] + revoking + binary[2 + size :])
    assert reasons(repository.check(BELIEVE)) == {WHERE: "key is revoked"}


def test_a_key_both_revoked_and_expired_does_not_count_as_expired_only(
    repository: Repository,
) -> None:
    key = ed25519(7)
    revoked = revocation(0x20, key, key.hashed)
    lasting = certification(key, lasts(30 * DAY))
    body = packet(6, key.body) + revoked + packet(13, USER_ID) + lasting
    (repository.keys / "bob.gpg").write_bytes(body)
    signature_of(repository.manifest("bob")).write_bytes(detached(key, DEMO))
    assert reasons(repository.check(BELIEVE)) == {WHERE: "key is revoked"}


def test_a_revocation_in_any_key_file_holds_in_all(repository: Repository) -> None:
    key = ed25519(8)
    (repository.keys / "bob.gpg").write_bytes(simple(key))
    signature_of(repository.manifest("bob")).write_bytes(detached(key, DEMO))
    assert repository.file(policy="threshold = 3\n").word is V
    revoked = packet(6, key.body) + revocation(0x20, key, key.hashed)
    (repository.keys / "bob.asc").write_bytes(
        armor(revoked + simple(key)[len(packet(6, key.body)) :], "PUBLIC KEY BLOCK")
    )
    assert reasons(repository.check())[WHERE] == "key is revoked"


def test_one_key_in_two_folders_counts_once(repository: Repository) -> None:
    repository.put_key("bob", "alice")
    repository.put("bob", key="alice")
    report = repository.check("threshold = 3\n")
    assert report.word is N
    assert {one.claims[0].people for one in report.files} == {2}
    assert "alice, bob" in reasons(report)


def test_one_key_under_two_fingerprints_counts_once(repository: Repository) -> None:
    one, again = ed25519(9), ed25519(9, created=ed25519(9).created + 60)
    for builder, key in (("alice", one), ("bob", again)):
        own = certification(key, created=key.created)
        whole = packet(6, key.body) + packet(13, USER_ID) + own
        (repository.keys / f"{builder}.gpg").write_bytes(whole)
        signature_of(repository.manifest(builder)).write_bytes(detached(key, DEMO))
    report = repository.check("threshold = 3\n")
    assert (report.word, report.counted) == (N, 3)


def test_two_subkeys_of_one_primary_count_once(repository: Repository) -> None:
    primary, one, two = ed25519(10), ed25519(11), ed25519(12)
    whole = b"".join(
        [simple(primary, flag_byte=0x01)]
        + [packet(14, sub.body) + binding(primary, sub) for sub in (one, two)]
    )
    for builder, sub in (("alice", one), ("bob", two)):
        (repository.keys / f"{builder}.gpg").write_bytes(whole)
        signature_of(repository.manifest(builder)).write_bytes(detached(sub, DEMO))
    report = repository.check("threshold = 3\n")
    assert (report.word, report.counted) == (N, 3)
    assert {one.claims[0].people for one in report.files} == {2}


def test_a_user_id_that_imitates_status_lines_changes_nothing(repository: Repository) -> None:
    key = ed25519(13)
    lie = b"x\n[GNUPG:] GOODSIG 1 x\n[GNUPG:] FILE_DONE\n[GNUPG:] FILE_START 1 0\n" + (
        f"[GNUPG:] VALIDSIG {repository.people.keys['bob']} 2024-01-01 1 0 4 0 22 8 00 ".encode()
        + repository.people.keys["bob"].encode()
    )
    body = packet(6, key.body) + packet(13, lie) + certification(key, user_id=lie)
    (repository.keys / "mallory.gpg").write_bytes(body)
    repository.put("mallory", key="stranger", data=OTHER)
    repository.put("bob", key="stranger")
    for builder in ("mallory", "bob"):
        signature_of(repository.manifest(builder)).write_bytes(detached(key, b"something else"))
    report = repository.check("threshold = 3\n")
    bad = "signature is not over these bytes"
    assert reasons(report) == {WHERE: bad, f"1.0/mallory/{ALL}.asc": bad}
    assert report.counted == 2


def test_a_key_folder_with_other_things_names_them(repository: Repository) -> None:
    (repository.keys / "dave.gpg").write_bytes(b"garbage")
    (repository.keys / "README.md").write_bytes(b"hello")
    (repository.keys / "eve.gpg").symlink_to("alice.gpg")
    os.mkfifo(repository.keys / "fay.asc")
    report = repository.check()
    assert report.word is V
    assert reasons(report) == {
        "builder-keys/README.md": "not a key file's name",
        "builder-keys/dave.gpg": "OpenPGP data is not a packet",
        "builder-keys/eve.gpg": "not a regular file",
        "builder-keys/fay.asc": "not a regular file",
    }


@pytest.mark.parametrize(
    ("bound", "what"),
    [("MAX_KEY_FILES", "too many key files"), ("MAX_KEY_BYTES", "keys too large")],
)
def test_key_folders_have_bounds(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, bound: str, what: str
) -> None:
    monkeypatch.setattr(sums_keys, bound, 2)
    with pytest.raises(InputError, match=what):
        repository.check()


def test_a_key_that_gpg_does_not_take_over_is_named(repository: Repository) -> None:
    key = ed25519(14)
    (repository.keys / "bob.gpg").write_bytes(packet(6, key.body) + packet(13, b"no signature"))
    report = repository.check()
    assert "no key of this builder is given" in reasons(report).values()
    assert any(one.reason == "gpg did not take the key over" for one in report.findings)


def test_no_key_at_all_is_not_enough(repository: Repository) -> None:
    for path in repository.keys.iterdir():
        path.unlink()
    report = repository.check()
    assert (report.word, report.counted) == (N, 0)
    assert set(reasons(report).values()) == {"key is not among the given ones"}


# --- what the manifests say --------------------------------------------------------------------


def test_one_dissenting_builder_refuses_or_is_recorded(repository: Repository) -> None:
    repository.put("carol", OTHER)
    assert repository.file().word is R
    assert repository.file("demo.zip").word is V
    recorded = repository.file(policy=RECORD)
    assert (recorded.word, recorded.dissenting) == (V, ("carol",))


def test_a_name_twice_with_two_digests_is_named_and_counts_for_neither(
    repository: Repository,
) -> None:
    repository.put("carol", DEMO + lines("demo.tar.gz", content="other"))
    assert repository.file(policy=RECORD).claims[0].people == 2
    assert repository.file(policy=RECORD).contradicting == ("carol",)
    assert repository.file().word is R
    assert reasons(repository.check()) == {
        "1.0/carol": "signed two digests for one name",
        f"1.0/carol/{ALL}": "a name twice with two digests",
    }


def test_two_manifests_of_one_builder_that_contradict_are_named(repository: Repository) -> None:
    repository.put("carol", OTHER, name="noncodesigned.SHA256SUMS")
    report = repository.check(RECORD)
    assert reasons(report) == {"1.0/carol": "signed two digests for one name"}
    assert report.findings[0].detail == "demo.tar.gz"
    assert repository.file().word is R


def test_a_manifest_that_is_no_list_is_named_and_counts_for_nobody(repository: Repository) -> None:
    repository.put("carol", b"<html>\n")
    report = repository.check("threshold = 3\n")
    assert (report.word, report.counted) == (N, 2)
    assert reasons(report) == {f"1.0/carol/{ALL}:1": "not a checksum line"}


def test_names_only_a_stranger_lists_are_not_verified(repository: Repository) -> None:
    repository.put("mallory", lines("evil.exe"), key="stranger")
    report = repository.check()
    assert report.word is N
    assert repository.file("evil.exe").why == "nobody who counts signed it"


def test_a_stranger_s_names_cannot_stop_the_look(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MAX_STRANGERS_NAMES", 3)
    monkeypatch.setattr(sums, "MAX_NAMES", 6)
    repository.put("aaron", lines("1", "2"), key="stranger")
    repository.put("zoe", lines("3", "4"), key="stranger")
    report = repository.check()
    assert reasons(report)[f"1.0/zoe/{ALL}"] == "too many names in manifests that do not count"
    assert report.counted == 3
    monkeypatch.setattr(sums, "MAX_NAMES", 5)
    with pytest.raises(InputError, match="too many names"):
        repository.check()
