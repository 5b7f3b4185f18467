"""The TUF client's walk along roots: who must have signed, and where it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relsign.errors import HostError, NotEnoughError, VerificationError
from relsign.trust.publication.repository import Place, TufClient
from tests.trust.tuf_repository import FAR, NOW, PAST, Repository, sealed, serving
from tests.trust.tuf_user import User

# --- root ----------------------------------------------------------------------------------------

Step = tuple[str, int, str]
"""Keys of the root role, threshold, and who signs; keys are letters."""

ROTATIONS: dict[str, tuple[list[Step], int]] = {
    "nothing changes": ([("a", 1, "a"), ("a", 1, "a")], 2),
    "a key is added": ([("a", 1, "a"), ("ab", 1, "a")], 2),
    "one key takes over, both sign": ([("a", 1, "a"), ("b", 1, "ab")], 2),
    "one key takes over, only the old signs": ([("a", 1, "a"), ("b", 1, "a")], 1),
    "one key takes over, only the new signs": ([("a", 1, "a"), ("b", 1, "b")], 1),
    "a stranger signs": ([("a", 1, "a"), ("a", 1, "c")], 1),
    "a stranger signs besides": ([("a", 1, "a"), ("a", 1, "ac")], 2),
    "nobody signs": ([("a", 1, "a"), ("a", 1, "")], 1),
    "two of three": ([("abc", 2, "ab"), ("abc", 2, "bc")], 2),
    "one of the two needed": ([("abc", 2, "ab"), ("abc", 2, "b")], 1),
    "the threshold rises and is met": ([("a", 1, "a"), ("ab", 2, "ab")], 2),
    "the threshold rises and is not met": ([("a", 1, "a"), ("ab", 2, "a")], 1),
    "the threshold falls, the old one is met": ([("ab", 2, "ab"), ("ab", 1, "ab")], 2),
    "the threshold falls, the old one is not met": ([("ab", 2, "ab"), ("ab", 1, "a")], 1),
    "everybody is replaced": ([("ab", 2, "ab"), ("cd", 2, "abcd")], 2),
    "everybody is replaced, one old missing": ([("ab", 2, "ab"), ("cd", 2, "acd")], 1),
    "everybody is replaced, one new missing": ([("ab", 2, "ab"), ("cd", 2, "abc")], 1),
    "two stay": ([("abc", 2, "ab"), ("bcd", 2, "bc")], 2),
    "a walk of three": ([("a", 1, "a"), ("b", 1, "ab"), ("c", 1, "bc")], 3),
    "a walk that fails at its end": ([("a", 1, "a"), ("b", 1, "ab"), ("c", 1, "ac")], 2),
}


@pytest.mark.parametrize("case", ROTATIONS)
def test_a_root_needs_the_owners_before_and_its_own(case: str, tmp_path: Path) -> None:
    steps, reached = ROTATIONS[case]
    repository = Repository()
    original = repository.signers["root"][0]
    repository.root.revoke_key(original.public_key.keyid, "root")
    keys = {letter: repository.add_key("root") for letter in "abcd"}
    repository.root.version = 0
    for members, threshold, signing in steps:
        role = repository.root.roles["root"]
        role.keyids = [keys[letter].public_key.keyid for letter in members]
        role.threshold = threshold
        for key in keys.values():
            repository.root.keys[key.public_key.keyid] = key.public_key
        repository.next_root([keys[letter] for letter in signing])
    with serving(repository) as server:
        user = User(server, tmp_path)
        if reached == len(steps):
            user.refresh()
        else:
            user.refused(VerificationError, "does not verify")
        assert user.version("root") == reached


def test_a_root_that_skips_a_version_is_refused(user: User) -> None:
    user.repository.root.version = 3
    data = sealed(user.repository.root, user.repository.signers["root"])
    user.repository.files["metadata/2.root.json"] = data
    user.refused(VerificationError, "version")


def test_a_root_of_the_same_version_is_refused(user: User) -> None:
    user.repository.files["metadata/2.root.json"] = user.repository.trusted_root
    user.refused(VerificationError, "version")
    assert user.version("root") == 1


def test_an_expired_root_on_the_way_is_passed(user: User) -> None:
    user.repository.root.expires = PAST
    user.repository.next_root()
    user.repository.root.expires = FAR
    user.repository.next_root()
    user.refresh()
    assert user.version("root") == 3


def test_an_expired_last_root_is_refused_and_kept(user: User) -> None:
    user.repository.root.expires = PAST
    user.repository.next_root()
    user.refused(NotEnoughError, "expired")
    assert user.versions() == (2, 0, 0, 0)
    user.repository.root.expires = FAR
    user.repository.next_root()
    user.refresh()
    assert user.version("root") == 3


def test_the_pinned_root_must_hold_by_itself(user: User) -> None:
    for data in (
        b"",
        b"[]",
        b"{}",
        sealed(user.repository.root, []),
        user.repository.files["metadata/timestamp.json"],
    ):
        user.root = data
        user.refused(VerificationError)


def test_one_signature_given_twice_counts_once(user: User) -> None:
    repository = user.repository
    repository.add_key("root")
    repository.root.roles["root"].threshold = 2
    repository.root.version = 2
    document = json.loads(sealed(repository.root, repository.signers["root"][:1]))
    document["signatures"] *= 2
    repository.files["metadata/2.root.json"] = json.dumps(document).encode()
    user.refused(VerificationError)
    assert user.version("root") == 1


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_one_key_under_two_names_is_refused(user: User, role: str) -> None:
    repository = user.repository
    signer = repository.signers[role][0]
    document = signer.public_key.to_dict()
    document["keyval"]["public"] = document["keyval"]["public"].upper()
    twin = type(signer.public_key).from_dict("ab" * 32, document)
    repository.root.add_key(twin, role)
    repository.next_root()
    user.refused(VerificationError, "one key under two names")
    assert user.version("root") == 1


def test_one_key_may_hold_two_roles(user: User) -> None:
    repository = user.repository
    signer = repository.signers["snapshot"][0]
    repository.root.add_key(signer.public_key, "timestamp")
    repository.next_root()
    user.refresh()
    assert user.version("root") == 2


def test_the_walk_along_roots_has_an_end(tmp_path: Path) -> None:
    repository = Repository()
    for _ in range(260):
        repository.next_root()
    repository.write(tmp_path / "site")
    site = tmp_path / "site"
    place = Place(f"{site}/metadata/", f"{site}/targets/")
    client = TufClient(place, tmp_path / "mine", repository.trusted_root, NOW)
    client.refresh()
    assert len(client.newer_roots(1)) == 256


@pytest.mark.parametrize("status", [403, 404])
def test_no_next_root_is_the_end_of_the_walk(user: User, status: int) -> None:
    user.server.status["metadata/2.root.json"] = status
    user.refresh()
    assert user.version("root") == 1


@pytest.mark.parametrize("status", [500, 400])
def test_any_other_answer_is_not(user: User, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    user.server.status["metadata/2.root.json"] = status
    user.refused(HostError, f"status {status}")
    assert user.versions() == (1, 0, 0, 0)
