"""The trust store: what was seen is never forgotten silently, whatever happens to a copy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError, NoRootError, NotEnoughError, VerificationError
from relsign.trust.pins.folder import PinFolder
from relsign.trust.pins.own_folder import alone, is_own_folder
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.formats.bad_names import BAD_NAMES
from tests.trust.roots import NOON, fork_root, pinned, root, seen, signed_root

COPIES = ("pin.json", "memory.json")


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return pinned(tmp_path / "trust", seen(1), seen(2))


def sequences(store: TrustStore) -> list[int]:
    return [entry.sequence for entry in store.recall("demo").seen]


def home(store: TrustStore) -> Path:
    return store.folder / "demo"


# --- keeping -----------------------------------------------------------------------------------


def test_a_pin_is_kept_with_its_root_and_memory(store: TrustStore) -> None:
    kept = store.recall("demo")
    assert (kept.pin.project, kept.pin.version, kept.note) == ("demo", 1, "")
    assert kept.pin.root_sha256 == open_root(signed_root(root())).digest
    assert kept.roots == (signed_root(root()),)
    assert kept.seen == (seen(1), seen(2))
    assert store.names() == ("demo",)
    assert (store.find("demo"), store.find("Demo")) == (("demo",), ())


def test_only_the_owner_can_look_in(store: TrustStore) -> None:
    metadata = store.metadata_folder("demo")
    folders = (store.folder, home(store), home(store) / "roots", metadata)
    assert {stat.S_IMODE(f.stat().st_mode) for f in folders} == {0o700}
    files = [f for f in store.folder.rglob("*") if f.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}


def test_seeing_a_release_again_writes_nothing(store: TrustStore) -> None:
    before = [(home(store) / name).stat() for name in COPIES]
    store.remember("demo", seen(2))
    assert [(home(store) / name).stat() for name in COPIES] == before


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "none")
    assert (store.names(), store.find("demo"), store.find_pin("demo")) == ((), (), None)
    assert not store.has_folder("demo")
    for act in (store.recall, store.standing_roots, store.remove):
        with pytest.raises(NoRootError, match="no root is pinned"):
            act("demo")
    with pytest.raises(NoRootError):
        store.remember("demo", seen(1))
    assert not store.folder.exists()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_is_never_a_way_out(store: TrustStore, name: str) -> None:
    trusted = open_root(signed_root(root()))
    before = sorted(store.folder.parent.rglob("*"))
    for act in (store.recall, store.remove, store.find_pin, store.metadata_folder):
        with pytest.raises(InputError):
            act(name)
    with pytest.raises(InputError):
        store.create(name, trusted, None, NOON)
    assert sorted(store.folder.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["demo", "Demo", "DEMO"])
def test_one_name_is_one_pin_in_any_case(store: TrustStore, name: str) -> None:
    with pytest.raises(InputError) as caught:
        store.create(name, open_root(fork_root()), None, NOON)
    assert "--name" in caught.value.hint
    assert store.names() == ("demo",)


def test_removing_forgets_all_of_it(store: TrustStore) -> None:
    store.remove("demo")
    assert store.names() == ()
    assert [p.name for p in store.folder.iterdir()] == [".lock"]
    store.create("demo", open_root(fork_root()), None, NOON)
    assert sequences(store) == []


# --- copies ------------------------------------------------------------------------------------


def test_a_deleted_memory_comes_back_and_is_said(store: TrustStore) -> None:
    (home(store) / "memory.json").unlink()
    kept = store.recall("demo")
    assert [entry.sequence for entry in kept.seen] == [1, 2]
    assert kept.note == "demo: memory.json was missing; restored from the other copy"
    assert store.recall("demo").note == ""
    assert (home(store) / "memory.json").exists()


@pytest.mark.parametrize("name", COPIES)
def test_an_old_backup_of_one_copy_takes_nothing_back(store: TrustStore, name: str) -> None:
    old = (home(store) / name).read_bytes()
    store.remember("demo", seen(3))
    store.accept_root("demo", signed_root(root(2)))
    (home(store) / name).write_bytes(old)
    kept = store.recall("demo")
    assert [entry.sequence for entry in kept.seen] == [1, 2, 3]
    assert len(kept.roots) == 2
    assert kept.note == f"demo: {name} knew less than its copy; restored from the other copy"
    assert store.recall("demo").note == ""


def test_every_byte_of_memory_may_change_and_nothing_is_forgotten(store: TrustStore) -> None:
    path = home(store) / "memory.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        joined = PinFolder(home(store)).read()
        assert joined is not None
        assert joined.pin.seen == (seen(1), seen(2))
        assert "memory.json was unusable" in joined.trouble
    assert "restored" in store.recall("demo").note
    assert path.read_bytes() == whole


def test_every_byte_of_the_pin_may_change_and_nothing_is_believed(store: TrustStore) -> None:
    path = home(store) / "pin.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError) as caught:
            store.recall("demo")
        assert "trust add" in caught.value.hint


@pytest.mark.parametrize("length", [0, 1, 300])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_cut_short_is_damage(store: TrustStore, name: str, length: int) -> None:
    path = home(store) / name
    path.write_bytes(path.read_bytes()[:length])
    if name == "memory.json":
        assert sequences(store) == [1, 2]
    else:
        with pytest.raises(InputError, match="the pin is damaged"):
            store.recall("demo")


def test_with_both_copies_gone_there_is_no_fresh_start(store: TrustStore) -> None:
    for name in COPIES:
        (home(store) / name).unlink()
    for act in (lambda: store.recall("demo"), lambda: store.remember("demo", seen(1))):
        with pytest.raises(InputError, match="the pin is gone") as caught:
            act()
        assert "words" in caught.value.hint
    assert store.find_pin("demo") is None


def test_both_copies_damaged_is_no_fresh_start(store: TrustStore) -> None:
    for name in COPIES:
        (home(store) / name).write_bytes(b"{}")
    with pytest.raises(InputError, match="damaged"):
        store.recall("demo")
    with pytest.raises(InputError, match="damaged"):
        store.find("demo")


def test_pinning_again_after_the_pin_was_lost_keeps_what_was_seen(store: TrustStore) -> None:
    (home(store) / "pin.json").write_bytes(b"junk")
    store.create("demo", open_root(signed_root(root())), None, NOON)
    assert sequences(store) == [1, 2]


def test_pinning_again_with_both_lost_starts_anew(store: TrustStore) -> None:
    for name in COPIES:
        (home(store) / name).write_bytes(b"junk")
    store.create("demo", open_root(signed_root(root())), None, NOON)
    assert sequences(store) == []


@pytest.mark.parametrize("data", [fork_root(), signed_root(root(project="Demo"))])
def test_a_fork_does_not_move_into_what_is_left_of_a_pin(store: TrustStore, data: bytes) -> None:
    (home(store) / "pin.json").unlink()
    with pytest.raises(InputError, match="does not belong to this root") as caught:
        store.create("demo", open_root(data), None, NOON)
    assert "trust remove demo" in caught.value.hint
    assert store.find_pin("demo") is None


def test_memory_of_another_project_is_not_taken_over(store: TrustStore) -> None:
    store.create("other", open_root(signed_root(root(project="other"))), None, NOON)
    (store.folder / "other" / "memory.json").replace(home(store) / "memory.json")
    assert sequences(store) == [1, 2]
    assert "of another project" not in store.recall("demo").note


def test_a_pin_moved_to_another_name_is_not_believed(store: TrustStore) -> None:
    home(store).rename(store.folder / "gzip")
    with pytest.raises(InputError, match="a pin of another name"):
        store.recall("gzip")
    assert store.find("demo") == ()


# --- two at once -------------------------------------------------------------------------------


def test_a_rival_that_came_meanwhile_is_refused(store: TrustStore) -> None:
    known = store.recall("demo").seen
    store.remember("demo", seen(3), known=known)
    for rival in (seen(3, "1.3.1", "ee" * 32), seen(4, "1.3", "ee" * 32)):
        with pytest.raises(VerificationError, match="two different releases") as caught:
            store.remember("demo", rival, known=known)
        assert "keep both" in caught.value.hint
    assert sequences(store) == [1, 2, 3]


def test_a_rival_the_decision_knew_of_is_remembered_beside_it(store: TrustStore) -> None:
    anew = seen(2, "1.2", "ee" * 32)
    store.remember("demo", anew, known=store.recall("demo").seen)
    assert store.recall("demo").seen == (seen(1), seen(2), anew)


def test_a_writer_that_does_not_end_is_named(store: TrustStore) -> None:
    with (
        alone(store.folder),
        pytest.raises(HostError, match="another command is writing"),
        alone(store.folder, patience_seconds=0.1),
    ):
        pass


# --- roots -------------------------------------------------------------------------------------


def test_newer_roots_are_kept_in_order(store: TrustStore) -> None:
    files = [signed_root(root(version)) for version in (1, 2, 3)]
    for data in files:
        store.accept_root("demo", data)
    assert store.accept_root("demo", files[1]).root.version == 3
    kept = store.recall("demo")
    assert list(kept.roots) == files
    assert (kept.pin.version, kept.pin.memory.root.version) == (1, 3)


def test_an_expired_root_between_is_no_obstacle(store: TrustStore) -> None:
    for data in (signed_root(root(2, days=-500)), signed_root(root(3))):
        store.accept_root("demo", data)
    assert len(store.recall("demo").roots) == 3


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (signed_root(root(3)), VerificationError, "not the next version"),
        (signed_root(root(2), ["olga"]), NotEnoughError, "signed by 1 of"),
        (signed_root(root(2), []), NotEnoughError, "signed by 0 of"),
        (signed_root(root(2, "Demo")), VerificationError, "another project"),
        (fork_root(2), NotEnoughError, "signed by 0 of the owners of version 1"),
        (fork_root(1), VerificationError, "another root of version 1"),
        (b"", InputError, "not valid JSON"),
        (b"x" * 512_001, InputError, "too large"),
    ],
)
def test_a_root_that_does_not_follow_is_not_accepted(
    store: TrustStore, data: bytes, error: type[Exception], words: str
) -> None:
    before = {p: p.read_bytes() for p in home(store).rglob("*") if p.is_file()}
    with pytest.raises(error, match=words):
        store.accept_root("demo", data)
    assert {p: p.read_bytes() for p in home(store).rglob("*") if p.is_file()} == before


def test_two_roots_of_one_version_are_named(store: TrustStore) -> None:
    store.accept_root("demo", signed_root(root(2)))
    with pytest.raises(VerificationError, match="another root of version 2") as caught:
        store.accept_root("demo", signed_root(root(2, days=91)))
    assert "keep both" in caught.value.hint


def spoil(path: Path, how: str) -> None:
    match how:
        case "deleted":
            path.unlink()
        case "damaged":
            path.write_bytes(path.read_bytes().replace(b"acme", b"evil"))
        case "another version's":
            path.write_bytes(signed_root(root(9)))
        case "a fork's":
            path.write_bytes(fork_root(int(path.name[0])))
        case _:
            path.unlink()
            path.symlink_to("/dev/zero")


@pytest.mark.parametrize("how", ["deleted", "damaged", "another version's", "a fork's", "a link"])
@pytest.mark.parametrize("version", [1, 3])
def test_a_lost_root_is_no_way_back_to_the_one_before(
    store: TrustStore, version: int, how: str
) -> None:
    files = [signed_root(root(number)) for number in (1, 2, 3)]
    for data in files:
        store.accept_root("demo", data)
    spoil(home(store) / "roots" / f"{version}.root.json", how)
    if version == 1:
        for read in (store.recall, store.standing_roots):
            with pytest.raises(InputError, match="the pinned root is missing") as caught:
                read("demo")
            assert "trust add" in caught.value.hint
        assert not store.holds_pinned_root("demo")
        with pytest.raises(VerificationError, match="not the root that is pinned"):
            store.put_back("demo", open_root(files[1]))
        store.put_back("demo", open_root(files[0]))
        assert store.holds_pinned_root("demo")
        assert store.recall("demo").roots == tuple(files)
    else:
        with pytest.raises(InputError, match="version 3 of the root is missing") as caught:
            store.recall("demo")
        assert "trust refresh demo" in caught.value.hint
        assert store.standing_roots("demo") == tuple(files[:2])
        store.accept_root("demo", files[2])
        assert store.recall("demo").roots == tuple(files)


def test_a_middle_root_that_was_lost_comes_back(store: TrustStore) -> None:
    files = [signed_root(root(number)) for number in (1, 2, 3)]
    for data in files:
        store.accept_root("demo", data)
    (home(store) / "roots" / "2.root.json").unlink()
    store.accept_root("demo", files[1])
    assert store.recall("demo").roots == tuple(files)


def test_a_walk_is_bounded(store: TrustStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relsign.trust.pins.store.MAX_ROTATIONS", 1)
    store.accept_root("demo", signed_root(root(2)))
    with pytest.raises(InputError, match="more than 1 versions"):
        store.accept_root("demo", signed_root(root(3)))
    assert len(store.recall("demo").roots) == 2


# --- whose store -------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["", "demo", "demo/roots"])
@pytest.mark.parametrize("how", ["link", "group-writable", "world-writable", "foreign", "file"])
def test_a_store_others_may_have_written_is_refused(
    store: TrustStore, place: str, how: str
) -> None:
    path = store.folder / place
    match how:
        case "link":
            path.rename(store.folder.parent / "elsewhere")
            path.symlink_to(store.folder.parent / "elsewhere")
            words = "not a folder of a trust store"
        case "group-writable" | "world-writable":
            path.chmod(0o770 if how == "group-writable" else 0o702)
            words = "others can write"
        case "foreign":
            if os.geteuid() != 0:
                # Only root can give a folder away; for others root's own folder is foreign.
                with pytest.raises(InputError, match="belongs to somebody else"):
                    is_own_folder(Path("/usr"))
                return
            os.chown(path, 12345, -1)
            words = "belongs to somebody else"
        case _:
            path.rename(store.folder.parent / "elsewhere")
            path.write_bytes(b"")
            words = "not a folder of a trust store"
    with pytest.raises(InputError, match=words) as caught:
        store.recall("demo")
    assert caught.value.hint
    with pytest.raises(InputError, match=words):
        store.accept_root("demo", signed_root(root(2)))


def test_a_dangling_link_in_the_place_of_the_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trust").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="not a folder"):
        pinned(tmp_path / "trust")
    assert not (tmp_path / "gone").exists()


def test_odd_files_in_a_store_are_no_pins(store: TrustStore) -> None:
    (store.folder / ".hidden").mkdir(mode=0o700)
    (store.folder / "a b").mkdir(mode=0o700)
    (store.folder / "file").write_bytes(b"")
    assert store.names() == ("demo",)
    (store.folder / "link").symlink_to(home(store))
    assert store.names() == ("demo", "link")
    assert store.find("demo") == ("demo",)
    with pytest.raises(InputError, match="not a folder"):
        store.recall("link")
