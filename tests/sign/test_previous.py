"""The release before: which bundles a signer may follow, and what is then shown of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import (
    LAYOUT_FILE,
    STATEMENT_FILE,
    Bundle,
    make_bundle,
    parse_bundle,
)
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, parse_envelope
from relsign.formats.statement import Statement, parse_statement
from relsign.sign.evidence.links import seal
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.release import party_named
from relsign.sign.review.previous import read_previous
from relsign.sign.rules.root import current_root
from relsign.system.clock import now_utc
from tests.projects import PASSPHRASE, Project, make_lock
from tests.verify.releases import ARTIFACT

Capture = pytest.CaptureFixture[str]
OTHER = "other.relsign"


@pytest.fixture
def published(project: Project) -> Project:
    """Return a project whose 1.0 is published and whose recipe says 1.1 now."""
    assert project.signed().publish() == 0
    return next_version(project)


def next_version(project: Project) -> Project:
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.0"', 'version = "1.1"'))
    project.compile()
    return project


def bundle_of(project: Project) -> Path:
    return project.site / "demo" / "1.0" / "demo-1.0.relsign"


def changed(project: Project, **files: bytes | None) -> Path:
    """Write the bundle with some files replaced, or left out."""
    bundle = parse_bundle(bundle_of(project).read_bytes())
    names = {name.replace("_", "."): data for name, data in files.items()}
    merged = {**bundle.files, **names}
    kept = {name: data for name, data in merged.items() if data is not None}
    return _write(project, make_bundle(bundle.project, bundle.version, kept))


def _write(project: Project, bundle: Bundle) -> Path:
    path = project.site / OTHER
    path.write_bytes(bundle.to_bytes())
    return path


def second_statement(project: Project, **changes: object) -> bytes:
    """Return another statement of 1.0, signed by sam and sven as well."""
    bundle = parse_bundle(bundle_of(project).read_bytes())
    payload = parse_envelope(bundle.files[STATEMENT_FILE], "").payload
    statement = parse_statement(payload)
    predicate = msgspec.structs.replace(statement.predicate, **changes)
    other: Statement = msgspec.structs.replace(statement, predicate=predicate)
    root = current_root(project.workspace, now_utc())
    signatures: list[Signature] = []
    for name in ("sam", "sven"):
        party = party_named(root, name, "signer")
        signer = KeyStore(project.keys).open_as(party, PASSPHRASE)
        signatures += seal(other.to_bytes(), party, signer.sign).signatures
    return Envelope(
        payload=other.to_bytes(), payload_type=INTOTO_PAYLOAD, signatures=tuple(signatures)
    ).to_bytes()


def unsigned(project: Project, name: str) -> bytes:
    bundle = parse_bundle(bundle_of(project).read_bytes())
    envelope = parse_envelope(bundle.files[name], name)
    return Envelope(payload=envelope.payload, payload_type=INTOTO_PAYLOAD, signatures=()).to_bytes()


def refused(project: Project, path: Path) -> RelsignError:
    with pytest.raises(RelsignError) as raised:
        read_previous(project.workspace, path, now_utc())
    return raised.value


# --- what is followed --------------------------------------------------------------------------


def test_no_path_is_no_release_before(project: Project) -> None:
    assert read_previous(project.workspace, None, now_utc()) is None


def test_the_published_release_is_read_as_what_it_is(published: Project) -> None:
    earlier = read_previous(published.workspace, bundle_of(published), now_utc())
    assert earlier is not None
    assert earlier.place.reference.version == "1.0"
    assert earlier.place.sequence == 1
    assert (earlier.builders, earlier.owners) == (("builder-a", "builder-b"), ("olga", "oona"))
    assert [f.target for f in earlier.fingerprints] == ["linux"]
    assert (earlier.root.root.version, earlier.notes) == (1, ())


def test_a_release_of_an_earlier_root_is_judged_by_that_root(published: Project) -> None:
    published.remove_member("sam")
    published.set_policy("signers = 2", "signers = 1")
    published.new_root()
    earlier = read_previous(published.workspace, bundle_of(published), now_utc())
    assert earlier is not None
    assert earlier.root.root.version == 1
    assert earlier.notes == ()
    published.set_policy("signers = 1", "signers = 2")
    published.new_root()
    earlier = read_previous(published.workspace, bundle_of(published), now_utc())
    assert earlier is not None
    assert earlier.notes == ("judged by version 1 of the root: it does not hold by version 3",)


def test_a_bundle_without_roots_is_judged_by_one_of_the_project_s(published: Project) -> None:
    path = changed(published, **{"1_root_json": None})
    earlier = read_previous(published.workspace, path, now_utc())
    assert earlier is not None
    assert earlier.root.root.version == 1


def test_a_release_that_was_taken_back_is_followed_and_told_of(published: Project) -> None:
    published.add_policy('[[revoked]]\nversion = "1.0"\nreason = "it eats data"\n')
    published.new_root()
    earlier = read_previous(published.workspace, bundle_of(published), now_utc())
    assert earlier is not None
    assert "revoked by the owners: it eats data" in earlier.notes


# --- what is refused ---------------------------------------------------------------------------


def test_the_same_version_and_another_project_are_refused(published: Project) -> None:
    recipe = published.workspace.recipe_file
    for old, new in (('version = "1.1"', 'version = "1.0"'), ('name = "demo"', 'name = "other"')):
        recipe.write_text(recipe.read_text().replace(old, new, 1))
        error = refused(published, bundle_of(published))
        assert isinstance(error, InputError)
        assert error.what == "not a release this one can follow"


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"release_statement": None}, InputError, "holds no release statement"),
        ({"release_statement": b"{}"}, InputError, ""),
        ({"release_layout": None}, NotEnoughError, "at step 4, layout"),
        ({"linux_fingerprint_json": None}, NotEnoughError, "at step 6, fingerprint"),
        ({"linux_fingerprint_json": b"{}"}, VerificationError, "at step 6, fingerprint"),
    ],
    ids=["no statement", "junk", "no layout", "no fingerprint", "another fingerprint"],
)
def test_an_incomplete_bundle_is_refused(
    published: Project, files: dict[str, bytes | None], kind: type[RelsignError], words: str
) -> None:
    error = refused(published, changed(published, **files))
    assert isinstance(error, kind)
    assert words in error.what


@pytest.mark.parametrize(
    ("name", "words"),
    [(STATEMENT_FILE, "at step 3, signers"), (LAYOUT_FILE, "at step 4, layout")],
)
def test_what_nobody_signed_is_no_release_of_the_project(
    published: Project, name: str, words: str
) -> None:
    path = changed(published, **{name: unsigned(published, name)})
    assert words in refused(published, path).what


def test_links_of_too_few_builders_are_refused(published: Project) -> None:
    bundle = parse_bundle(bundle_of(published).read_bytes())
    (link, _) = sorted(name for name in bundle.files if name.startswith("build."))[:2]
    kept = {name: data for name, data in bundle.files.items() if name != link}
    path = _write(published, make_bundle("demo", "1.0", kept))
    assert "at step 5, builders" in refused(published, path).what


def test_a_second_statement_of_the_same_version_is_refused(published: Project) -> None:
    earlier = now_utc() - timedelta(hours=1)
    path = changed(published, release_statement=second_statement(published, released_at=earlier))
    error = refused(published, path)
    assert isinstance(error, VerificationError)
    assert error.what == "is another statement of 1.0 than the one signed here"
    # Who was not there when 1.0 was signed holds no statement of it to compare with.
    shutil.rmtree(published.folder / "release" / "demo-1.0")
    assert read_previous(published.workspace, path, now_utc()) is not None


def test_a_stranger_s_statement_in_the_folder_says_nothing(published: Project) -> None:
    file = published.folder / "release" / "demo-1.0" / STATEMENT_FILE
    there = parse_envelope(second_statement(published, released_at=now_utc()), "")
    file.write_bytes(
        Envelope(payload=there.payload, payload_type=INTOTO_PAYLOAD, signatures=()).to_bytes()
    )
    assert read_previous(published.workspace, bundle_of(published), now_utc()) is not None
    file.write_bytes(b"junk")
    assert read_previous(published.workspace, bundle_of(published), now_utc()) is not None


def test_a_release_of_the_future_is_refused(published: Project) -> None:
    later = now_utc() + timedelta(days=3)
    path = changed(published, release_statement=second_statement(published, released_at=later))
    assert refused(published, path).what == "the release before is dated in the future"


# --- what the signer sees ----------------------------------------------------------------------


def built(project: Project, **changes: object) -> None:
    for builder in ("builder-a", "builder-c"):
        project.build(builder, ARTIFACT + b"!" * 2048, **changes)
    for name in ("olga", "otto"):
        assert project.run_signing("policy", "sign", "--as", name) == 0


def test_a_signer_is_told_what_changed(published: Project, capsys: Capture) -> None:
    lock = published.workspace.builder_folder("debian-c") / "builder.lock"
    lock.write_bytes(make_lock("7" * 64))
    published.set_policy("signers = 2", "signers = 1")
    published.new_root()
    built(published)
    capsys.readouterr()
    words = ("--previous", str(bundle_of(published)))
    assert published.run_signing("sign", "--as", "sam", "--yes", *words) == 0
    said = capsys.readouterr().err
    first, *lines = said.splitlines()
    assert first == "Since 1.0: no source changed, 1 environment changed, +2.0 KiB."
    for line in (
        "    the recipe of 1.0 is not at hand: read the changes in your repository",
        "    demo-1.0.tar.gz: 20 B → 2.0 KiB (+2.0 KiB, +10240.0 %)",
        "    builder-b built 1.0, not this one",
        "    builder-c built this one, not 1.0",
        "    oona signed the layout of 1.0, not this one",
        "    thresholds.signers 2 → 1",
    ):
        assert line in lines, said


def test_old_recipe_and_lock_are_found_in_the_project_s_own_history(
    project: Project, capsys: Capture
) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        subprocess.run(["git", "-C", project.folder, *who, *words], check=True, capture_output=True)

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "1.0")
    assert project.signed().publish() == 0
    next_version(project)
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('"make"', '"make", "make check"'))
    lock = project.workspace.builder_folder("debian-c") / "builder.lock"
    lock.write_bytes(lock.read_bytes().replace(b'"version": "1"', b'"version": "2"'))
    project.compile()
    built(project)
    git("add", "--all")
    git("commit", "--quiet", "--message", "1.1")
    capsys.readouterr()
    words = ("--previous", str(bundle_of(project)))
    assert project.run_signing("sign", "--as", "sam", "--yes", "--full", *words) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Since 1.0: no source changed, 1 package changed, +2.0 KiB."
    assert "    debian-c: make 1 → 2" in said
    assert "    target linux: commands added: make check" in said


def test_a_first_release_and_an_unnamed_one_are_said_to_be_that(
    project: Project, capsys: Capture
) -> None:
    project.signed()
    assert "The first release: there is none before" in capsys.readouterr().err
    assert project.publish() == 0
    next_version(project)
    built(project)
    words = ("--previous", str(bundle_of(project)))
    assert project.run_signing("sign", "--as", "sam", "--yes", *words) == 0
    capsys.readouterr()
    assert project.run_signing("sign", "--as", "sven", "--yes") == 0
    said = capsys.readouterr().err
    assert said.startswith("Follows 1.0; name its bundle with --previous to see what changed.\n")


def test_the_status_tells_of_what_expires(published: Project, capsys: Capture) -> None:
    published.set_policy("[thresholds]", "layout_days = 30\nroot_days = 59\n\n[thresholds]")
    published.new_root()
    built(published)
    capsys.readouterr()
    assert published.run("status") == 3
    said = capsys.readouterr().out
    assert "WARNING: the layout expires in 2" in said
    assert "WARNING: the trust root expires in 58 days, on " in said
    assert published.run("status", "--json") == 3
    shown = json.loads(capsys.readouterr().out)["expiring"]
    assert [(each["what"], each["name"], each["over"]) for each in shown] == [
        ("layout", "", False),
        ("trust root", "", False),
    ]
    published.run_signing("sign", "--as", "sam", "--yes", "--previous", str(bundle_of(published)))
    assert "WARNING: the trust root expires in 58 days" in capsys.readouterr().err
    published.run("doctor")
    assert "the trust root expires in 58 days" in capsys.readouterr().out
