"""Timestamp, snapshot and targets: nothing goes back, and all hangs together."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from relsign.errors import NotEnoughError, VerificationError
from tests.trust.tuf_repository import FAR, PAST, Repository, sealed
from tests.trust.tuf_user import User

# --- timestamp, snapshot, targets ----------------------------------------------------------------


def test_a_timestamp_that_goes_back_is_refused(user: User) -> None:
    user.repository.timestamp.version = 5
    user.repository.publish_timestamp()
    user.refresh()
    user.repository.timestamp.version = 4
    user.repository.publish_timestamp()
    user.refused(VerificationError, "version")
    assert user.version("timestamp") == 5


def test_a_timestamp_of_the_same_version_changes_nothing(user: User) -> None:
    user.refresh()
    before = (user.folder / "timestamp.json").read_bytes()
    user.repository.timestamp.expires = FAR + timedelta(days=1)
    user.repository.publish_timestamp()
    user.refresh()
    assert (user.folder / "timestamp.json").read_bytes() == before


def test_withheld_news_are_noticed_once_the_timestamp_expires(user: User) -> None:
    user.refresh()
    user.refresh(FAR - timedelta(seconds=1))
    with pytest.raises(NotEnoughError, match="expired") as caught:
        user.refresh(FAR + timedelta(days=1))
    assert caught.value.hint


Change = Callable[[Repository], None]


def _snapshot_back(repository: Repository) -> None:
    repository.snapshot.version = 1
    repository.timestamp.version += 1
    repository.publish_snapshot()


def _other_snapshot(repository: Repository) -> None:
    repository.bump()
    repository.snapshot.expires = FAR + timedelta(days=1)
    repository.place("snapshot", sealed(repository.snapshot, repository.signers["snapshot"]), 4)


def _longer_snapshot(repository: Repository) -> None:
    repository.bump()
    repository.files["metadata/4.snapshot.json"] += b" "


def _snapshot_of_another_version(repository: Repository) -> None:
    repository.bump()
    repository.snapshot.version = 9
    data = sealed(repository.snapshot, repository.signers["snapshot"])
    repository.place("snapshot", data, 4)
    repository.timestamp.snapshot_meta.length = None
    repository.timestamp.snapshot_meta.hashes = None
    repository.publish_timestamp()


def _no_targets(repository: Repository) -> None:
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    repository.snapshot.meta = {}
    repository.publish_snapshot()


def _targets_back(repository: Repository) -> None:
    repository.targets.version = 1
    repository.bump_snapshot()


def _other_targets(repository: Repository) -> None:
    repository.bump()
    repository.targets.expires = FAR + timedelta(days=1)
    repository.place("targets", sealed(repository.targets, repository.signers["targets"]), 4)


def _targets_of_another_version(repository: Repository) -> None:
    repository.bump()
    repository.targets.version = 9
    repository.place("targets", sealed(repository.targets, repository.signers["targets"]), 4)
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    repository.snapshot.meta["targets.json"].length = None
    repository.snapshot.meta["targets.json"].hashes = None
    repository.publish_snapshot()


def _delegation_vanishes(repository: Repository) -> None:
    repository.delegated.clear()
    repository.bump_snapshot()


BACKWARD: dict[str, tuple[Change, str]] = {
    "snapshot goes back": (_snapshot_back, "snapshot version"),
    "snapshot is another": (_other_snapshot, "hash"),
    "snapshot is longer": (_longer_snapshot, "more than is allowed"),
    "snapshot has another version": (_snapshot_of_another_version, "snapshot version"),
    "targets vanish": (_no_targets, "missing info for"),
    "a delegated role vanishes": (_delegation_vanishes, "missing info for"),
    "targets go back": (_targets_back, "targets.json version"),
    "targets are others": (_other_targets, "hash"),
    "targets have another version": (_targets_of_another_version, "Expected targets v"),
}


@pytest.mark.parametrize("case", BACKWARD)
def test_nothing_goes_back_and_all_hangs_together(user: User, case: str) -> None:
    change, words = BACKWARD[case]
    user.repository.delegate("targets", "friends", ["friends/*"])
    user.repository.bump()
    user.repository.bump()
    user.refresh()
    assert user.versions() == (1, 3, 3, 3)
    change(user.repository)
    user.refused(VerificationError, words)
    assert user.version("targets") == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_metadata_is_not_enough(user: User, role: str) -> None:
    getattr(user.repository, role).expires = PAST
    user.repository.publish()
    user.refused(NotEnoughError, "expired")
    assert user.version("targets") == 0


def _serve(repository: Repository, role: str, data: bytes) -> None:
    """Serve other bytes as version 2 of a role, so that no digest tells of it."""
    names = {"root": "2.root", "timestamp": "timestamp"}
    repository.files[f"metadata/{names.get(role, f'2.{role}')}.json"] = data
    for holder, held in (
        (repository.timestamp.snapshot_meta, "snapshot"),
        (repository.snapshot.meta["targets.json"], "targets"),
    ):
        if held == role:
            holder.length = holder.hashes = None
    if role == "targets":
        repository.publish_snapshot()
    elif role == "snapshot":
        repository.publish_timestamp()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"signatures": [], "signed": 1}', b"\xff", b"[" * 20_000, b"1" * 10_000],
)
def test_malformed_metadata_is_refused(user: User, role: str, data: bytes) -> None:
    user.refresh()
    user.repository.bump()
    _serve(user.repository, role, data)
    user.refused(VerificationError)
    assert user.version(role) == 1


def _false(repository: Repository, role: str, how: str) -> bytes:
    """Return a role's next version, published, with something wrong about its signature."""
    if role == "root":
        repository.next_root()
    else:
        repository.bump()
    other = "snapshot" if role == "targets" else "targets"
    signers = repository.signers
    if how == "unsigned":
        return sealed(getattr(repository, role), [])
    if how == "by another role":
        return sealed(getattr(repository, role), signers[other])
    if how == "another's type":
        return sealed(getattr(repository, other), signers[role])
    document = json.loads(sealed(getattr(repository, role), signers[role]))
    document["signed"]["expires"] = "2027-01-01T00:00:00Z"
    return json.dumps(document).encode()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("how", ["unsigned", "altered", "by another role", "another's type"])
