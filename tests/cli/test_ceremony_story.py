"""Three people make a key, sign a release with it and look after it, each at a prompt."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.groups import GROUP, PEOPLE, Shared, copy_shared, make_shared
from tests.projects import Project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project whose three signers made a key."""
    folder = tmp_path_factory.mktemp("ceremony")
    make_shared(folder)
    return folder


@pytest.fixture
def shared(made: Path, tmp_path: Path) -> Shared:
    return copy_shared(made, tmp_path / "w")


def quiet(*command: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(word) for word in command], cwd=cwd, capture_output=True, check=False, **options
    )


def test_a_release_that_two_of_three_sign(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    said = capsys.readouterr().err
    assert f"{GROUP} signed demo 1.0" in said
    assert shared.project.publish() == 0
    published = shared.project.published
    capsys.readouterr()
    assert shared.project.verify(published / "demo-1.0.tar.gz") == 0
    assert "and the release key" in capsys.readouterr().out


def test_without_the_group_a_release_is_not_enough(shared: Shared) -> None:
    """One participant alone, even with every signer's own signature, publishes nothing."""
    shared.build()
    shared.sign("sam")
    other = Project(shared.project.folder, shared.project.keys, shared.project.site)
    assert other.run_signing("sign", "--as", "sven", "--yes") == 0
    assert shared.project.publish() == 3


def test_a_lost_share_is_repaired(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(shared.homes["sven"] / "sven" / "vault")
    words = ("ceremony", "repair", GROUP, "--lost", "sven", "--helper", "sam", "--helper", "sara")
    assert shared.run_as("sam", *words) == 0
    for _round in range(4):
        shared.join("sam", "sara", "sven")
    assert "nothing is left to do" in capsys.readouterr().err
    shared.build()
    shared.sign("sven", "sara", "sven", "sara")
    assert shared.project.publish() == 0


def test_a_refresh_and_its_history(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ceremony", "reshare", GROUP, "--dealer", "sam", "--dealer", "sara")
    assert shared.run_as("sara", *words) == 0
    for _round in range(4):
        shared.join(*PEOPLE)
    assert "destroyed share-" in capsys.readouterr().err
    assert shared.project.run("ceremony", "verify", GROUP) == 0
    said = capsys.readouterr()
    assert said.out == "VERIFIED\n"
    assert "✓ keygen" in said.err
    assert "✓ reshare" in said.err
    shared.build()
    shared.sign("sven", "sam", "sven", "sam")
    assert shared.project.publish() == 0


def test_status_says_who_is_awaited(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ceremony", "reshare", GROUP, "--dealer", "sam", "--dealer", "sara")
    assert shared.run_as("sara", *words) == 0
    shared.join("sara")
    capsys.readouterr()
    assert shared.project.run("ceremony", "status", GROUP) == 0
    assert "waiting for sam, sven (dealing)" in capsys.readouterr().err
    assert shared.project.run("ceremony", "status", GROUP, "--json") == 0
    assert '"awaiting":["sam","sven"]' in capsys.readouterr().out


def test_a_card_that_the_ceremonies_did_not_make_is_refused(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can write the project folder cannot slip another threshold into the root."""
    card = shared.folder / "member.toml"
    lower = card.read_text().replace("threshold = 2", "threshold = 3")
    assert lower != card.read_text()
    (shared.folder / "other.toml").write_text(lower)
    add = ("root", "add", "--replace", str(shared.folder / "other.toml"))
    assert shared.project.run(*add) == 1
    assert "not what the group's ceremonies made" in capsys.readouterr().err
    for path in shared.folder.glob("*.transcript.json"):
        path.unlink()
    assert shared.project.run("root", "add", "--replace", str(card)) == 3


def test_collect_brings_all_that_the_group_made(shared: Shared, tmp_path: Path) -> None:
    """A publisher who works from a collected folder publishes the group's files too."""
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    theirs = tmp_path / "theirs"
    shutil.copytree(shared.project.folder, theirs)
    other = Project(theirs, shared.project.keys, shared.project.site).release.folder
    shutil.rmtree(shared.project.release.folder)
    assert shared.project.run("collect", str(theirs)) == 0
    made = {path.name for path in shared.project.release.signatures.iterdir()}
    assert made == {path.name for path in (other / "signatures").iterdir()}
    (other / "signatures" / f"{GROUP}.sig").write_text("junk")
    (shared.project.release.signatures / f"{GROUP}.sig").unlink()
    assert shared.project.run("collect", str(theirs)) == 1
    assert not (shared.project.release.signatures / f"{GROUP}.sig").exists()


THREE = ("--member", "sam", "--member", "sara", "--member", "sven", "--threshold", "2")
REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "a second key of one name": (("new", GROUP, *THREE), "sam", "a key of that name exists"),
    "a member named twice": (("new", "g", "--member", "sam", *THREE), "sam", "named twice"),
    "the name of a member": (("new", "sara", *THREE), "sam", "the name is taken"),
    "the name of a file": (("new", "allowed_signers", *THREE), "sam", "the name is taken"),
    "a machine": (
        ("new", "g", "--member", "builder-a", "--member", "sam", "--threshold", "2"),
        "sam",
        "a signer or an owner",
    ),
    "nobody of that name": (
        ("new", "g", "--member", "mallory", "--member", "sam", "--threshold", "2"),
        "sam",
        "no member of that name",
    ),
    "no exchange": (("new", "g", *THREE, "--exchange", " "), "sam", "no exchange is named"),
    "an end that is no later": (("renew", GROUP, "--days", "9"), "sam", "does not end later"),
    "a dealer named twice": (
        ("reshare", GROUP, "--dealer", "sam", "--dealer", "sam"),
        "sam",
        "dealer named twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing(
    shared: Shared, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, person, said = REFUSED[name]
    before = {p: p.read_bytes() for p in shared.project.folder.rglob("*") if p.is_file()}
    assert shared.run_as(person, "ceremony", *words) == 2
    assert said in capsys.readouterr().err
    after = {p: p.read_bytes() for p in shared.project.folder.rglob("*") if p.is_file()}
    assert after == before


def test_who_has_no_part_is_told_so(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    own = Project(shared.project.folder, shared.project.keys, shared.project.site)
    assert own.run_signing("ceremony", "join", GROUP, "--yes", "--as", "olga") == 2
    assert "takes no part in this ceremony" in capsys.readouterr().err
