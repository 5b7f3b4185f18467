"""Checks on the way to a publication: signed, collected, followed and published, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from relsign.build.profile import DEFAULT_PROFILE, load_profile
from relsign.crypto.keys import Ed25519Public, Party
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.envelope import INTOTO_PAYLOAD, parse_envelope
from relsign.formats.fingerprint import ProfileDigest
from relsign.formats.link import Byproducts, Link, link_file_name, parse_link
from relsign.formats.lock import parse_lock
from relsign.formats.twin import Twin
from relsign.publish.reference import require_reference
from relsign.publish.signatures import ed25519_pem
from relsign.sign.evidence.checks import check_environments, require_own_checks
from relsign.sign.evidence.commit import BuiltRelease
from relsign.sign.evidence.exchange import collect_release
from relsign.sign.evidence.links import make_links, seal
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.release import SigningRequest, party_named, prepare_request
from relsign.sign.review.previous import read_previous
from relsign.sign.rules.policy import current_layout
from relsign.sign.rules.root import current_root
from relsign.sign.status import release_status
from relsign.system.clock import now_utc
from relsign.system.files import write_whole
from relsign.trust.explain import Places, explain
from relsign.trust.outside import verify_files
from relsign.verify.verdict import Word
from tests.projects import PASSPHRASE, Project
from tests.trust.replays import run
from tests.verify.checked_release import ENVIRONMENT, checked_fingerprint
from tests.verify.releases import ARTIFACT, NAME, RECIPE

BUNDLE = "demo-1.0.relsign"
LOCK = "builders/debian-test/builder.lock"


@pytest.fixture
def checked(project: Project) -> Project:
    """Return a project whose recipe has a check, in an environment of its own."""
    project.add_check()
    project.compile()
    return project


def built(project: Project) -> Project:
    project.build("builder-a")
    project.build("builder-b")
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    return project


def request_of(project: Project) -> SigningRequest:
    now, profile = now_utc(), load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    root = current_root(project.workspace, now)
    return prepare_request(project.workspace, root, None, digest, now)


def party(project: Project, name: str) -> Party:
    return party_named(current_root(project.workspace, now_utc()), name, "builder")


def check_file(project: Project, name: str) -> Path:
    return project.release.build_of(name) / link_file_name("check", party(project, name).keyid)


def sign_again(project: Project, name: str, **changes: object) -> None:
    """Let a builder sign its check link with some fields changed."""
    path = check_file(project, name)
    link: Link = parse_link(parse_envelope(path.read_bytes(), "").payload)
    other: Link = msgspec.structs.replace(link, **changes)
    signer = KeyStore(project.keys).open(name, PASSPHRASE)
    envelope = seal(other.to_bytes(), party(project, name), signer.sign, INTOTO_PAYLOAD)
    write_whole(path, envelope.to_bytes())


def stage_of(project: Project) -> tuple[tuple[str, ...], bool, str]:
    now = now_utc()
    root = current_root(project.workspace, now)
    stage = release_status(project.release, root, now, checked=True).stages[0]
    return stage.have, stage.is_met, stage.missing or stage.problem


# --- the whole way -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory, keys: Path, template: Path) -> Path:
    """Return a folder with a project whose checked release is published, to be copied."""
    folder = tmp_path_factory.mktemp("road")
    shutil.copytree(template, folder / "project")
    project = Project(folder / "project", keys, folder / "site")
    project.add_check()
    project.compile()
    assert project.signed().publish() == 0
    return folder


@pytest.fixture
def published(road: Path, keys: Path, tmp_path: Path) -> Project:
    shutil.copytree(road, tmp_path / "road")
    return Project(tmp_path / "road" / "project", keys, tmp_path / "road" / "site")


def test_a_checked_release_is_signed_published_and_verified(published: Project) -> None:
    checked = published
    evidence = {path.name for path in (checked.published / "in-toto").iterdir()}
    for name in ("builder-a", "builder-b"):
        assert check_file(checked, name).name in evidence
    assert checked.verify(checked.published / NAME) == 0
    assert stage_of(checked) == (("builder-a", "builder-b"), True, "")
    # It can be followed: its builders are those who checked it.
    recipe = checked.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.0"', 'version = "1.1"'))
    found = read_previous(checked.workspace, checked.published / BUNDLE, now_utc())
    assert found is not None
    assert found.builders == ("builder-a", "builder-b")


def test_a_checked_release_is_replayed_by_hand(published: Project) -> None:
    checked = published
    now, root, folder = now_utc(), checked.root_file.read_bytes(), checked.published
    decision = verify_files(root, [folder / NAME], folder / BUNDLE, now)
    assert decision.verdict.word is Word.VERIFIED
    made = str(checked.folder / "by hand")
    places = Places(
        str(folder / NAME), str(folder / BUNDLE), str(checked.root_file), made, str(folder)
    )
    steps = explain(decision, root, NAME, places, now)
    assert run(checked.folder, steps) == {}
    assert "the recipe's checks passed on them" in steps[5].promise
    name = check_file(checked, "builder-a").name
    assert sum(f"{name}.payload" in command for command in steps[5].commands) == 1


def test_a_dissenters_check_lies_with_its_other_links(checked: Project) -> None:
    checked.set_policy('dissent = "refuse"', 'dissent = "record"')
    checked.new_root()
    checked.build("builder-c", b"other bytes")
    assert checked.signed().publish() == 0
    dissent = sorted(p.name for p in (checked.published / "in-toto" / "dissent").iterdir())
    assert [name.split(".")[0] for name in dissent] == ["build", "check"]


# --- what signers refuse -----------------------------------------------------------------------


def test_without_a_quorum_of_checks_nothing_is_signed(checked: Project) -> None:
    built(checked)
    check_file(checked, "builder-b").unlink()
    with pytest.raises(NotEnoughError, match="1 builders reported step check") as caught:
        request_of(checked)
    assert "check link" in caught.value.hint
    have, is_met, words = stage_of(checked)
    assert (have, is_met) == (("builder-a", "builder-b"), False)
    assert "1 builders reported step check" in words
    assert checked.run_signing("sign", "--as", "sam", "--yes") == 3


def test_a_check_by_one_who_built_otherwise_does_not_help(checked: Project) -> None:
    checked.set_policy('dissent = "refuse"', 'dissent = "record"')
    checked.new_root()
    built(checked)
    theirs = check_file(checked, "builder-b").read_bytes()
    payload = parse_link(parse_envelope(theirs, "").payload)
    checked.build("builder-c", b"other bytes")
    sign_again(checked, "builder-c", materials=payload.materials)
    check_file(checked, "builder-b").unlink()
    with pytest.raises(NotEnoughError, match="1 agreeing builders also checked"):
        request_of(checked)


def test_other_checks_are_dissent(checked: Project) -> None:
    checked.build("builder-c")
    built(checked)
    sign_again(checked, "builder-c", materials={})
    with pytest.raises(VerificationError, match="builder-c checked other files"):
        request_of(checked)


def test_checks_in_another_environment_than_the_signers(checked: Project) -> None:
    built(checked)
    path = checked.workspace.builder_folder("debian-test") / "builder.lock"
    moved = msgspec.structs.replace(parse_lock(path.read_bytes()), suite="newer")
    path.write_bytes(moved.to_bytes())
    with pytest.raises(VerificationError, match="ran in another environment") as caught:
        request_of(checked)
    assert caught.value.where == LOCK


@pytest.mark.parametrize("has", [True, False])
def test_layout_and_recipe_agree_on_whether_there_are_checks(
    checked: Project, *, has: bool
) -> None:
    layout = current_layout(checked.workspace, DEFAULT_PROFILE, now_utc())
    if has:
        checked.workspace.recipe_file.write_text(RECIPE)
    else:
        layout = msgspec.structs.replace(layout, steps=layout.steps[:2])
    with pytest.raises(VerificationError, match="differ on whether there are checks"):
        require_own_checks(checked.workspace, layout, {})


def test_a_recipe_without_checks_wants_no_environment(project: Project) -> None:
    layout = current_layout(project.workspace, DEFAULT_PROFILE, now_utc())
    assert check_environments(project.workspace, project.workspace.recipe()) == ()
    require_own_checks(project.workspace, layout, {})
    with pytest.raises(VerificationError, match="another environment"):
        require_own_checks(project.workspace, layout, {LOCK: "7" * 64})


def test_an_environment_of_checks_that_is_not_locked(checked: Project) -> None:
    (checked.workspace.builder_folder("debian-test") / "builder.lock").unlink()
    with pytest.raises(InputError, match="no such file") as caught:
        check_environments(checked.workspace, checked.workspace.recipe())
    assert caught.value.hint == "run `relsign lock debian-test`"


# --- what is collected -------------------------------------------------------------------------


def copy_of(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder)
    theirs = Project(folder, project.keys, project.site)
    theirs.build("builder-b", ARTIFACT)
    return theirs


def collect(mine: Project, theirs: Project) -> tuple[tuple[str, ...], str]:
    now = now_utc()
    root = current_root(mine.workspace, now)
    collected = collect_release(mine.release, theirs.release, root, now)
    return collected.taken, "\n".join(collected.refused)


def test_a_check_travels_with_its_build(checked: Project, tmp_path: Path) -> None:
    theirs = copy_of(checked, tmp_path / "other")
    assert collect(checked, theirs) == (("builds/builder-b",), "")
    assert check_file(checked, "builder-b").is_file()


def test_a_build_without_a_check_is_taken_as_it_is(checked: Project, tmp_path: Path) -> None:
    # Whether there must be one is for the layout to say.
    theirs = copy_of(checked, tmp_path / "other")
    check_file(theirs, "builder-b").unlink()
    assert collect(checked, theirs) == (("builds/builder-b",), "")


@pytest.mark.parametrize("kind", ["stale", "junk", "link"])
def test_a_bad_check_is_left_with_its_build(checked: Project, tmp_path: Path, kind: str) -> None:
    theirs = copy_of(checked, tmp_path / "other")
    path = check_file(theirs, "builder-b")
    if kind == "stale":
        sign_again(theirs, "builder-b", materials={})
    elif kind == "junk":
        path.write_bytes(b"junk")
    else:
        path.unlink()
        path.symlink_to("nowhere")
    taken, refused = collect(checked, theirs)
    assert taken == ()
    assert check_file(checked, "builder-b").name in refused
    assert ("other files than were built" in refused) is (kind == "stale")


# --- what links say ----------------------------------------------------------------------------

TWIN = Twin(target="linux", verdict="identical", varied=("time",))


def test_what_was_found_by_building_again_stands_in_the_build_link_only() -> None:
    made = BuiltRelease((checked_fingerprint(),), {}, None, (ENVIRONMENT,), (TWIN,))
    source, build, check = make_links(made.fingerprints, made.byproducts, made.checked)
    assert build.byproducts.twins == (TWIN,)
    assert (source.byproducts, check.byproducts) == (Byproducts(), Byproducts())
    assert BuiltRelease((checked_fingerprint(),), {}, None).byproducts == Byproducts()


def test_an_environment_with_two_digests_is_refused() -> None:
    built_in = checked_fingerprint().environment
    moved = msgspec.structs.replace(built_in, lock_sha256=ENVIRONMENT.lock_sha256)
    with pytest.raises(VerificationError, match="different inputs"):
        make_links((checked_fingerprint(),), None, (moved,))


def test_in_toto_refuses_a_release_whose_checks_are_missing(published: Project) -> None:
    checked = published
    staged = checked.published
    keys = []
    for name in ("olga", "oona"):
        raw = party_named(current_root(checked.workspace, now_utc()), name, "owner").key
        keys.append(_pem(checked.folder / f"{name}.pem", raw))
    require_reference(staged, keys)
    (staged / "in-toto" / check_file(checked, "builder-b").name).unlink()
    with pytest.raises(VerificationError, match="reference in-toto verifier does not agree"):
        require_reference(staged, keys)


def _pem(path: Path, key: object) -> Path:
    assert isinstance(key, Ed25519Public)
    write_whole(path, ed25519_pem(key.raw))
    return path