def test_metadata_must_be_signed_by_its_role(user: User, role: str, how: str) -> None:
    user.refresh()
    _serve(user.repository, role, _false(user.repository, role, how))
    user.refused(VerificationError)
    assert user.version(role) == 1


def test_a_role_may_need_several_signatures(user: User) -> None:
    repository = user.repository
    repository.add_key("snapshot")
    repository.root.roles["snapshot"].threshold = 2
    repository.next_root()
    repository.bump()
    user.refresh()
    assert user.version("snapshot") == 2
    repository.signers["snapshot"].pop()
    repository.bump()
    user.refused(VerificationError, "snapshot")
    assert user.version("snapshot") == 2


def test_a_false_signature_beside_enough_good_ones_does_no_harm(user: User) -> None:
    repository = user.repository
    repository.add_key("timestamp")
    repository.next_root()
    repository.bump()
    document = json.loads(repository.files["metadata/timestamp.json"])
    document["signatures"][0]["sig"] = "00" * 64
    repository.files["metadata/timestamp.json"] = json.dumps(document).encode()
    user.refresh()
    assert user.version("timestamp") == 2


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_stolen_key_that_ran_ahead_is_overcome_by_a_new_key(user: User, role: str) -> None:
    repository = user.repository
    repository.timestamp.version = 10_000
    repository.snapshot.version = 10_000
    repository.publish()
    user.refresh()
    repository.replace_keys("timestamp")
    repository.replace_keys(role)
    repository.next_root()
    repository.timestamp.version = 2
    repository.snapshot.version = 2 if role == "snapshot" else 10_001
    repository.publish()
    user.refresh()
    assert user.version("timestamp") == 2
    assert user.version("snapshot") == repository.snapshot.version


def test_another_specification_is_refused(user: User) -> None:
    user.repository.timestamp.spec_version = "2.0.0"
    user.repository.publish_timestamp()
    user.refused(VerificationError)
