"""The TUF client against networks, targets, delegations and bytes of every kind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.system.fetch import FetchLimits
from relsign.trust.publication.listing import read_listing
from relsign.trust.publication.repository import Place, TufClient, project_place
from tests.trust.tuf_repository import NOW, Repository, serving
from tests.trust.tuf_user import User


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
    assert not (user.folder / "target.part").exists()
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
    assert not (user.folder / "target.part").exists()


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
    assert client.read_target("file.txt") == b"data"
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
        client.read_target("../../secret.txt")


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


# --- any bytes -----------------------------------------------------------------------------------

GOOD = Repository()
GOOD.next_root()
GOOD.delegate("targets", "friends", ["*"])
GOOD.add_target("file.txt", b"data", "friends")
GOOD.timestamp.snapshot_meta.length = None
GOOD.publish()
FILES = sorted(name for name in GOOD.files if name.startswith("metadata/"))


@settings(max_examples=150)
@given(st.sampled_from(FILES), st.data())
def test_any_bytes_are_refused_with_our_errors(
    tmp_path_factory: pytest.TempPathFactory, name: str, draw: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    GOOD.write(folder / "site")
    data = GOOD.files[name]
    place = draw.draw(st.integers(0, len(data) - 1))
    end = draw.draw(st.integers(place, min(len(data), place + 40)))
    changed = data[:place] + draw.draw(st.binary(max_size=20)) + data[end:]
    (folder / "site" / name).write_bytes(changed)
    root = (folder / "site/metadata/1.root.json").read_bytes()
    where = Place(f"{folder}/site/metadata/", f"{folder}/site/targets/")
    try:
        client = TufClient(where, folder / "mine", root, NOW)
        assert client.read_target("file.txt") == b"data"
    except RelsignError:
        return
