"""Commit first, show later: by pretend machines that each have their own copy of a project."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from relsign.build.profile import load_profile
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import BuiltArtifact, ProfileDigest
from relsign.formats.link import Host, Link, ReleaseBinding, link_file_name, parse_link
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.twin import Twin
from relsign.sign.evidence.commit import (
    SECRET_FILE,
    BuiltRelease,
    commit_build,
    find_held,
    is_shown,
    make_held_folder,
    new_salt,
    publish_commitment,
    require_committed,
    require_unchanged,
    reveal_build,
)
from relsign.sign.evidence.links import BuildTimes
from relsign.sign.keys.keystore import KeyStore
from relsign.system.files import make_folder, write_whole
from relsign.verify.agreement import find_agreement, own_evidence, read_reports
from relsign.verify.commitments import count_committed
from tests.projects import PASSPHRASE, POLICY, Project, make_lock
from tests.verify.releases import (
    ARTIFACT,
    LATER,
    NAME,
    NOW,
    PEOPLE,
    RECIPE,
    make_fingerprint,
)

DOCKER = Host(engine="docker", engine_version="20.10.24", platform="x86_64",
              environment="debian-12")  # fmt: skip
BUILDERS = ("builder-a", "builder-b", "builder-c")


class Copy(Project):
    """One builder's copy of the project, which a commitment is asked for in."""

    @property
    def parties(self) -> tuple[Party, ...]:
        members = check_members(self.workspace.roster().member, "", share_roles=True)
        return tuple(party for party in members if "builder" in party.roles)

    def party(self, name: str) -> Party:
        return next(party for party in self.parties if party.name == name)

    def signer(self, name: str) -> Sign:
        return KeyStore(self.keys).open(name, PASSPHRASE).sign

    def staged(self, artifact: bytes = ARTIFACT) -> tuple[Path, BuiltRelease]:
        """Leave a folder as a build does, before anything is said about it."""
        made = BuiltArtifact(name=NAME, sha256=sha256_hex(artifact), size=len(artifact),
                             mode="0644")  # fmt: skip
        fingerprint = msgspec.structs.replace(
            make_fingerprint(artifact, **self.inputs()), artifacts=(made,)
        )
        folder = make_held_folder(self.release) / ".staged"
        make_folder(folder / "artifacts")
        write_whole(folder / "artifacts" / NAME, artifact)
        return folder, BuiltRelease((fingerprint,), {"linux": BuildTimes(NOW, LATER)}, DOCKER)

    def commit(self, name: str, artifact: bytes = ARTIFACT, salt: Digest | None = None) -> Path:
        """Do what `relsign build --as NAME` does at first."""
        staged, built = self.staged(artifact)
        return commit_build(
            self.release, staged, built, self.party(name), self.signer(name), salt or new_salt()
        )

    def reveal(self, name: str) -> int:
        """Run the command again."""
        return self.run_signing("build", "--as", name)

    def take(self, other: Copy, name: str) -> None:
        """Copy a builder's folder, as a careless exchange of files would."""
        shutil.rmtree(self.release.build_of(name), ignore_errors=True)
        shutil.copytree(other.release.build_of(name), self.release.build_of(name))

    def names(self, name: str) -> list[str]:
        return sorted(path.name for path in self.release.build_of(name).iterdir())

    def link(self, name: str) -> Link:
        path = self.release.build_of(name) / link_file_name("build", self.party(name).keyid)
        return parse_link(parse_envelope(path.read_bytes(), "").payload)

    def counted(self) -> list[str]:
        """Return the builders whom a verifier would count here."""
        binding = ReleaseBinding(project="demo", version="1.0")
        files = own_evidence(self.release.all_evidence()[0], self.parties).files
        agreement = find_agreement("build", read_reports(files, self.parties, binding, NOW), 2, 2)
        counted = count_committed(agreement, files, binding, 2, 2, NOW)
        return [party.name for party in counted.builders]


