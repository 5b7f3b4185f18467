"""The TUF client against a repository that does everything wrong, one thing at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.system.fetch import FetchLimits, network_environment
from relsign.trust.repository import Place, TufClient, project_place, read_listing
from tests.trust.tuf_repository import FAR, NOW, PAST, Repository, TufServer, sealed, serving


class User:
    """A person with a TUF client's folder, who looks at a server now and then."""

    def __init__(self, server: TufServer, folder: Path) -> None:
        self.server = server
        self.repository = server.repository
        self.folder = folder / "metadata"
        self.scratch = folder / "scratch"
        self.root = self.repository.trusted_root
        self.hash_names = True
        self.limits = FetchLimits(retries=1)

    def client(self, now: datetime = NOW) -> TufClient:
        url = self.server.url
        place = Place(f"{url}/metadata/", f"{url}/targets/", self.hash_names)
        return TufClient(place, self.folder, self.root, now, self.limits)

    def refresh(self, now: datetime = NOW) -> None:
        self.client(now).refresh()

    def read(self, path: str) -> bytes:
        return self.client().read_target(path, self.scratch)

    def version(self, role: str) -> int:
        """Return the version of a role that was believed; 0 where none was."""
        path = self.folder / f"{role}.json"
        return json.loads(path.read_bytes())["signed"]["version"] if path.exists() else 0

    def versions(self) -> tuple[int, ...]:
        return tuple(self.version(role) for role in ("root", "timestamp", "snapshot", "targets"))

    def refused(self, kind: type[RelsignError], words: str = "") -> None:
        """Demand that a refresh is refused with that error."""
        with pytest.raises(kind) as caught:
            self.refresh()
        assert words in str(caught.value)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with serving(Repository()) as server:
        yield User(server, tmp_path)


def test_a_first_refresh_believes_all_four(user: User) -> None:
    user.refresh()
    assert user.versions() == (1, 1, 1, 1)
    assert user.server.asked == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/1.snapshot.json",
        "metadata/1.targets.json",
    ]
    listing = read_listing(user.folder)
    assert listing is not None
    assert listing.timestamp == user.repository.files["metadata/timestamp.json"]


def test_what_was_believed_is_not_fetched_again(user: User) -> None:
    user.refresh()
    user.server.asked.clear()
    user.refresh()
    assert user.server.asked == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_all_four_go_forward(user: User) -> None:
    user.refresh()
    user.repository.next_root()
    user.repository.bump()
    user.refresh()
    assert user.versions() == (2, 2, 2, 2)
    assert user.client().newer_roots(1) == (user.repository.files["metadata/2.root.json"],)
    assert user.client().newer_roots(2) == ()


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


# --- the network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("2.root.json", 512_000),
        ("timestamp.json", 16_384),
        ("1.snapshot.json", 2_000_000),
        ("1.targets.json", 5_000_000),
    ],
)
def test_every_file_is_bounded(user: User, name: str, size: int) -> None:
    repository = user.repository
    repository.timestamp.snapshot_meta.length = None
    repository.snapshot.meta["targets.json"].length = None
    repository.publish_snapshot()
    repository.timestamp.snapshot_meta.length = None
    repository.publish_timestamp()
    repository.files[f"metadata/{name}"] = b" " * (size + 1)
    user.refused(VerificationError, "more than is allowed")


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json"])
def test_an_endless_file_ends_here(user: User, name: str) -> None:
    user.server.endless.add(f"metadata/{name}")
    user.refused(VerificationError, "more than is allowed")


def test_a_server_that_drips_is_given_up(user: User) -> None:
    user.server.slow.add("metadata/timestamp.json")
    user.limits = FetchLimits(slowest=256, read_seconds=0.3)
    user.refused(HostError, "too slow")


def test_a_body_that_breaks_off_is_asked_for_again(user: User) -> None:
    user.server.breaks.extend(["metadata/timestamp.json", "metadata/1.targets.json"])
    user.refresh()
    assert user.versions() == (1, 1, 1, 1)
    assert user.server.asked.count("metadata/timestamp.json") == 2


def test_a_body_that_always_breaks_off_is_the_networks_fault(user: User) -> None:
    user.server.breaks.extend(["metadata/timestamp.json"] * 9)
    user.refused(HostError, "download failed")


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_a_failure_leaves_the_client_able_to_retry(user: User, name: str) -> None:
    whole = user.repository.files[f"metadata/{name}"]
    user.repository.files[f"metadata/{name}"] = b"{}"
    user.refused(VerificationError)
    del user.repository.files[f"metadata/{name}"]
    user.refused(NotEnoughError, "lacks a file")
    user.repository.files[f"metadata/{name}"] = whole
    user.refresh()
    assert user.versions() == (1, 1, 1, 1)


