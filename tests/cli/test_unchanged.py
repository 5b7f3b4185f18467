"""A build that is there already is not done again, and whatever is not quite it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import msgspec
import pytest

from relsign.build.profile import load_profile
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members
from relsign.formats.fingerprint import Fingerprint, ProfileDigest
from relsign.sign.evidence.finished import find_finished, is_signed
from relsign.system.clock import now_utc
from tests.projects import Project, make_lock

NAME = "builder-a"


def found(project: Project) -> tuple[Fingerprint, ...] | None:
    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    return find_finished(project.workspace, project.release.build_of(NAME), digest)


def party(project: Project, name: str) -> Party:
    members = check_members(project.workspace.roster().member, "", share_roles=True)
    return next(member for member in members if member.name == name)


def test_an_unchanged_build_is_said_and_not_done_again(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither an engine nor a passphrase is there to be asked for.
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    folder = project.build(NAME)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    assert project.run("build", "--as", NAME) == 0
    said = capsys.readouterr()
    (fingerprint,) = found(project) or ()
    assert said.out.endswith(f"  {fingerprint.file}\n")
    assert "unchanged since it was built" in said.err
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def _other_recipe(project: Project) -> None:
    with project.workspace.recipe_file.open("a") as recipe:
        recipe.write("# a comment\n")


def _other_lock(project: Project) -> None:
    path = project.workspace.builder_folder("debian-c") / "builder.lock"
    path.write_bytes(make_lock("9" * 64))


def _damaged(project: Project) -> None:
    artifact = next((project.release.build_of(NAME) / "artifacts").iterdir())
    artifact.chmod(0o644)
    artifact.write_bytes(b"other bytes")


def _gone(project: Project) -> None:
    shutil.rmtree(project.release.build_of(NAME) / "artifacts")


def _one_more(project: Project) -> None:
    (project.release.build_of(NAME) / "artifacts" / "one-more").write_bytes(b"")


def _other_mode(project: Project) -> None:
    artifact = next((project.release.build_of(NAME) / "artifacts").iterdir())
    artifact.chmod(0o755)


def _half_a_fingerprint(project: Project) -> None:
    path = next(project.release.build_of(NAME).glob("*.fingerprint.json"))
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "spoil",
    [_other_recipe, _other_lock, _damaged, _gone, _one_more, _other_mode, _half_a_fingerprint],
)
def test_anything_else_is_built_again(project: Project, spoil: Callable[[Project], None]) -> None:
    project.build(NAME)
    assert found(project)
    spoil(project)
    assert found(project) is None


def signed(project: Project, name: str = NAME) -> bool:
    folder = project.release.build_of(NAME)
    fingerprints = found(project)
    assert fingerprints
    return is_signed(project.workspace, folder, party(project, name), fingerprints, now_utc())


@pytest.mark.parametrize("gone", ["build.*.link", "source.*.link", "*.intoto.jsonl"])
def test_evidence_must_be_the_builders_own_and_whole(project: Project, gone: str) -> None:
    folder = project.build(NAME)
    assert signed(project)
    assert not signed(project, "builder-b")
    next(folder.glob(gone)).unlink()
    assert not signed(project)


def test_checks_must_have_passed_in_todays_environment(project: Project) -> None:
    project.build(NAME)
    project.add_check()
    assert found(project) is None
    project.build(NAME)
    assert signed(project)
    lock = project.workspace.builder_folder("debian-test") / "builder.lock"
    lock.write_bytes(lock.read_bytes().replace(b"8" * 64, b"9" * 64))
    assert not signed(project)


def test_others_bytes_under_the_builders_old_links_are_no_build_of_its_own(
    project: Project,
) -> None:
    folder = project.build(NAME)
    (fingerprint,) = found(project) or ()
    digest, size = sha256_hex(b"evil"), len(b"evil")
    other = msgspec.structs.replace(fingerprint.artifacts[0], sha256=digest, size=size)
    (folder / "artifacts" / other.name).write_bytes(b"evil")
    forged = msgspec.structs.replace(fingerprint, artifacts=(other,))
    (folder / forged.file).write_bytes(forged.to_bytes())
    assert found(project) == (forged,)
    assert not signed(project)
