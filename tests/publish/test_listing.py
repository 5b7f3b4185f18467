"""A project with a publisher: what it lists is TUF metadata, and stock clients follow it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.exceptions import (
    DownloadError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)

from relsign.formats.listing import parse_timestamp
from relsign.publish.index import read_index
from relsign.verify.freshness import verify_listing
from relsign.verify.root import open_root
from tests.projects import Project
from tests.publish.listed import (
    FIRST,
    SECOND,
    Capture,
    StockClient,
    back_to_first,
    make_next,
    metadata,
    names,
    releases,
    stamp,
    tree,
)
from tests.verify.releases import NAME

# --- the first release -------------------------------------------------------------------------


def test_a_stock_client_follows_from_the_first_root(
    published: Project, client: StockClient
) -> None:
    assert names(published) == {
        "1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json",
    }  # fmt: skip
    (entry,) = releases(published)
    assert (entry.version, entry.sequence) == ("1.0", 1)
    custom = client.look(FIRST)[FIRST].custom
    assert custom == {
        "sequence": 1, "statement_sha256": entry.statement_sha256, "version": "1.0",
    }  # fmt: skip
    assert (metadata(published) / "1.root.json").read_bytes() == published.root_file.read_bytes()
    assert published.verify(published.published / NAME) == 0


def flip_bundle(project: Project) -> None:
    path = project.published / "demo-1.0.relsign"
    path.write_bytes(path.read_bytes().replace(b"demo", b"evil", 1))


def flip_targets(project: Project) -> None:
    path = metadata(project) / "1.targets.json"
    path.write_bytes(path.read_bytes().replace(b'"version":"1.0"', b'"version":"6.6"'))


def flip_timestamp(project: Project) -> None:
    path = metadata(project) / "timestamp.json"
    path.write_bytes(path.read_bytes().replace(b'"project":"demo"', b'"project":"evil"'))


def lose_snapshot(project: Project) -> None:
    (metadata(project) / "1.snapshot.json").unlink()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (flip_bundle, LengthOrHashMismatchError),
        (flip_targets, RepositoryError),
        (flip_timestamp, UnsignedMetadataError),
        (lose_snapshot, DownloadError),
    ],
)
def test_a_stock_client_refuses_what_a_server_changed(
    published: Project,
    client: StockClient,
    damage: Callable[[Project], None],
    kind: type[Exception],
) -> None:
    before = tree(published.site)
    damage(published)
    assert tree(published.site) != before
    with pytest.raises(kind):
        client.look(FIRST)


def test_publishing_twice_says_again_when_it_was_said(published: Project, capsys: Capture) -> None:
    before = tree(published.site)
    assert published.publish_as("pia") == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err
    after = tree(published.site)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"demo/metadata/timestamp.json"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the root names publishers, and none of them signs"),
        (("--root-only",), "the root names publishers, and none of them signs"),
        (("--refresh",), "the root names publishers, and none of them signs"),
        (("--as", "sam"), "no publisher of that name"),
        (("--as", "paul"), "no publisher of that name"),
        (("--as", "pia", "--refresh", "--root-only"), "two different things"),
    ],
)
def test_nobody_but_a_publisher_publishes(
    signed: Project, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    assert signed.run_signing("publish", "--to", str(signed.site), *words) == 2
    assert said in capsys.readouterr().err
    assert not signed.site.exists()


def test_a_project_without_publishers_lists_nothing(project: Project, capsys: Capture) -> None:
    project.signed()
    assert project.publish_as("pia") == 2
    assert "no publisher of that name" in capsys.readouterr().err
    assert project.run("publish", "--refresh", "--to", str(project.site)) == 2
    assert "--refresh needs a publisher" in capsys.readouterr().err
    assert not project.site.exists()
    assert project.publish() == 0
    assert names(project) == {"1.root.json"}


def test_what_the_gate_refuses_is_not_listed(signed: Project) -> None:
    for path in signed.release.build_of("builder-b").glob("build.*.link"):
        path.unlink()
    assert signed.publish_as("pia") == 3
    assert not signed.published.exists()
    assert not metadata(signed).exists()


# --- crashes -----------------------------------------------------------------------------------


def before_the_listing(folder: Path) -> None:
    shutil.rmtree(folder)


def after_the_root(folder: Path) -> None:
    for path in folder.glob("*"):
        if path.name != "1.root.json":
            path.unlink()


def before_the_timestamp(folder: Path) -> None:
    (folder / "timestamp.json").unlink()


def amid_a_file(folder: Path) -> None:
    (folder / "timestamp.json").unlink()
    (folder / "1.snapshot.json").rename(folder / ".1.snapshot.json.0123.tmp")


@pytest.mark.parametrize(
    "crash", [before_the_listing, after_the_root, before_the_timestamp, amid_a_file]
)
def test_a_crash_before_the_listing_is_mended_by_the_same_command(
    published: Project, client: StockClient, capsys: Capture, crash: Callable[[Path], None]
) -> None:
    crash(metadata(published))
    capsys.readouterr()
    assert published.publish_as("pia") == 0
    assert "ALREADY PUBLISHED  demo 1.0" in capsys.readouterr().err
    assert [entry.version for entry in releases(published)] == ["1.0"]
    client.look(FIRST)


def test_a_crash_before_the_second_listing_is_mended(
    published: Project, client: StockClient, tmp_path: Path
) -> None:
    client.look(FIRST)
    shutil.copytree(metadata(published), tmp_path / "old")
    make_next(published)
    assert published.publish_as("pia") == 0
    shutil.rmtree(metadata(published))
    shutil.copytree(tmp_path / "old", metadata(published))
    # Whoever looks meanwhile sees the old listing, whole.
    client.look(FIRST)
    assert published.publish_as("pia") == 0
    client.look(FIRST, SECOND)


# --- refresh -----------------------------------------------------------------------------------


def test_a_refresh_renews_the_timestamp_alone(
    published: Project, client: StockClient, capsys: Capture
) -> None:
    client.look(FIRST)
    before = tree(published.site)
    capsys.readouterr()
    assert published.publish_as("pia", "--refresh") == 0
    assert "REFRESHED" in capsys.readouterr().err
    after = tree(published.site)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "demo/metadata/timestamp.json"
    }
    assert stamp(published) == 2
    client.look(FIRST)


def test_nothing_can_be_refreshed_before_it_is_published(signed: Project, capsys: Capture) -> None:
    assert signed.publish_as("pia", "--refresh") == 2
    assert "no listing is published yet" in capsys.readouterr().err
    assert tree(signed.site) == {}


# --- the second release ------------------------------------------------------------------------


def test_a_second_release_makes_the_versions_grow(published: Project, client: StockClient) -> None:
    client.look(FIRST)
    make_next(published)
    assert published.publish_as("pia") == 0
    assert names(published) == {
        "1.root.json", "1.targets.json", "1.snapshot.json", "2.targets.json", "2.snapshot.json",
        "timestamp.json",
    }  # fmt: skip
    assert stamp(published) == 2
    found = client.look(FIRST, SECOND)
    assert [found[path].custom["sequence"] for path in (FIRST, SECOND)] == [1, 2]
    assert [(e.version, e.sequence) for e in releases(published)] == [("1.0", 1), ("1.1", 2)]


def test_a_second_release_of_the_same_number_is_refused(
    published: Project, capsys: Capture
) -> None:
    make_next(published, follows=False)
    before = tree(published.site)
    capsys.readouterr()
    assert published.publish_as("pia") == 1
    said = capsys.readouterr().err
    assert "another release is published under this version or number" in said
    assert "hint: " in said
    assert tree(published.site) == before


def test_renewed_evidence_of_an_older_release_makes_it_no_newer(
    published: Project, client: StockClient, capsys: Capture
) -> None:
    make_next(published)
    assert published.publish_as("pia") == 0
    old, new = releases(published)
    client.look(FIRST, SECOND)
    back_to_first(published)
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    capsys.readouterr()
    assert published.publish_as("pia") == 0
    assert "RENEWED  demo 1.0" in capsys.readouterr().err
    renewed, newest = releases(published)
    assert newest == new
    assert renewed.bundle_sha256 != old.bundle_sha256
    assert (renewed.sequence, renewed.statement_sha256) == (old.sequence, old.statement_sha256)
    assert client.look(FIRST, SECOND)[SECOND].custom["sequence"] == 2


# --- another publisher -------------------------------------------------------------------------


def test_another_publisher_signs_everything_anew(
    published: Project, client: StockClient, tmp_path: Path, capsys: Capture
) -> None:
    client.look(FIRST)
    shutil.copytree(metadata(published), tmp_path / "old")
    published.remove_member("pia")
    published.add_member("paul")
    published.new_root()
    before = tree(published.site)
    # The old key counts no more, and the new one does not before its root is public.
    assert published.publish_as("pia", "--root-only") == 2
    assert "no publisher of that name" in capsys.readouterr().err
    assert published.publish_as("paul", "--refresh") == 2
    assert "your root is not published here yet" in capsys.readouterr().err
    assert tree(published.site) == before
    assert published.publish_as("paul", "--root-only") == 0
    assert names(published) == {
        "1.root.json", "2.root.json", "1.targets.json", "1.snapshot.json",
        "2.targets.json", "2.snapshot.json", "timestamp.json",
    }  # fmt: skip
    client.look(FIRST)
    StockClient(published, tmp_path / "newcomer").look(FIRST)
    files = read_index(metadata(published)).files
    root = open_root(published.root_file.read_bytes())
    assert files is not None
    assert root.root.version == 2
    now = parse_timestamp(files.timestamp).signed.stamp.signed_at
    assert verify_listing(root.having("publisher"), files, now).newest is not None
    # What the old key signed is worth nothing beside the new root.
    shutil.copy(tmp_path / "old" / "timestamp.json", metadata(published))
    with pytest.raises(UnsignedMetadataError):
        StockClient(published, tmp_path / "late").look()


def test_a_crash_before_the_listing_of_the_new_publisher_is_mended(
    published: Project, client: StockClient, tmp_path: Path
) -> None:
    shutil.copytree(metadata(published), tmp_path / "old")
    published.remove_member("pia")
    published.add_member("paul")
    published.new_root()
    assert published.publish_as("paul", "--root-only") == 0
    shutil.rmtree(metadata(published))
    shutil.copytree(tmp_path / "old", metadata(published))
    assert published.publish_as("paul", "--root-only") == 0
    client.look(FIRST)