def test_a_damaged_memory_is_fetched_anew(user: User) -> None:
    user.refresh()
    for role in ("timestamp", "snapshot", "targets"):
        (user.folder / f"{role}.json").write_bytes(b"{")
    user.refresh()
    assert user.versions() == (1, 1, 1, 1)


def test_without_a_network_nothing_is_lost(user: User) -> None:
    user.refresh()
    place = Place("http://127.0.0.1:1/metadata/", "http://127.0.0.1:1/targets/")
    client = TufClient(place, user.folder, user.root, NOW, FetchLimits(retries=0))
    with pytest.raises(HostError, match="download failed"):
        client.refresh()
    assert user.versions() == (1, 1, 1, 1)


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["file.txt", "a/b/file.txt", "a b/ü.txt"])
@pytest.mark.parametrize("hash_names", [True, False])
def test_a_target_arrives(user: User, path: str, *, hash_names: bool) -> None:
    user.repository.add_target(path, b"data")
    user.repository.bump()
    user.hash_names = hash_names
    user.repository.files = {
        name.replace(" ", "%20").replace("ü", "%C3%BC"): data
        for name, data in user.repository.files.items()
    }
    assert user.read(path) == b"data"
    assert not user.scratch.exists()
    asked = user.server.asked[-1].rpartition("/")[2]
    assert (asked == path.rpartition("/")[2]) is (not hash_names and path.isascii())


def test_without_consistent_snapshots_names_are_plain(tmp_path: Path) -> None:
    repository = Repository(consistent=False)
    repository.add_target("file.txt", b"data")
    repository.bump()
    with serving(repository) as server:
        user = User(server, tmp_path)
        assert user.read("file.txt") == b"data"
        assert server.asked[2:] == [
            "metadata/snapshot.json",
            "metadata/targets.json",
            "targets/file.txt",
        ]


@pytest.mark.parametrize("served", [b"dat", b"date", b"data and more", b""])
def test_other_bytes_are_no_target(user: User, served: bytes) -> None:
    user.repository.add_target("file.txt", b"data")
    user.repository.bump()
    for name in [n for n in user.repository.files if n.startswith("targets/")]:
        user.repository.files[name] = served
    with pytest.raises(VerificationError):
        user.read("file.txt")
    assert not user.scratch.exists()


def test_an_unknown_target_is_not_enough(user: User) -> None:
    with pytest.raises(NotEnoughError, match="no such target"):
        user.read("file.txt")


def test_a_target_may_not_be_huge(user: User) -> None:
    user.repository.add_target("file.txt", b"data")
    user.repository.targets.targets["file.txt"].length = 1 << 40
    user.repository.bump()
    with pytest.raises(VerificationError, match="too large"):
        user.read("file.txt")


def test_a_kept_target_is_not_fetched_again(user: User, tmp_path: Path) -> None:
    user.repository.add_target("a/file.txt", b"data")
    user.repository.bump()
    kept = user.client().save_target("a/file.txt", tmp_path)
    assert kept.read_bytes() == b"data"
    user.server.asked.clear()
    assert user.client().save_target("a/file.txt", tmp_path) == kept
    assert not [name for name in user.server.asked if name.startswith("targets/")]


# --- delegations ---------------------------------------------------------------------------------


def test_a_delegated_target_arrives(user: User) -> None:
    user.repository.delegate("targets", "friends", ["friends/*"])
    user.repository.add_target("friends/file.txt", b"data", "friends")
    user.repository.bump()
    assert user.read("friends/file.txt") == b"data"


def test_a_role_cannot_speak_of_paths_it_was_not_given(user: User) -> None:
    user.repository.delegate("targets", "friends", ["friends/*"])
    user.repository.add_target("mine/file.txt", b"data", "friends")
    user.repository.bump()
    with pytest.raises(NotEnoughError, match="no such target"):
        user.read("mine/file.txt")


def test_delegations_are_followed_to_a_bound(user: User) -> None:
    parent = "targets"
    for number in range(40):
        user.repository.delegate(parent, f"r{number}", ["*"])
        parent = f"r{number}"
    user.repository.add_target("deep.txt", b"data", "r39")
    user.repository.add_target("near.txt", b"data", "r20")
    user.repository.bump()
    assert user.read("near.txt") == b"data"
    with pytest.raises(NotEnoughError, match="no such target"):
        user.read("deep.txt")


