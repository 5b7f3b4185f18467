"""A publisher lists what verifies and stands, whatever lies on the server's disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.formats.bundle import make_bundle, parse_bundle
from relsign.formats.listing import (
    Hashes,
    ListedRelease,
    MetaFile,
    Release,
    Snapshot,
    SnapshotFile,
    SnapshotOnly,
    TargetsFile,
    TargetsOnly,
    TimestampFile,
    parse_targets,
    parse_timestamp,
)
from relsign.formats.names import Digest
from relsign.formats.root import parse_root
from relsign.publish.index import read_index, release_entry
from tests.projects import Project
from tests.publish.listed import (
    FIRST,
    SECOND,
    Capture,
    StockClient,
    make_next,
    metadata,
    releases,
    tree,
)
from tests.verify.releases import NAME


def test_a_revoked_release_is_withdrawn_and_its_number_stays_taken(
    published: Project, client: StockClient, capsys: Capture
) -> None:
    make_next(published)
    assert published.publish_as("pia") == 0
    client.look(FIRST, SECOND)
    published.add_policy('[[revoked]]\nversion = "1.1"\nreason = "broken"\n')
    published.new_root()
    capsys.readouterr()
    assert published.publish_as("pia", "--root-only") == 0
    assert "1.1: revoked by this root" in capsys.readouterr().err
    assert [entry.version for entry in releases(published)] == ["1.0"]
    assert client.look(FIRST)[FIRST].custom["sequence"] == 1
    # Whoever saw number 2 remembers what it was.
    make_next(published, "1.2")
    capsys.readouterr()
    assert published.publish_as("pia") == 1
    assert "another release is published under this version or number" in capsys.readouterr().err
    assert [entry.version for entry in releases(published)] == ["1.0"]


def strip(folder: Path) -> None:
    """Take every link out of a published bundle."""
    path = folder / "demo-1.0.relsign"
    contents = parse_bundle(path.read_bytes(), path.name).files
    kept = {name: data for name, data in contents.items() if not name.endswith(".link")}
    path.write_bytes(make_bundle("demo", "1.0", kept).to_bytes())


def disguise(folder: Path) -> None:
    """Put the release there a second time, as an older version."""
    copy = shutil.copytree(folder, folder.with_name("0.9"))
    (copy / "demo-1.0.relsign").rename(copy / "demo-0.9.relsign")


@pytest.mark.parametrize(
    ("change", "version", "reason"),
    [
        (strip, "1.0", "at step 5, builders"),
        (disguise, "0.9", "it is the bundle of version 1.0"),
    ],
)
def test_what_somebody_changed_on_the_server_is_not_signed(
    published: Project,
    capsys: Capture,
    change: Callable[[Path], None],
    version: str,
    reason: str,
) -> None:
    make_next(published)
    change(published.published)
    before = tree(published.site)
    capsys.readouterr()
    assert published.publish_as("pia") == 1
    said = capsys.readouterr().err
    assert f"version {version} is not listed like this, and would not verify" in said
    assert reason in said
    assert tree(published.site) == before


def test_what_must_be_fresh_is_published_and_renewed(
    signed: Project, tmp_path: Path, capsys: Capture
) -> None:
    """A release may be judged before its listing is there, and after it has expired."""
    signed.add_policy("[freshness]\nrequired = true\ndays = 3\n")
    signed.new_root()
    assert signed.publish_as("pia") == 0
    capsys.readouterr()
    assert signed.publish_as("pia") == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err
    signed.remove_member("sara")
    signed.new_root()
    assert signed.publish_as("pia", "--root-only") == 0
    make_next(signed)
    assert signed.publish_as("pia") == 0
    StockClient(signed, tmp_path / "stock").look(FIRST, SECOND)
    capsys.readouterr()
    # Without a listing at hand, who verifies is told what is missing.
    assert signed.verify(signed.published / NAME) == 3
    assert "no listing of releases is at hand" in capsys.readouterr().out


def test_a_root_may_be_published_before_any_release(signed: Project, tmp_path: Path) -> None:
    assert signed.publish_as("pia", "--root-only") == 0
    assert releases(signed) == ()
    assert parse_root(signed.root_file.read_bytes()).signed.version == 1
    client = StockClient(signed, tmp_path / "stock")
    assert client.look() == {}
    assert signed.publish_as("pia") == 0
    client.look(FIRST)


def test_what_a_crash_left_beside_the_listing_is_removed(published: Project) -> None:
    left = published.site / "demo" / "metadata" / ".timestamp.json.0123abcd.tmp"
    left.write_bytes(b"{")
    assert published.publish_as("pia") == 0
    assert not left.exists()


def plant(project: Project, *entries: ListedRelease) -> None:
    """Write a listing that nobody signed, as whoever owns the server's disk can."""
    folder = metadata(project)
    before = parse_timestamp((folder / "timestamp.json").read_bytes()).signed
    present = read_index(folder).files
    assert present is not None
    targets = parse_targets(present.targets).signed
    table = {entry.bundle_path: next(iter(targets.targets.values())) for entry in entries}
    for entry in entries:
        custom = Release(
            sequence=entry.sequence,
            statement_sha256=Digest(entry.statement_sha256),
            version=entry.version,
        )
        table[entry.bundle_path] = msgspec.structs.replace(table[entry.bundle_path], custom=custom)
    listed = msgspec.structs.replace(targets, version=8, targets=table)
    data = TargetsFile(signatures=(), signed=listed).to_bytes()
    snapshot = Snapshot(expires=before.expires, version=8, meta=TargetsOnly(targets=meant(data)))
    meaning = SnapshotFile(signatures=(), signed=snapshot).to_bytes()
    stamp = msgspec.structs.replace(before, version=8, meta=SnapshotOnly(snapshot=meant(meaning)))
    (folder / "8.targets.json").write_bytes(data)
    (folder / "8.snapshot.json").write_bytes(meaning)
    (folder / "timestamp.json").write_bytes(TimestampFile(signatures=(), signed=stamp).to_bytes())


def meant(data: bytes) -> MetaFile:
    return MetaFile(hashes=Hashes(sha256=sha256_hex(data)), length=len(data), version=8)


MADE_UP = release_entry("demo", "9.9", 9, "9" * 64, b"no bundle")


def test_a_publisher_does_not_say_again_what_nobody_signed(
    published: Project, capsys: Capture
) -> None:
    plant(published, MADE_UP)
    before = tree(published.site)
    assert published.publish_as("pia", "--refresh") == 1
    assert "the published listing does not hold" in capsys.readouterr().err
    assert tree(published.site) == before


def test_a_planted_release_is_judged_though_a_planted_listing_has_it(
    published: Project, capsys: Capture
) -> None:
    copy = shutil.copytree(published.published, published.published.with_name("9.9"))
    (copy / "demo-1.0.relsign").rename(copy / "demo-9.9.relsign")
    plant(published, *releases(published), MADE_UP)
    capsys.readouterr()
    assert published.publish_as("pia", "--root-only") == 1
    assert "it is the bundle of version 1.0" in capsys.readouterr().err


def test_a_listing_is_refreshed_only_for_the_versions_that_are_there(
    published: Project, capsys: Capture
) -> None:
    shutil.rmtree(published.published)
    assert published.publish_as("pia", "--refresh") == 1
    assert "not of the versions published" in capsys.readouterr().err
