"""The store stays within bounds: what was unused for longest goes, what is needed stays."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from relsign.build.engine.connection import Engine, NotThereError
from relsign.build.engine.image import TAG_DIGITS, ensure_image, image_tag
from relsign.build.gc import (
    Limits,
    Needed,
    needed_by,
    remove_image,
    stamp_image,
    surplus_images,
    sweep,
)
from relsign.build.store import Store
from relsign.cli.store import store as command
from relsign.formats.names import Digest
from relsign.formats.recipe import parse_recipe
from relsign.system.files import hash_file
from relsign.system.workspace import Workspace
from tests.build.commanded import PROGRAM

ROOT = Path(__file__).parents[2]
NOTHING = Needed(frozenset(), frozenset())
ROOMY = Limits(max_bytes=1 << 40, max_images=1000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, size: int, used: int) -> Digest:
    """Put random bytes of that size in, last used so many seconds after 1970."""
    stored = store.add_new(lambda sink: sink.write(secrets.token_bytes(size)))
    os.utime(store.path(stored.sha256), (used, used))
    return stored.sha256


def kept(store: Store) -> set[str]:
    return {path.name for path in (store.root / "sha256").glob("*/*")}


def test_the_longest_unused_goes_first_and_no_more_than_needed(store: Store) -> None:
    middle, oldest, newest = (add(store, 100, used) for used in (2000, 1000, 3000))
    swept = sweep(store, None, Limits(250, 0), NOTHING)
    assert (swept.files, swept.bytes, swept.left_bytes) == (1, 100, 200)
    assert kept(store) == {middle, newest}
    assert oldest not in kept(store)


def test_what_is_needed_stays_however_old_and_large(store: Store) -> None:
    needed, other = add(store, 500, 1000), add(store, 100, 2000)
    swept = sweep(store, None, Limits(0, 0), Needed(frozenset({needed}), frozenset()))
    assert kept(store) == {needed}
    assert (swept.files, swept.left_bytes) == (1, 500)
    assert other not in kept(store)


def test_a_dry_run_removes_nothing(store: Store) -> None:
    digest = add(store, 100, 1000)
    assert sweep(store, None, Limits(0, 0), NOTHING, dry=True).files == 1
    assert kept(store) == {digest}


def test_what_was_broken_off_long_ago_goes_and_what_is_being_written_stays(store: Store) -> None:
    add(store, 100, 1000)
    old, new = (store.root / "sha256" / f".{letter * 24}.tmp" for letter in "ab")
    for path in (old, new):
        path.write_bytes(bytes(7))
    os.utime(old, (1000, 1000))
    assert (sweep(store, None, ROOMY, NOTHING, dry=True).bytes, old.exists()) == (7, True)
    swept = sweep(store, None, ROOMY, NOTHING)
    assert (swept.files, swept.bytes, swept.left_bytes) == (1, 7, 100)
    assert (old.exists(), new.exists()) == (False, True)


class Meanwhile(frozenset[Digest]):
    """Nothing needed; whoever asks whether `gone` is, finds the world changed."""

    store: Store
    used: Digest
    gone: Digest

    def __contains__(self, digest: object) -> bool:
        if digest == self.used:
            self.store.path(self.used)
        if digest == self.gone:
            self.store.path(self.gone).unlink()
        return False


def test_what_somebody_uses_or_removes_meanwhile_is_left_to_them(store: Store) -> None:
    needed = Meanwhile()
    needed.store = store
    needed.used, needed.gone, other = (add(store, 100, when) for when in (1000, 2000, 3000))
    swept = sweep(store, None, Limits(0, 0), Needed(needed, frozenset()))
    assert (swept.files, kept(store)) == (1, {needed.used})
    assert other not in kept(store)


def test_what_is_not_the_stores_is_left_alone(store: Store, tmp_path: Path) -> None:
    digest = add(store, 100, 1000)
    root, elsewhere = store.root / "sha256", tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / ("a" * 64)
    foreign = root / digest[:2] / "notes.txt"
    for path in (precious, foreign):
        path.write_bytes(bytes(1000))
    folder = root / digest[:2] / (digest[:2] + "b" * 62)
    folder.mkdir()
    pointer = root / digest[:2] / (digest[:2] + "c" * 62)
    pointer.symlink_to(precious)
    other = next(name for name in ("aa", "ab") if name != digest[:2])
    (root / other).symlink_to(elsewhere)
    (root / ".mine.tmp").mkdir()
    for path in (foreign, precious, folder, root / ".mine.tmp"):
        os.utime(path, (1, 1))
    swept = sweep(store, None, Limits(0, 0), NOTHING)
    assert (swept.files, swept.bytes, swept.left_bytes) == (1, 100, 0)
    assert not (root / digest[:2] / digest).exists()
    assert all(path.exists() for path in (precious, foreign, folder, pointer, root / ".mine.tmp"))


def test_two_at_once_get_along(store: Store) -> None:
    digests = {add(store, 10, 1000 + number) for number in range(200)}
    words = [sys.executable, "-c", PROGRAM, "store", "gc", "--max-size", "1000", "--json"]
    words += ["--store", str(store.root), "--project", str(store.root)]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/engine.sock"}
    both = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(json.loads(words)["files"] for words in said) == 100
    assert len(kept(store) & digests) == 100


def test_what_another_sweep_removed_first_is_not_made_up_for(store: Store) -> None:
    needed = Meanwhile()
    needed.store, needed.used = store, Digest("")
    needed.gone, middle, newest = (add(store, 100, when) for when in (1000, 2000, 3000))
    swept = sweep(store, None, Limits(200, 0), Needed(needed, frozenset()))
    assert (swept.files, swept.bytes, swept.left_bytes) == (0, 0, 200)
    assert kept(store) == {middle, newest}


def test_an_empty_store_is_swept_too(store: Store) -> None:
    assert sweep(store, None, Limits(0, 0), NOTHING).left_bytes == 0


def test_using_a_file_makes_it_young(store: Store) -> None:
    first, second = add(store, 100, 1000), add(store, 100, 2000)
    store.path(first)
    sweep(store, None, Limits(100, 0), NOTHING)
    assert kept(store) == {first}
    assert second not in kept(store)


@pytest.mark.parametrize(
    ("most", "needed", "gone"),
    [
        (3, "", ["a"]),
        (2, "", ["a", "b"]),
        (2, "a", ["b", "c"]),
        (0, "abcd", []),
        (4, "", []),
        (9, "", []),
    ],
)
def test_images_beyond_the_bound_go_oldest_first(most: int, needed: str, gone: list[str]) -> None:
    images = [(float(used), letter * TAG_DIGITS) for used, letter in enumerate("abcd")]
    keep = Needed(frozenset(), frozenset(Digest(letter * 64) for letter in needed))
    surplus = surplus_images(images, Limits(0, most), keep)
    assert surplus == [letter * TAG_DIGITS for letter in gone]


@pytest.mark.engine
def test_an_image_and_its_stamp_are_removed(engine: Engine, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo(secrets.token_hex(8)))
    digest = hash_file(path).sha256
    ensure_image(engine, digest, lambda: contextlib.nullcontext(path))
    stamp_image(store, digest)
    before = sweep(store, engine, ROOMY, NOTHING, dry=True)
    assert (before.images, before.left_images > 0) == (0, True)
    for _turn in range(2):  # the second time it is gone already
        remove_image(engine, store, digest[:TAG_DIGITS])
    with pytest.raises(NotThereError):
        engine.get(f"/images/{image_tag(digest)}/json", dict[str, object])
    assert list((store.root / "images").iterdir()) == []


def test_what_a_project_reads_is_needed(tmp_path: Path) -> None:
    example = "is-plain-object"
    folder = shutil.copytree(ROOT / "examples" / example, tmp_path / example)
    recipe = parse_recipe((folder / "relsign.toml").read_bytes())
    for name in recipe.builders:
        shutil.copytree(ROOT / "builders" / name, folder / "builders" / name)
    needed = needed_by(Workspace(folder))
    texts = [(folder / "relsign.toml").read_text()]
    texts += [(folder / "builders" / name / "builder.lock").read_text() for name in recipe.builders]
    stated = set(re.findall(r"\b[0-9a-f]{64}\b", "\n".join(texts)))
    # Nothing that the files do not state; of each kind of input, everything.
    assert needed.files <= stated
    assert {source.sha256 for source in recipe.source} <= needed.files
    for name in recipe.builders:
        lock = Workspace(folder).lock(name)
        assert {each.sha256 for each in lock.packages} <= needed.files
        assert lock.npm
        assert {each.sha256 for each in lock.npm} <= needed.files
        assert lock.rootfs.sha256 in needed.images
        assert lock.rootfs.sha256 in needed.files


def test_the_command_says_what_it_did_and_needs_no_engine(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    add(store, 100, 1000)
    words = ["gc", "--store", str(store.root), "--project", str(tmp_path), "--max-size"]
    done = CliRunner().invoke(command, [*words, "50", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["files"] == 1
    assert "images were not looked at" in done.stderr
    done = CliRunner().invoke(command, [*words, "1G", "--dry-run"])
    assert "would remove 0 files (0 B) and 0 images" in done.stdout


@pytest.mark.parametrize("size", ["-1", "1X", "much", "1.5G", "G"])
def test_a_size_that_is_none_is_refused(size: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["gc", "--store", str(tmp_path), "--max-size", size])
    assert done.exit_code == 2
    assert "is no size such as 20G" in done.stderr