@pytest.fixture
def copies(tmp_path: Path, keys: Path) -> dict[str, Copy]:
    """Return a copy of the project for each builder."""
    first = Copy(tmp_path / "builder-a", keys, tmp_path / "site")
    write_whole(first.workspace.recipe_file, RECIPE.encode())
    write_whole(first.workspace.policy_file, b"commit = true\n" + POLICY.encode())
    write_whole(first.workspace.builder_folder("debian-c") / "builder.lock", make_lock())
    cards = [str(KeyStore(keys).card_file(person[0])) for person in PEOPLE]
    assert first.run("key", "add", *cards) == 0
    for name in BUILDERS[1:]:
        shutil.copytree(first.folder, tmp_path / name)
    return {name: Copy(tmp_path / name, keys, tmp_path / "site") for name in BUILDERS}


# --- the whole story ---------------------------------------------------------------------------


def test_two_builders_commit_exchange_show_and_count(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    a.commit("builder-a")
    b.commit("builder-b")
    for mine, theirs in ((a, "builder-b"), (b, "builder-a")):
        mine.take(copies[theirs], theirs)
    assert a.reveal("builder-a") == 0
    assert b.reveal("builder-b") == 0
    assert "fingerprint.json" in capsys.readouterr().out
    a.take(b, "builder-b")
    assert a.counted() == ["builder-a", "builder-b"]
    assert a.link("builder-a").byproducts.host == DOCKER
    assert len(a.link("builder-a").byproducts.heard or ()) == 2
    assert not (a.release.held / "builder-a").exists()
    assert (a.release.build_of("builder-a") / "artifacts" / NAME).read_bytes() == ARTIFACT


def test_nothing_is_shown_before_enough_have_committed(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a = copies["builder-a"]
    path = a.commit("builder-a")
    for again in range(2):
        assert a.reveal("builder-a") == 3, again
        said = capsys.readouterr()
        assert "1 builders have committed (need 2 from 2 organisations)" in said.err
        assert "awaited: builder-b, builder-c" in said.err
        assert "nothing was shown" in said.err
        assert said.out == ""
        assert a.names("builder-a") == [path.name]


def test_builders_of_one_organisation_still_await_another(copies: dict[str, Copy]) -> None:
    b, c = copies["builder-b"], copies["builder-c"]
    b.commit("builder-b")
    c.commit("builder-c")
    b.take(c, "builder-c")
    assert b.reveal("builder-b") == 3
    assert len(b.names("builder-b")) == 1


def test_all_awaited_is_said_when_no_one_is_left(copies: dict[str, Copy]) -> None:
    b, c = copies["builder-b"], copies["builder-c"]
    b.commit("builder-b")
    c.commit("builder-c")
    b.take(c, "builder-c")
    two = tuple(party for party in b.parties if party.organisation == "birch")
    with pytest.raises(NotEnoughError, match="no one else on the roster"):
        require_committed(
            b.release, b.party("builder-b"), two, b.workspace.policy().thresholds, NOW
        )


def test_a_copier_that_saw_a_result_first_does_not_count(copies: dict[str, Copy]) -> None:
    a, b, c = (copies[name] for name in BUILDERS)
    a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    b.take(a, "builder-a")
    assert a.reveal("builder-a") == 0
    c.take(a, "builder-a")
    c.take(b, "builder-b")
    c.commit("builder-c")
    assert c.reveal("builder-c") == 0
    assert len(c.link("builder-c").byproducts.heard or ()) == 3
    with pytest.raises(NotEnoughError, match="builder-c: had not committed when builder-a"):
        c.counted()


# --- what stays secret -------------------------------------------------------------------------


def test_only_the_commitment_is_where_others_look(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    path = a.commit("builder-a")
    assert path.parent == a.release.build_of("builder-a")
    assert a.release.all_evidence()[0] == {"builder-a": {path.name: path.read_bytes()}}
    held = find_held(a.release, a.party("builder-a"))
    assert held is not None
    assert held.fingerprints[0].to_bytes() not in path.read_bytes()
    assert stat.S_IMODE(held.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((held.folder / SECRET_FILE).stat().st_mode) == 0o600
    assert (a.release.held / ".gitignore").read_text() == "*\n"
    assert [p.name for p in a.release.build_folders()] == ["builder-a"]


def test_the_secret_does_not_lie_in_what_was_shown(copies: dict[str, Copy]) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    assert a.reveal("builder-a") == 0
    assert SECRET_FILE not in a.names("builder-a")
    assert stat.S_IMODE(a.release.build_of("builder-a").stat().st_mode) == 0o755


def test_every_build_has_a_salt_of_its_own() -> None:
    assert len({new_salt() for _ in range(100)}) == 100
    assert len(new_salt()) == 64


# --- once only ---------------------------------------------------------------------------------


def test_a_build_that_was_shown_is_left_alone(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    assert a.reveal("builder-a") == 0
    before = a.link("builder-a")
    capsys.readouterr()
    assert a.reveal("builder-a") == 0
    assert "this build is shown already" in capsys.readouterr().err
    assert a.link("builder-a") == before


def test_a_second_commitment_is_refused(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    path = a.commit("builder-a")
    before = path.read_bytes()
    with pytest.raises(InputError, match="held back"):
        a.commit("builder-a", b"other bytes")
    shutil.rmtree(a.release.held / "builder-a")
    with pytest.raises(InputError, match="committed already, and what opens it is not here"):
        a.commit("builder-a", b"other bytes")
    assert path.read_bytes() == before
    assert a.run_signing("build", "--as", "builder-a", "--offline") == 2


def test_changed_inputs_are_named_and_nothing_is_shown(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    path = a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    a.workspace.recipe_file.write_text(RECIPE.replace('"make"', '"make all"'))
    assert a.reveal("builder-a") == 2
    assert "changed since this builder committed" in capsys.readouterr().err
    assert a.names("builder-a") == [path.name]


def test_require_unchanged_passes_what_is_as_it_was(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    _staged, built = a.staged()
    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    require_unchanged(a.workspace, digest, built.fingerprints)
    with pytest.raises(InputError, match="changed since"):
        require_unchanged(
            a.workspace, msgspec.structs.replace(digest, sha256="0" * 64), built.fingerprints
        )


@pytest.mark.parametrize("words", [("--reveal",), ("--as", "builder-a", "--reveal")])
def test_there_is_nothing_to_reveal_before_a_build(
    copies: dict[str, Copy], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    a = copies["builder-a"]
    # No passphrase is asked for, which could not be given here.
    assert a.run("build", *words) == 2
    assert "commit" in capsys.readouterr().err
    assert not a.release.held.exists()


def test_reveal_is_refused_where_the_policy_asks_for_no_commitment(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a = copies["builder-a"]
    a.commit("builder-a")
    a.workspace.policy_file.write_text(POLICY)
    assert a.run_signing("build", "--as", "builder-a", "--reveal") == 2
    assert "commit = true" in capsys.readouterr().err


# --- damage ------------------------------------------------------------------------------------


def test_a_commitment_that_was_lost_is_put_back_the_same(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    path = a.commit("builder-a")
    before = path.read_bytes()
    shutil.rmtree(path.parent)
    assert publish_commitment(a.release, a.party("builder-a")).read_bytes() == before
    path.unlink()
    assert publish_commitment(a.release, a.party("builder-a")).read_bytes() == before


def test_an_earlier_build_without_a_commitment_gives_way(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    a.build("builder-a")
    path = a.commit("builder-a")
    assert a.names("builder-a") == [path.name]
    assert not is_shown(a.release, a.party("builder-a"))


@pytest.mark.parametrize("file", [SECRET_FILE, "linux.fingerprint.json"])
def test_a_damaged_held_build_is_named(copies: dict[str, Copy], file: str) -> None:
    a = copies["builder-a"]
    a.commit("builder-a")
    (a.release.held / "builder-a" / file).unlink()
    with pytest.raises(InputError, match="a file of it is gone"):
        find_held(a.release, a.party("builder-a"))


def test_a_held_build_that_was_changed_is_not_shown(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    path = a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    held = find_held(a.release, a.party("builder-a"))
    assert held is not None
    other = msgspec.structs.replace(held.build, salt="0" * 64)
    (held.folder / SECRET_FILE).write_bytes(other.to_bytes())
    assert a.reveal("builder-a") == 2
    assert "not the one this builder committed to" in capsys.readouterr().err
    assert a.names("builder-a") == [path.name]


def test_a_crash_after_showing_leaves_a_build_that_is_shown(copies: dict[str, Copy]) -> None:
    """What was exchanged into the place of the held build holds no secret any more."""
    a, b = copies["builder-a"], copies["builder-b"]
    path = a.commit("builder-a")
    before = path.read_bytes()
    b.commit("builder-b")
    a.take(b, "builder-b")
    assert a.reveal("builder-a") == 0
    write_whole(a.release.held / "builder-a" / path.name, before)
    assert find_held(a.release, a.party("builder-a")) is None
    assert a.reveal("builder-a") == 0


def test_an_own_second_commitment_in_anybodys_folder_stops_the_showing(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    path = a.commit("builder-a")
    other = b.commit("builder-a", b"other bytes")
    write_whole(a.release.builds / "zoe" / path.name, other.read_bytes())
    assert a.reveal("builder-a") == 1
    assert "builder-a: signed two commitments" in capsys.readouterr().err
    assert a.names("builder-a") == [path.name]


def test_a_strangers_folder_full_of_junk_stops_nobody(
    copies: dict[str, Copy], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    path = a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    for number in range(20):
        write_whole(a.release.builds / f"aa{number}" / path.name, b"junk %d" % number)
    assert a.reveal("builder-a") == 0
    assert "ignored: builds/aa0/" in capsys.readouterr().err


@pytest.mark.parametrize("place", [".held", ".held/builder-a", "builds/builder-a"])
def test_no_link_is_followed(copies: dict[str, Copy], tmp_path: Path, place: str) -> None:
    a = copies["builder-a"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    staged, built = a.staged()
    path = a.release.folder / place
    staged = staged.rename(tmp_path / "staged")
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    with pytest.raises(InputError, match="not a folder"):
        commit_build(a.release, staged, built, a.party("builder-a"), a.signer("builder-a"),
                     new_salt())  # fmt: skip
    assert list(elsewhere.iterdir()) == []


def test_the_commitment_must_stand_before_anything_is_shown(copies: dict[str, Copy]) -> None:
    a = copies["builder-a"]
    path = a.commit("builder-a")
    path.write_bytes(b"junk")
    with pytest.raises(VerificationError, match="does not stand"):
        require_committed(a.release, a.party("builder-a"), a.parties,
                          a.workspace.policy().thresholds, NOW)  # fmt: skip


def test_what_was_heard_is_fixed_by_the_caller(copies: dict[str, Copy]) -> None:
    a, b = copies["builder-a"], copies["builder-b"]
    a.commit("builder-a")
    b.commit("builder-b")
    a.take(b, "builder-b")
    party = a.party("builder-a")
    heard = require_committed(a.release, party, a.parties, a.workspace.policy().thresholds, NOW)
    held = find_held(a.release, party)
    assert held is not None
    folder = reveal_build(a.workspace, held, heard, party, a.signer("builder-a"))
    assert folder == a.release.build_of("builder-a")
    assert a.link("builder-a").byproducts.heard == heard.heard
    assert a.link("builder-a").byproducts.commitment_salt == held.build.salt
    assert is_shown(a.release, party)


def test_what_was_checked_before_the_commitment_is_shown_with_the_build(
    copies: dict[str, Copy],
) -> None:
    a = copies["builder-a"]
    staged, plain = a.staged()
    environment = plain.fingerprints[0].environment
    twin = Twin(target="linux", verdict="identical", varied=("time",))
    built = replace(plain, checked=(environment,), twins=(twin,))
    party, sign = a.party("builder-a"), a.signer("builder-a")
    commit_build(a.release, staged, built, party, sign, new_salt())
    held = find_held(a.release, party)
    assert held is not None
    alone = Thresholds(owners=1, signers=1, builders=1, organisations=1)
    heard = require_committed(a.release, party, (party,), alone, NOW)
    reveal_build(a.workspace, held, heard, party, sign)
    assert a.link("builder-a").byproducts.twins == (twin,)
    path = a.release.build_of("builder-a") / link_file_name("check", party.keyid)
    check = parse_link(parse_envelope(path.read_bytes(), "").payload)
    assert set(environment.materials()) < set(check.materials)
