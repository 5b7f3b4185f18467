"""A new trust root: what it changes is said, and no published release falls by surprise."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.words import digest_words
from relsign.errors import HostError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle, parse_bundle
from relsign.formats.envelope import parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.root import parse_root
from relsign.publish.announce import Public
from relsign.publish.standing import judge_published, require_all_stand
from relsign.publish.targets.directory import publish_root
from relsign.sign.rules.root import root_chain
from relsign.system.clock import now_utc
from tests.projects import Project
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def published(project: Project) -> Project:
    assert project.signed().publish() == 0
    return project


def set_policy(project: Project, old: str, new: str) -> None:
    project.set_policy(old, new)
    project.new_root()


def without(project: Project, name: str) -> None:
    project.remove_member(name)
    project.new_root()


def words(root: bytes) -> str:
    return digest_words(sha256_hex(parse_root(root).signed.to_bytes()))


def make_version(project: Project, version: str, *more_builders: str) -> Path:
    recipe, before = project.workspace.recipe_file, project.published / "demo-1.0.relsign"
    text = recipe.read_text().replace('version = "1.0"', f'version = "{version}"')
    recipe.write_text(text)
    assert project.run("policy", "compile") == 0
    for builder in more_builders:
        project.build(builder)
    project.signed("--previous", str(before))
    return project.site / "demo" / version


def root_only(project: Project) -> int:
    return project.run("publish", "--root-only", "--to", str(project.site))


def keys(project: Project) -> dict[str, bytes]:
    folder = project.site / "demo" / "keys"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_first_root_is_shown_with_its_words(project: Project, capsys: Capture) -> None:
    project.signed()
    capsys.readouterr()
    assert project.publish() == 0
    said = capsys.readouterr().err
    assert "root.json: version 1, the first root here" in said
    assert words(project.root_file.read_bytes()) in said


def test_who_leaves_the_roster_leaves_the_keys(published: Project, capsys: Capture) -> None:
    before = keys(published)
    without(published, "sara")
    capsys.readouterr()
    assert root_only(published) == 0
    said = capsys.readouterr().err
    assert "root.json: version 1 → 2" in said
    assert "root.json: removed sara (signer)" in said
    assert words(published.root_file.read_bytes()) in said
    gone = {"sara.pem", "sara.minisign.pub"}
    assert keys(published) == {name: d for name, d in before.items() if name not in gone}
    assert published.verify(published.published / NAME) == 0
    assert root_only(published) == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err


def test_a_root_under_which_a_release_falls_is_refused(published: Project, capsys: Capture) -> None:
    before = published.root_file.read_bytes(), keys(published)
    set_policy(published, "signers = 2", "signers = 3")
    capsys.readouterr()
    assert root_only(published) == 1
    said = capsys.readouterr().err
    assert "version 1.0 would not verify under the new root" in said
    assert "NOT ENOUGH at step 3, signers" in said
    assert (published.root_file.read_bytes(), keys(published)) == before
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    capsys.readouterr()
    # The release that needed the third signature brings it, and the root with it.
    assert published.publish() == 0
    said = capsys.readouterr().err
    assert "RENEWED" in said
    assert "thresholds.signers 2 → 3" in said
    assert published.verify(published.published / NAME) == 0


def test_a_release_brings_no_root_under_which_another_falls(
    published: Project, capsys: Capture
) -> None:
    before = published.root_file.read_bytes()
    set_policy(published, "builders = 2", "builders = 3")
    folder = make_version(published, "1.1", "builder-c")
    capsys.readouterr()
    assert published.publish() == 1
    assert "version 1.0 would not verify" in capsys.readouterr().err
    assert not folder.exists()
    assert published.root_file.read_bytes() == before


def test_a_revoked_release_falls_and_is_named(published: Project, capsys: Capture) -> None:
    statement = published.release.folder / STATEMENT_FILE
    digest = sha256_hex(parse_envelope(statement.read_bytes(), STATEMENT_FILE).payload)
    published.add_policy(f'[[revoked]]\nstatement_sha256 = "{digest}"\nreason = "mistake"\n')
    published.new_root()
    capsys.readouterr()
    assert root_only(published) == 0
    said = capsys.readouterr().err
    assert "note: 1.0: revoked by this root" in said
    assert f"root.json: revoked statement {digest[:16]}: mistake\n" in said
    assert published.verify(published.published / NAME) == 1
    assert published.publish() == 1


def lose_bundle(folder: Path) -> None:
    (folder / "demo-1.0.relsign").unlink()


def spoil_bundle(folder: Path) -> None:
    (folder / "demo-1.0.relsign").write_bytes(b"{}")


def lose_artifact(folder: Path) -> None:
    (folder / NAME).unlink()


def change_artifact(folder: Path) -> None:
    (folder / NAME).write_bytes(b"changed")


@pytest.mark.parametrize("damage", [lose_bundle, spoil_bundle, lose_artifact, change_artifact])
def test_a_damaged_release_is_named_before_the_root_changes(
    published: Project, capsys: Capture, damage: Callable[[Path], None]
) -> None:
    before = published.root_file.read_bytes()
    damage(published.published)
    without(published, "sara")
    capsys.readouterr()
    assert root_only(published) == 1
    assert "version 1.0 would not verify under the new root" in capsys.readouterr().err
    assert published.root_file.read_bytes() == before


def test_links_and_hidden_folders_are_no_versions(published: Project) -> None:
    demo = published.site / "demo"
    (demo / "latest").symlink_to("1.0")
    (demo / ".well-known").mkdir()
    without(published, "sara")
    assert root_only(published) == 0


def test_an_expired_layout_is_no_fault_of_the_root(published: Project) -> None:
    demo, root = published.site / "demo", published.root_file.read_bytes()
    later = now_utc() + timedelta(days=400)
    assert judge_published(demo / "1.0", root, later).layout_expired
    (note,) = require_all_stand(demo, root, later)
    assert note.startswith("1.0: its layout has expired")
    assert require_all_stand(demo, root, later, besides="1.0") == ()
    assert require_all_stand(demo / "absent", root, later) == ()


def test_a_crash_before_the_root_is_mended_by_the_same_command(
    published: Project, tmp_path: Path, capsys: Capture
) -> None:
    """The release is there, keys and root are still the old ones."""
    set_policy(published, 'dissent = "refuse"', 'dissent = "record"')
    folder = make_version(published, "1.1")
    elsewhere = Project(published.folder, published.keys, tmp_path / "elsewhere")
    assert elsewhere.publish() == 0
    shutil.copytree(elsewhere.site / "demo" / "1.1", folder)
    capsys.readouterr()
    assert published.publish() == 0
    said = capsys.readouterr().err
    assert "ALREADY PUBLISHED  demo 1.1" in said
    assert "root.json: dissent refuse → record" in said
    assert parse_root(published.root_file.read_bytes()).signed.version == 2


def test_an_older_root_never_comes_back(published: Project, capsys: Capture) -> None:
    old = published.workspace.root_file.read_bytes()
    without(published, "sara")
    assert root_only(published) == 0
    new = published.root_file.read_bytes()
    capsys.readouterr()
    with pytest.raises(Exception, match="another trust root of this version"):
        publish_root(published.site, (old,), Public({}), now_utc())
    assert published.root_file.read_bytes() == new


def test_a_full_disk_leaves_the_old_keys_and_root(published: Project) -> None:
    before = published.root_file.read_bytes(), keys(published)
    without(published, "sara")
    old, root = root_chain(published.workspace)
    public = Public({"a.pem": b"a", "b.pem": bytes(100)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(HostError):
            publish_root(published.site, (old, root), public, now_utc())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (published.root_file.read_bytes(), keys(published)) == before
    assert not list(published.site.rglob(".staging*"))
    assert root_only(published) == 0


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_in_the_place_of_the_keys(published: Project, kind: str, tmp_path: Path) -> None:
    before, folder = keys(published), published.site / "demo" / "keys"
    shutil.move(folder, tmp_path / "keys")
    if kind == "file":
        folder.write_bytes(b"")
    else:
        folder.symlink_to(tmp_path / "keys")
    assert published.publish() == 0
    assert not folder.is_symlink()
    assert keys(published) == before


def test_stray_files_among_the_keys_go(published: Project) -> None:
    before = keys(published)
    (published.site / "demo" / "keys" / ".olga.pem.0123.tmp").write_bytes(b"half")
    assert published.publish() == 0
    assert keys(published) == before


def test_a_layout_that_ends_with_the_first_second_there_is(published: Project) -> None:
    path = published.published / "demo-1.0.relsign"
    contents = parse_bundle(path.read_bytes(), path.name).files
    envelope = parse_envelope(contents[LAYOUT_FILE], LAYOUT_FILE)
    layout = parse_layout(envelope.payload, LAYOUT_FILE)
    layout = msgspec.structs.replace(layout, expires=datetime(1, 1, 1, tzinfo=UTC))
    hostile = msgspec.structs.replace(envelope, payload=layout.to_bytes())
    contents[LAYOUT_FILE] = hostile.to_bytes()
    path.write_bytes(make_bundle("demo", "1.0", contents).to_bytes())
    standing = judge_published(published.published, published.root_file.read_bytes(), now_utc())
    assert "at step 4, layout" in standing.problem
