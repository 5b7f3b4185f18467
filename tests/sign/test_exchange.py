"""What `relsign collect` takes from a folder that anybody may have written."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from relsign.errors import InputError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.sign.evidence.exchange import Collected, collect_release
from relsign.sign.evidence.links import BuildTimes, make_provenance, seal
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.release import party_named
from relsign.sign.rules.root import current_root
from relsign.sign.stock import stock_file_name
from relsign.system.clock import now_utc
from tests.projects import PASSPHRASE, Project
from tests.verify.releases import ARTIFACT, NAME, make_fingerprint

SECRET = b"private"


@pytest.fixture
def other(project: Project, tmp_path: Path) -> Project:
    """Return another copy of the project, where builder-b has built."""
    folder = tmp_path / "other"
    shutil.copytree(project.folder, folder)
    theirs = Project(folder, project.keys, project.site)
    theirs.build("builder-b")
    return theirs


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Return a folder nobody else should read or write."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / NAME).write_bytes(SECRET)
    (folder / "id").write_bytes(SECRET)
    return folder


def collect(mine: Project, theirs: Project) -> Collected:
    now = now_utc()
    return collect_release(mine.release, theirs.release, current_root(mine.workspace, now), now)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def holds_secret(folder: Path) -> bool:
    files = (path for path in folder.rglob("*") if path.is_file())
    return any(path.read_bytes() == SECRET for path in files)


# --- links where folders should be -------------------------------------------------------------


def test_a_name_planted_for_the_staging_folder_is_not_followed(
    project: Project, other: Project, private: Path
) -> None:
    project.release.builds.mkdir(parents=True, exist_ok=True)
    (project.release.builds / ".builder-b.collect.tmp").symlink_to(private)
    assert collect(project, other).taken == ("builds/builder-b",)
    assert names(private) == [NAME, "id"]
    assert not project.release.build_of("builder-b").is_symlink()


def test_artifacts_are_not_read_through_a_link(
    project: Project, other: Project, private: Path
) -> None:
    artifacts = other.release.build_of("builder-b") / "artifacts"
    shutil.rmtree(artifacts)
    artifacts.symlink_to(private)
    collected = collect(project, other)
    assert collected.taken == ()
    assert "not a folder" in collected.refused[0]
    assert not holds_secret(project.folder)


def test_an_artifact_that_is_a_link_is_not_read(
    project: Project, other: Project, private: Path
) -> None:
    artifact = other.release.build_of("builder-b") / "artifacts" / NAME
    artifact.unlink()
    artifact.symlink_to(private / "id")
    assert collect(project, other).taken == ()
    assert names(project.release.builds) == []


@pytest.mark.parametrize("place", ["builds", "signatures", "."])
@pytest.mark.parametrize("whose", ["mine", "theirs"])
def test_a_link_in_the_place_of_a_folder_is_refused(
    project: Project, other: Project, private: Path, place: str, whose: str
) -> None:
    folder = (project if whose == "mine" else other).release.folder
    path = folder / place
    if path.exists():
        shutil.rmtree(path)
    Path(str(path)).symlink_to(private)
    with pytest.raises(InputError, match="not a folder"):
        collect(project, other)
    assert names(private) == [NAME, "id"]


def test_a_builders_folder_that_is_a_link_is_refused(
    project: Project, other: Project, private: Path
) -> None:
    project.release.builds.mkdir(parents=True, exist_ok=True)
    project.release.build_of("builder-b").symlink_to(private)
    assert collect(project, other).taken == ()
    assert names(private) == [NAME, "id"]


# --- what is no part of the build --------------------------------------------------------------


def test_only_products_of_the_link_are_taken(project: Project, other: Project) -> None:
    build = other.release.build_of("builder-b")
    (build / "artifacts" / "extra").write_bytes(SECRET)
    (build / "artifacts" / "odd\n\x1b[31mname").write_bytes(SECRET)
    (build / "linux2.fingerprint.json").write_bytes(make_fingerprint().to_bytes())
    (build / "builder-a.intoto.jsonl").write_bytes(SECRET)
    collected = collect(project, other)
    assert collected.taken == ("builds/builder-b",)
    taken = project.release.build_of("builder-b")
    assert names(taken / "artifacts") == [NAME]
    assert (taken / "artifacts" / NAME).read_bytes() == ARTIFACT
    assert not holds_secret(project.folder)
    said = "\n".join(collected.refused)
    assert "builds/builder-b/artifacts/extra: not a product" in said
    assert "builds/builder-b/linux2.fingerprint.json: not a file of this build" in said
    assert "builds/builder-b/builder-a.intoto.jsonl: not a file of this build" in said


@pytest.mark.parametrize("data", [b"other bytes", ARTIFACT + b"x" * 5_000_000, ARTIFACT[:-1]])
def test_other_bytes_under_an_artifacts_name_are_refused(
    project: Project, other: Project, data: bytes
) -> None:
    (other.release.build_of("builder-b") / "artifacts" / NAME).write_bytes(data)
    collected = collect(project, other)
    assert collected.taken == ()
    assert "not the file its builder's link names" in collected.refused[0]
    assert names(project.release.builds) == []


def test_a_folder_full_of_junk_is_named_in_few_words(project: Project, other: Project) -> None:
    for number in range(100):
        (other.release.build_of("builder-b") / f"junk{number}").write_bytes(b"")
        (other.release.builds / f"nobody{number}").mkdir()
    collected = collect(project, other)
    assert collected.taken == ("builds/builder-b",)
    assert len(collected.refused) < 50
    assert "builds/nobody0: no builder of that name in the root" in collected.refused


def test_without_its_links_a_build_is_left(project: Project, other: Project) -> None:
    build = other.release.build_of("builder-b")
    next(build.glob("source.*.link")).unlink()
    collected = collect(project, other)
    assert collected.taken == ()
    assert "its builder's link is not there" in collected.refused[0]


def test_another_fingerprint_than_the_links_is_left(project: Project, other: Project) -> None:
    path = other.release.build_of("builder-b") / "linux.fingerprint.json"
    path.write_bytes(make_fingerprint(b"other").to_bytes())
    collected = collect(project, other)
    assert collected.taken == ("builds/builder-b",)
    assert "not the bytes its builder's link names" in collected.refused[0]
    assert not (project.release.build_of("builder-b") / path.name).exists()


def false_provenance(project: Project, signer: str, builder: str, artifact: bytes) -> bytes:
    now = now_utc()
    fingerprint = make_fingerprint(artifact, **project.inputs())
    payload = make_provenance(fingerprint, builder, BuildTimes(now, now)).to_bytes()
    party = party_named(current_root(project.workspace, now), signer, "builder")
    key = KeyStore(project.keys).open_as(party, PASSPHRASE)
    return seal(payload, party, key.sign).to_bytes() + b"\n"


@pytest.mark.parametrize(
    ("signer", "builder", "artifact"),
    [
        ("builder-a", "builder-b", ARTIFACT),
        ("builder-b", "builder-a", ARTIFACT),
        ("builder-b", "builder-b", b"other bytes"),
    ],
)
def test_provenance_that_contradicts_the_links_is_left(
    project: Project, other: Project, signer: str, builder: str, artifact: bytes
) -> None:
    path = other.release.build_of("builder-b") / "builder-b.intoto.jsonl"
    path.write_bytes(false_provenance(project, signer, builder, artifact))
    collected = collect(project, other)
    assert collected.taken == ("builds/builder-b",)
    assert "builder-b.intoto.jsonl" in collected.refused[0]
    assert not (project.release.build_of("builder-b") / path.name).exists()


def test_what_was_missing_the_first_time_is_taken_the_second(
    project: Project, other: Project
) -> None:
    build = other.release.build_of("builder-b")
    whole = {path: path.read_bytes() for path in build.rglob("*") if path.is_file()}
    (build / "artifacts" / NAME).unlink()
    (build / "linux.fingerprint.json").write_bytes(b"junk")
    assert collect(project, other).taken == ("builds/builder-b",)
    assert collect(project, other).taken == ()
    for path, data in whole.items():
        path.write_bytes(data)
    assert collect(project, other).taken == ("builds/builder-b",)
    assert names(project.release.build_of("builder-b")) == names(build)
    assert collect(project, other) == Collected((), ())


def test_another_build_of_a_builder_who_is_here_is_left(project: Project, other: Project) -> None:
    project.build("builder-b", b"other bytes")
    before = names(project.release.builds)
    collected = collect(project, other)
    assert collected.taken == ()
    assert "another build of this builder is here" in collected.refused[0]
    assert names(project.release.builds) == before


# --- layouts, statements and stock signatures --------------------------------------------------


def turned_to(project: Project, version: str) -> Project:
    """Return the project at another version, with its layout and statement signed."""
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.0"', f'version = "{version}"'))
    assert project.run("policy", "compile") == 0
    return project.signed()


def test_a_layout_and_statement_of_another_version_are_left(
    project: Project, other: Project
) -> None:
    old = project.release
    shutil.rmtree(old.folder)
    wrong = turned_to(other, "2.0").release
    # Under this version's name, where nothing of it is yet.
    shutil.move(wrong.folder, wrong.folder.with_name("demo-1.0-taken"))
    shutil.rmtree(wrong.folder.with_name("demo-1.0"))
    shutil.move(wrong.folder.with_name("demo-1.0-taken"), wrong.folder.with_name("demo-1.0"))
    now = now_utc()
    theirs = type(old)(wrong.folder.with_name("demo-1.0"), "demo", "1.0")
    collected = collect_release(old, theirs, current_root(project.workspace, now), now)
    assert collected.taken == ()
    said = "\n".join(collected.refused)
    assert f"{LAYOUT_FILE}: belongs to another release (expected demo 1.0, got demo 2.0)" in said
    assert f"{STATEMENT_FILE}: belongs to another release" in said
    assert not old.layout_file.exists()
    assert not old.statement_file.exists()


def test_a_false_stock_signature_is_left(project: Project, tmp_path: Path) -> None:
    project.signed()
    folder = tmp_path / "other"
    shutil.copytree(project.folder, folder)
    theirs = Project(folder, project.keys, project.site)
    names_of = {n: f"{n}.minisig" for n in ("sam", "sven")}
    good = (project.release.signatures / names_of["sam"]).read_bytes()
    shutil.rmtree(project.release.signatures)
    (theirs.release.signatures / names_of["sven"]).write_bytes(good)
    collected = collect(project, theirs)
    assert collected.taken == ("signatures/sam.minisig",)
    assert "signatures/sven.minisig" in collected.refused[0]
    assert names(project.release.signatures) == ["sam.minisig"]


def test_a_stock_signature_without_its_statement_is_left(project: Project, tmp_path: Path) -> None:
    project.signed()
    folder = tmp_path / "other"
    shutil.copytree(project.folder, folder)
    theirs = Project(folder, project.keys, project.site)
    shutil.rmtree(project.release.signatures)
    for release in (project.release, theirs.release):
        release.statement_file.unlink()
    collected = collect(project, theirs)
    assert collected.taken == ()
    assert "no statement it could belong to" in collected.refused[0]


def test_a_false_stock_signature_here_gives_way_to_a_good_one(
    project: Project, tmp_path: Path
) -> None:
    project.signed()
    folder = tmp_path / "other"
    shutil.copytree(project.folder, folder)
    root = current_root(project.workspace, now_utc())
    path = project.release.signatures / stock_file_name(party_named(root, "sam", "signer"))
    good = path.read_bytes()
    path.write_bytes(b"junk")
    theirs = Project(folder, project.keys, project.site)
    assert collect(project, theirs).taken == ("signatures/sam.minisig",)
    assert path.read_bytes() == good


def test_only_good_signatures_are_merged(project: Project, tmp_path: Path) -> None:
    assert project.run_signing("policy", "sign", "--as", "olga") == 0
    folder = tmp_path / "other"
    shutil.copytree(project.folder, folder)
    theirs = Project(folder, project.keys, project.site)
    assert theirs.run_signing("policy", "sign", "--as", "oona") == 0
    path = theirs.release.layout_file
    envelope = parse_envelope(path.read_bytes(), LAYOUT_FILE)
    junk = tuple(
        msgspec.structs.replace(envelope.signatures[0], sig=bytes([n]) * 64) for n in range(60)
    )
    path.write_bytes(envelope.with_signatures(junk).to_bytes())
    assert collect(project, theirs).taken == (f"{LAYOUT_FILE}: oona",)
    merged = parse_envelope(project.release.layout_file.read_bytes(), LAYOUT_FILE)
    assert len(merged.signatures) == 2