def test_a_circle_of_delegations_ends(user: User) -> None:
    user.repository.delegate("targets", "a", ["*"])
    user.repository.delegate("a", "b", ["*"])
    user.repository.delegate("b", "a", ["*"])
    user.repository.bump()
    with pytest.raises(NotEnoughError, match="no such target"):
        user.read("nowhere.txt")


def test_a_terminating_delegation_is_the_last_word(user: User) -> None:
    user.repository.delegate("targets", "first", ["*"], terminating=True)
    user.repository.delegate("targets", "second", ["*"])
    user.repository.add_target("file.txt", b"data", "second")
    user.repository.bump()
    with pytest.raises(NotEnoughError, match="no such target"):
        user.read("file.txt")


def test_a_delegated_role_needs_its_own_key(user: User) -> None:
    user.repository.delegate("targets", "friends", ["*"])
    user.repository.signers["friends"] = user.repository.signers["targets"]
    user.repository.add_target("file.txt", b"data", "friends")
    user.repository.bump()
    with pytest.raises(VerificationError, match="friends"):
        user.read("file.txt")


@pytest.mark.parametrize("role", ["?", "#", "/role", "../role", "a b", "%2e%2e", "\u00fc"])
def test_a_roles_name_is_no_path(user: User, role: str) -> None:
    user.repository.delegate("targets", role, ["*"])
    user.repository.add_target("file.txt", b"data", role)
    user.repository.bump()
    assert user.read("file.txt") == b"data"
    assert f"metadata/1.{quote(role, '')}.json" in user.server.asked
    kept = {path.name for path in user.folder.iterdir() if path.suffix == ".json"}
    expected = {"root.json", "timestamp.json", "snapshot.json", "targets.json"}
    assert kept == {*expected, f"{quote(role, '')}.json"}


def test_unknown_fields_are_signed_and_passed_over(user: User) -> None:
    repository = user.repository
    repository.root.unrecognized_fields["x-other"] = {"a": [1, "b"]}
    repository.root.roles["root"].unrecognized_fields["x-role"] = "c"
    repository.next_root()
    user.refresh()
    assert user.version("root") == 2


# --- places --------------------------------------------------------------------------------------


def test_a_folder_serves_as_well(tmp_path: Path) -> None:
    repository = Repository()
    repository.add_target("file.txt", b"data")
    repository.bump()
    repository.write(tmp_path / "site")
    place = Place(f"{tmp_path}/site/metadata/", f"{tmp_path}/site/targets/", True)  # noqa: FBT003
    client = TufClient(place, tmp_path / "mine", repository.trusted_root, NOW)
    assert client.read_target("file.txt", tmp_path / "scratch") == b"data"
    (tmp_path / "site/metadata/timestamp.json").write_bytes(b" " * 16_385)
    client = TufClient(place, tmp_path / "mine", repository.trusted_root, NOW)
    with pytest.raises(VerificationError, match="more than is allowed"):
        client.refresh()


def test_no_target_leads_out_of_a_folder(tmp_path: Path) -> None:
    repository = Repository()
    (tmp_path / "secret.txt").write_bytes(b"data")
    repository.add_target("../../secret.txt", b"data")
    repository.bump()
    del repository.files["targets/../../secret.txt"]
    repository.write(tmp_path / "site")
    place = Place(f"{tmp_path}/site/metadata/", f"{tmp_path}/site/targets/")
    client = TufClient(place, tmp_path / "mine", repository.trusted_root, NOW)
    with pytest.raises(NotEnoughError, match="lacks a file"):
        client.read_target("../../secret.txt", tmp_path / "scratch")


@pytest.mark.parametrize(
    ("source", "metadata"),
    [
        ("https://example.org/demo", "https://example.org/demo/metadata/"),
        ("http://example.org/demo/", "http://example.org/demo/metadata/"),
    ],
)
def test_a_projects_place_is_its_folder(source: str, metadata: str) -> None:
    assert project_place(source).metadata == metadata


def test_a_place_may_be_a_folder_and_nothing_else(tmp_path: Path) -> None:
    assert project_place(str(tmp_path)) == Place(f"{tmp_path}/metadata/", f"{tmp_path}/")
    for source in ("file:///etc", "ftp://example.org/", str(tmp_path / "absent"), ""):
        if source:
            with pytest.raises(InputError):
                project_place(source)
