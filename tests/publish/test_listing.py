"""A project with a publisher: what it lists is TUF metadata, and stock clients follow it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api._payload import TargetFile
from tuf.api.exceptions import (
    DownloadError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from relsign.formats.bundle import make_bundle, parse_bundle
from relsign.formats.listing import ListedRelease, parse_timestamp
from relsign.formats.root import parse_root
from relsign.publish.index import read_index
from relsign.system.fetch import network_environment
from relsign.verify.freshness import verify_listing
from relsign.verify.root import open_root
from tests.build.served import served
from tests.projects import Project, make_project
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]
FIRST = "1.0/demo-1.0.relsign"
SECOND = "1.1/demo-1.1.relsign"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def listed_template(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """Return the folder of a signed project with a publisher, to be copied."""
    folder = tmp_path_factory.mktemp("listed")
    project = make_project(folder / "project", keys, folder / "site", publisher=True)
    return project.signed().folder


@pytest.fixture
def signed(tmp_path: Path, keys: Path, listed_template: Path) -> Project:
    """Return a project whose first release is signed and not published."""
    folder = shutil.copytree(listed_template, tmp_path / "project")
    return Project(folder, keys, tmp_path / "site")


@pytest.fixture
def published(signed: Project) -> Project:
    assert signed.publish_as("pia") == 0
    return signed


def metadata(project: Project) -> Path:
    return project.site / "demo" / "metadata"


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".publish.lock"
    }


def names(project: Project) -> set[str]:
    return {path.name for path in metadata(project).iterdir()}


def releases(project: Project) -> tuple[ListedRelease, ...]:
    return read_index(metadata(project)).releases()


def stamp(project: Project) -> int:
    """Return the version of the timestamp."""
    return parse_timestamp((metadata(project) / "timestamp.json").read_bytes()).signed.version


def make_next(project: Project, version: str = "1.1", *, follows: bool = True) -> None:
    """Turn to another version, build it, and have it signed as the release after 1.0."""
    recipe = project.workspace.recipe_file
    now = f'version = "{project.release.version}"'
    recipe.write_text(recipe.read_text().replace(now, f'version = "{version}"'))
    previous = ("--previous", str(project.published / "demo-1.0.relsign")) if follows else ()
    project.compile()
    for builder in ("builder-a", "builder-b"):
        project.build(builder)
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    for name in ("sam", "sven"):
        assert project.run_signing("sign", "--as", name, "--yes", *previous) == 0


def back_to_first(project: Project) -> None:
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.1"', 'version = "1.0"'))


class StockClient:
    """A person with python-tuf and the first root, who looks at the site now and then."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.root = (metadata(project) / "1.root.json").read_bytes()

    def look(self, *targets: str) -> dict[str, TargetFile]:
        """Follow the site over HTTP; return what it lists of some bundles, each downloaded."""
        cache, downloads = self.folder / "cache", self.folder / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        config = UpdaterConfig(prefix_targets_with_hash=False)
        found: dict[str, TargetFile] = {}
        with served(self.project.site / "demo") as url:
            client = Updater(
                str(cache), f"{url}/metadata/", str(downloads), f"{url}/",
                config=config, bootstrap=self.root,
            )  # fmt: skip
            client.refresh()
            for path in targets:
                info = client.get_targetinfo(path)
                assert info is not None, path
                data = Path(client.download_target(info)).read_bytes()
                assert data == (self.project.site / "demo" / path).read_bytes()
                found[path] = info
        return found


@pytest.fixture
def client(published: Project, tmp_path: Path) -> StockClient:
    return StockClient(published, tmp_path / "stock")


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


# --- what is not listed --------------------------------------------------------------------------


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
    contents = parse_bundle(path.read_bytes(), path.name).contents(path.name)
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
