"""A release folder anybody may have written: what belongs there is read, the rest is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError
from relsign.system.workspace import MAX_EVIDENCE_FILES, ReleaseFolder, Workspace

LINK = "build.0123abcd.link"


@pytest.fixture
def release(tmp_path: Path) -> ReleaseFolder:
    folder = ReleaseFolder(tmp_path / "release", "demo", "1.0")
    (folder.build_of("builder-a") / "artifacts").mkdir(parents=True)
    return folder


def test_no_builds_yet(tmp_path: Path) -> None:
    assert ReleaseFolder(tmp_path, "demo", "1.0").build_folders() == ()
    (tmp_path / "builds").write_bytes(b"a file in the place of a folder")
    assert ReleaseFolder(tmp_path, "demo", "1.0").build_folders() == ()


def test_links_hidden_folders_and_files_are_no_builds(release: ReleaseFolder) -> None:
    (release.builds / ".hidden").mkdir()
    (release.builds / "file").write_bytes(b"")
    (release.builds / "link").symlink_to(release.build_of("builder-a"))
    assert [folder.name for folder in release.build_folders()] == ["builder-a"]


def test_only_our_names_and_regular_files_are_evidence(release: ReleaseFolder) -> None:
    build = release.build_of("builder-a")
    (build / LINK).write_bytes(b"link")
    (build / "x.link").write_bytes(b"odd name")
    (build / "evil\x1b[31m.link").write_bytes(b"odd name")
    (build / "linux.fingerprint.json").symlink_to("/etc/passwd")
    os.mkfifo(build / "a.intoto.jsonl")
    (build / "build.00000000.link").mkdir()
    assert release.evidence_of(build) == {LINK: b"link"}


def test_evidence_is_bounded(release: ReleaseFolder) -> None:
    build = release.build_of("builder-a")
    for number in range(MAX_EVIDENCE_FILES + 1):
        (build / f"t{number}.fingerprint.json").write_bytes(b"x")
    with pytest.raises(InputError, match="too many"):
        release.evidence_of(build)


def test_huge_evidence_is_refused_before_it_is_read(release: ReleaseFolder) -> None:
    build = release.build_of("builder-a")
    for name in (LINK, "source.0123abcd.link"):
        with (build / name).open("wb") as stream:
            stream.truncate(40 << 20)
    with pytest.raises(InputError, match="too large"):
        release.evidence_of(build)


def test_an_artifact_is_found_by_its_bytes(release: ReleaseFolder) -> None:
    artifacts = release.build_of("builder-a") / "artifacts"
    (artifacts / "a").write_bytes(b"bytes")
    digest = sha256_hex(b"bytes")
    assert release.find_artifact("a", digest)[0] == artifacts / "a"
    with pytest.raises(NotEnoughError, match="no build folder"):
        release.find_artifact("a", sha256_hex(b"other"))
    (artifacts / "b").symlink_to("a")
    with pytest.raises(NotEnoughError):
        release.find_artifact("b", digest)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for ask in (workspace.recipe, workspace.policy, workspace.roster):
        with pytest.raises(InputError) as caught:
            ask()
        assert "relsign" in caught.value.hint
    with pytest.raises(InputError, match="no such file"):
        workspace.lock("debian-c")


def test_a_builder_of_another_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "builders" / "debian-c"
    folder.mkdir(parents=True)
    (folder / "builder.toml").write_text('name = "other"\nsuite = "bookworm"\npackages = ["gcc"]\n')
    with pytest.raises(InputError, match="another builder") as caught:
        Workspace(tmp_path).definition("debian-c")
    assert caught.value.got == "other"
