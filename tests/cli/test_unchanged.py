"""A build that was made here already is not done again, and whatever is not quite it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from relsign.build.gc import Limits, Needed, sweep
from relsign.build.profile import load_profile
from relsign.build.store import Store
from relsign.cli.building.unchanged import record_built
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members
from relsign.errors import HostError, InputError
from relsign.formats.fingerprint import Fingerprint, ProfileDigest
from relsign.formats.names import Digest
from relsign.sign.evidence.checks import check_environments
from relsign.sign.evidence.commit import BuiltRelease
from relsign.sign.evidence.finished import find_finished, is_signed
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.system.clock import now_utc
from tests.projects import PASSPHRASE, Project, make_lock

NAME = "builder-a"


def found(project: Project) -> tuple[Fingerprint, ...] | None:
    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    return find_finished(project.workspace, project.release.build_of(NAME), digest)


def party(project: Project, name: str) -> Party:
    members = check_members(project.workspace.roster().member, "", share_roles=True)
    return next(member for member in members if member.name == name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a store; no engine is there to build anything."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    return tmp_path / "store"


def note(project: Project, store: Path) -> None:
    """Note what lies there as built on this machine."""
    checked = check_environments(project.workspace, project.workspace.recipe())
    record_built(store, BuiltRelease(found(project) or (), {}, None, checked))


def build(project: Project, store: Path) -> int:
    return project.run_signing("build", "--as", NAME, "--offline", "--store", str(store))


def test_an_unchanged_build_is_said_and_not_done_again(
    project: Project, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.build(NAME)
    note(project, store)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    # No passphrase is there to be asked for.
    words = ("--store", str(store), "--keys", str(project.keys))
    assert project.run("build", "--as", NAME, *words) == 0
    said = capsys.readouterr()
    (fingerprint,) = found(project) or ()
    assert said.out.endswith(f"  {fingerprint.file}\n")
    assert "unchanged since it was built" in said.err
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_a_build_that_this_machine_never_made_is_made_here(
    project: Project, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.build(NAME, b"what this machine built")
    note(project, store)
    project.build(NAME, b"what came with the checkout")
    assert signed(project)
    assert build(project, store) == HostError.exit_code
    said = capsys.readouterr()
    assert "not built on this machine" in said.err
    assert said.out == ""


def test_checks_that_never_ran_on_this_machine_are_run_here(
    project: Project, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_check()
    project.build(NAME)
    note(project, store)
    assert build(project, store) == 0
    lock = project.workspace.builder_folder("debian-test") / "builder.lock"
    lock.write_bytes(lock.read_bytes().replace(b"8" * 64, b"9" * 64))
    project.build(NAME)
    assert signed(project)
    capsys.readouterr()
    assert build(project, store) == HostError.exit_code
    assert "not built on this machine" in capsys.readouterr().err


def test_the_store_forgets_what_it_fetched_and_not_what_was_built(
    project: Project, store: Path
) -> None:
    project.build(NAME)
    note(project, store)
    nothing: frozenset[Digest] = frozenset()
    sweep(Store(store), None, Limits(0, 0), Needed(nothing, nothing))
    assert build(project, store) == 0


@pytest.mark.parametrize(
    ("other", "words"), [(False, "no key called builder-a"), (True, "not the one in the trust")]
)
def test_a_roster_with_another_key_under_the_builders_name_is_not_believed(
    project: Project,
    store: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    *,
    other: bool,
) -> None:
    """`project` is a stranger's, who signed as builder-a; here that name is nobody or another."""
    project.build(NAME)
    note(project, store)
    mine = KeyStore(store.parent / "mine")
    if other:
        wanted = wanted_member(NAME, "me", "mine", ("builder",), "ed25519")
        mine.create(wanted, NAME, PASSPHRASE, None)
    here = replace(project, keys=mine.folder)
    assert build(here, store) == InputError.exit_code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


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
