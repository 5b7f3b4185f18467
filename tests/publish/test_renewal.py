"""A version that is public already: what may be renewed, and what is never touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle, parse_bundle
from relsign.formats.envelope import Signature, parse_envelope
from relsign.system.files import exchange_folders
from tests.projects import Project
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]
BUNDLE = "demo-1.0.relsign"


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256_hex(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def signatures(path: Path) -> int:
    return len(parse_envelope(path.read_bytes(), path.name).signatures)


@pytest.fixture
def published(project: Project) -> Project:
    assert project.signed().publish() == 0
    return project


def test_a_third_signature_renews_the_evidence_alone(published: Project, capsys: Capture) -> None:
    before = tree(published.published)
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    assert published.run_signing("policy", "sign", "--as", "otto") == 0
    capsys.readouterr()
    assert published.publish() == 0
    said = capsys.readouterr().err
    assert "RENEWED  demo 1.0" in said
    assert f"renewed: {BUNDLE}" in said
    evidence = published.published / "in-toto"
    assert signatures(evidence / STATEMENT_FILE) == 3
    assert signatures(evidence / LAYOUT_FILE) == 3
    after = tree(published.published)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        BUNDLE, f"in-toto/{STATEMENT_FILE}", f"in-toto/{LAYOUT_FILE}",
    }  # fmt: skip
    assert published.verify(published.published / NAME) == 0
    assert not list(published.site.rglob(".staging*"))
    assert published.publish() == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err


def test_an_old_copy_of_the_project_takes_no_signature_away(
    published: Project, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(published.folder, tmp_path / "old")
    old = Project(tmp_path / "old", published.keys, published.site)
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    assert published.publish() == 0
    before = tree(published.published)
    capsys.readouterr()
    assert old.publish() == 1
    assert "the published evidence is newer" in capsys.readouterr().err
    assert tree(published.published) == before


def test_a_renewed_layout_needs_a_new_statement(published: Project, capsys: Capture) -> None:
    published.set_policy('dissent = "refuse"', 'dissent = "refuse"\nlayout_days = 700')
    assert published.run("policy", "compile", "--renew") == 0
    published.sign_root()
    for name in ("olga", "oona"):
        assert published.run_signing("policy", "sign", "--as", name) == 0
    published.release.statement_file.unlink()
    for name in ("sam", "sara"):
        assert published.run_signing("sign", "--as", name, "--yes") == 0
    before = tree(published.published)
    capsys.readouterr()
    assert published.publish() == 0
    assert "RENEWED" in capsys.readouterr().err
    after = tree(published.published)
    for name in (NAME, "SHA256SUMS", "linux.fingerprint.json"):
        assert after[name] == before[name]
    assert published.verify(published.published / NAME) == 0


def without(project: Project, name: str) -> None:
    project.remove_member(name)
    project.new_root()


def test_a_signer_whose_key_was_stolen_can_leave(published: Project, capsys: Capture) -> None:
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    assert published.publish() == 0
    without(published, "sam")
    capsys.readouterr()
    assert published.publish() == 0, capsys.readouterr().err
    assert signatures(published.published / "in-toto" / STATEMENT_FILE) == 2
    assert published.verify(published.published / NAME) == 0


@pytest.mark.parametrize("name", [LAYOUT_FILE, STATEMENT_FILE])
def test_a_junk_signature_is_not_published(project: Project, name: str, capsys: Capture) -> None:
    path = project.signed().release.folder / name
    good = path.read_bytes()
    junk = Signature(keyid="ab" * 32, sig=bytes(64))
    path.write_bytes(parse_envelope(good, name).with_signatures((junk,)).to_bytes())
    capsys.readouterr()
    assert project.publish() == 0
    assert f"{name}: left out: 1 signature that does not hold" in capsys.readouterr().err
    assert signatures(project.published / "in-toto" / name) == 2


def test_published_junk_blocks_no_renewal(published: Project, capsys: Capture) -> None:
    """An earlier publisher may have let a signature through that nobody made."""
    path = published.published / BUNDLE
    contents = parse_bundle(path.read_bytes(), BUNDLE).files
    junk = Signature(keyid="ab" * 32, sig=bytes(64))
    envelope = parse_envelope(contents[STATEMENT_FILE], STATEMENT_FILE)
    contents[STATEMENT_FILE] = envelope.with_signatures((junk,)).to_bytes()
    (published.published / "in-toto" / STATEMENT_FILE).write_bytes(contents[STATEMENT_FILE])
    path.write_bytes(make_bundle("demo", "1.0", contents).to_bytes())
    capsys.readouterr()
    assert published.publish() == 0
    assert "RENEWED" in capsys.readouterr().err
    assert signatures(published.published / "in-toto" / STATEMENT_FILE) == 2


@pytest.mark.parametrize("pattern", ["build.*.link", "source.*.link", "*.intoto.jsonl"])
def test_a_renewal_drops_no_builder(project: Project, pattern: str, capsys: Capture) -> None:
    project.build("builder-c")
    assert project.signed().publish() == 0
    before = tree(project.published)
    for path in project.release.build_of("builder-c").glob(pattern):
        path.unlink()
    capsys.readouterr()
    assert project.publish() == 1
    said = capsys.readouterr().err
    assert "the published evidence says more" in said
    assert "relsign collect" in said
    assert tree(project.published) == before


def test_a_renewal_drops_no_stock_signature(published: Project, capsys: Capture) -> None:
    for path in published.release.signatures.glob("*.minisig"):
        path.unlink()
    capsys.readouterr()
    assert published.publish() == 1
    said = capsys.readouterr().err
    assert "the published evidence says more" in said
    assert "SHA256SUMS.minisig" in said


def test_a_signature_of_who_left_may_go(published: Project) -> None:
    assert published.run_signing("sign", "--as", "sara", "--yes") == 0
    assert published.publish() == 0
    without(published, "sam")
    for path in published.release.signatures.glob("*.minisig"):
        path.unlink()
    assert published.publish() == 0
    assert not (published.published / "SHA256SUMS.minisig").exists()


def extra(folder: Path) -> None:
    (folder / "install.sh").write_text("#!/bin/sh\n")


def extra_below(folder: Path) -> None:
    (folder / "in-toto" / "verify-download.link").write_text("{}")


def extra_folder(folder: Path) -> None:
    (folder / "more").mkdir()


def no_evidence(folder: Path) -> None:
    shutil.rmtree(folder / "in-toto")


def no_bundle(folder: Path) -> None:
    (folder / BUNDLE).unlink()


def no_artifact(folder: Path) -> None:
    (folder / NAME).unlink()


def artifact_is_a_link(folder: Path) -> None:
    (folder / NAME).rename(folder.parent / NAME)
    (folder / NAME).symlink_to(folder.parent / NAME)


def changed_artifact(folder: Path) -> None:
    (folder / NAME).write_bytes(b"changed")


def changed_fingerprint(folder: Path) -> None:
    (folder / "linux.fingerprint.json").write_bytes(b"{}")


def changed_bundle(folder: Path) -> None:
    (folder / BUNDLE).write_bytes(b"{}")


def changed_link(folder: Path) -> None:
    next((folder / "in-toto").glob("*.link")).write_bytes(b"{}")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (extra, "is no part of the published version"),
        (extra_below, "is no part of the published version"),
        (extra_folder, "is no part of the published version"),
        (no_evidence, "missing from the published version"),
        (no_bundle, "no such file"),
        (no_artifact, "missing from the published version"),
        (artifact_is_a_link, "link leads out of the folder"),
        (changed_artifact, "published already, with other bytes"),
        (changed_fingerprint, "published already, with other bytes"),
        (changed_bundle, "the published bundle"),
        (changed_link, "is not what the published bundle says"),
    ],
)
def test_a_published_folder_that_was_changed_is_reported_and_left(
    published: Project, capsys: Capture, damage: Callable[[Path], None], words: str
) -> None:
    damage(published.published)
    before = tree(published.published)
    capsys.readouterr()
    assert published.publish() == 1
    said = capsys.readouterr().err
    assert words in said
    assert "verified from outside" not in said
    assert tree(published.published) == before


def test_a_file_in_the_place_of_the_version(project: Project, capsys: Capture) -> None:
    project.signed()
    project.published.parent.mkdir(parents=True)
    project.published.write_bytes(b"")
    assert project.publish() == 1
    assert "is in the way" in capsys.readouterr().err


def test_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    exchange_folders(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "one" / "name").read_text() == "two"
    assert (tmp_path / "two" / "name").read_text() == "one"
    with pytest.raises(HostError, match="no such file"):
        exchange_folders(tmp_path / "one", tmp_path / "absent")


def test_what_cannot_be_exchanged_is_said(tmp_path: Path) -> None:
    """A folder and one below it can never change places: the kernel says EINVAL."""
    (tmp_path / "one" / "two").mkdir(parents=True)
    with pytest.raises(HostError, match="cannot exchange"):
        exchange_folders(tmp_path / "one", tmp_path / "one" / "two")
