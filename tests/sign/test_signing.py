"""What owners and signers refuse to sign: what they were not shown, or have not reviewed."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.build.profile import DEFAULT_PROFILE, load_profile
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, parse_envelope
from relsign.formats.fingerprint import ProfileDigest, SourceDigest
from relsign.formats.names import Digest
from relsign.formats.statement import PreviousRelease
from relsign.sign.evidence.links import seal
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.release import (
    OLDEST_PROPOSAL,
    Previous,
    SigningRequest,
    party_named,
    prepare_request,
    sign_layout,
)
from relsign.sign.rules.policy import current_layout
from relsign.sign.rules.root import current_root
from relsign.sign.signers.file import create_key_file
from relsign.system.clock import now_utc
from tests.projects import PASSPHRASE, PROGRAM, Project, make_lock
from tests.verify.releases import ARTIFACT, NAME

Capture = pytest.CaptureFixture[str]


def request_of(project: Project, previous: Previous | None = None) -> SigningRequest:
    now = now_utc()
    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    root = current_root(project.workspace, now)
    return prepare_request(project.workspace, root, previous, digest, now)


def built(project: Project, **changes: object) -> Project:
    """Build by two builders, with some fingerprint fields changed; the owners sign."""
    project.build("builder-a", ARTIFACT, **changes)
    project.build("builder-b", ARTIFACT, **changes)
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    return project


# --- owners ------------------------------------------------------------------------------------


def other_layout(project: Project) -> bytes:
    """Return an envelope with a layout that asks for one builder only."""
    layout = current_layout(project.workspace, DEFAULT_PROFILE, now_utc())
    steps = tuple(msgspec.structs.replace(step, threshold=1) for step in layout.steps)
    payload = msgspec.structs.replace(layout, steps=steps).to_bytes()
    return Envelope(payload=payload, payload_type=INTOTO_PAYLOAD, signatures=()).to_bytes()


def test_an_owner_signs_what_was_shown_and_not_what_is_there_by_now(project: Project) -> None:
    swapped = other_layout(project)
    read_end, write_end = os.pipe()
    command: list[str | Path] = [
        PROGRAM, "policy", "sign", "--as", "olga", "--project", project.folder,
        "--keys", project.keys, "--passphrase-fd", str(read_end),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, pass_fds=(read_end,)
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "its thresholds" in line:
                break
        project.release.layout_file.write_bytes(swapped)
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        rest = process.stderr.read()
    os.close(read_end)
    assert process.returncode == 2, rest
    assert "holds another document now" in rest
    assert project.release.layout_file.read_bytes() == swapped


def test_sign_layout_refuses_another_payload_on_disk(project: Project) -> None:
    now = now_utc()
    root = current_root(project.workspace, now)
    shown = current_layout(project.workspace, DEFAULT_PROFILE, now).to_bytes()
    project.release.layout_file.write_bytes(other_layout(project))
    party = party_named(root, "olga", "owner")
    signer = KeyStore(project.keys).open_as(party, PASSPHRASE)
    with pytest.raises(InputError, match="another document"):
        sign_layout(project.release, shown, root.having("owner"), party, signer.sign)


def test_an_owner_is_shown_what_is_signed(project: Project, capsys: Capture) -> None:
    assert project.run_signing("policy", "sign", "--as", "olga") == 0
    shown = capsys.readouterr().err
    for words in (
        "Layout of demo 1.0, until ",
        "  recipe ",
        f"  requires {NAME}",
        "  requires linux.fingerprint.json",
        "2 of 3 builders must agree",
        "builder-c, operated by machine-c of birch",
        "root version 1 (the first)",
        "2 owners, 2 signers, 2 builders of 2 organisations; dissent: refuse",
    ):
        assert words in shown


def test_a_changed_root_is_shown_as_changed(project: Project, capsys: Capture) -> None:
    project.set_policy("signers = 2", "signers = 1")
    project.compile()
    capsys.readouterr()
    # The owners agree on the root first: no layout is signed on the way to it.
    assert project.run_signing("policy", "sign", "--as", "olga") == 3
    assert "version 2 is signed by 0 of its own owners (need 2)" in capsys.readouterr().err
    project.sign_root("olga")
    assert "thresholds.signers 2 → 1" in capsys.readouterr().err
    assert project.run_signing("policy", "sign", "--as", "olga") == 3
    assert "version 2 is signed by 1 of its own owners (need 2)" in capsys.readouterr().err
    project.sign_root("oona")
    assert project.run_signing("policy", "sign", "--as", "olga") == 0
    shown = capsys.readouterr().err
    assert "root version 2 (people or thresholds changed before it)" in shown
    assert "1 signers" in shown


def test_a_compile_names_the_owners_who_must_sign_again(project: Project, capsys: Capture) -> None:
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text() + "\n# a word\n")
    capsys.readouterr()
    assert project.run("policy", "compile") == 0
    assert "olga, oona must sign again" in capsys.readouterr().err


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "words"), [("olga", ("policy", "sign")), ("sam", ("sign",))])
def test_a_key_that_is_not_the_roots_signs_nothing(
    project: Project, tmp_path: Path, capsys: Capture, name: str, words: tuple[str, ...]
) -> None:
    built(project)
    keys = tmp_path / "keys"
    shutil.copytree(project.keys, keys)
    secret = keys / name / "key.pem"
    secret.unlink()
    public = create_key_file(secret, PASSPHRASE).hex()
    card = KeyStore(keys).card_file(name)
    old = KeyStore(keys).member(name).key
    card.write_text(card.read_text().replace(getattr(old, "public", "?"), public))
    before = project.release.layout_file.read_bytes()
    mine = Project(project.folder, keys, project.site)
    yes = () if words[0] == "policy" else ("--yes",)
    assert mine.run_signing(*words, "--as", name, *yes) == 2
    assert "your key is not the one in the trust root" in capsys.readouterr().err
    assert project.release.layout_file.read_bytes() == before
    assert not project.release.statement_file.exists()


# --- what signers reviewed ---------------------------------------------------------------------


def test_a_signer_accepts_what_was_built_from_its_own_documents(project: Project) -> None:
    assert request_of(built(project)).silent == ("builder-c",)


def change_lock(project: Project) -> None:
    (project.workspace.builder_folder("debian-c") / "builder.lock").write_bytes(make_lock("8" * 64))


def other_profile() -> ProfileDigest:
    return ProfileDigest(name=DEFAULT_PROFILE, sha256=Digest("9" * 64))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"profile": other_profile()}, f"profiles/{DEFAULT_PROFILE}.json"),
        ({"sources": (SourceDigest(name="demo", sha256=Digest("7" * 64)),)}, "sources/demo"),
        ({"source_date_epoch": 2}, "source_date_epoch"),
        ({"recipe_sha256": Digest("a" * 64)}, "relsign.toml"),
    ],
)
def test_a_signer_refuses_what_was_built_from_other_inputs(
    project: Project, changes: dict[str, object], where: str
) -> None:
    built(project, **changes)
    with pytest.raises(VerificationError) as caught:
        request_of(project)
    assert caught.value.where == where
    assert caught.value.hint


def test_a_signer_refuses_another_lock_than_its_own(project: Project) -> None:
    built(project)
    change_lock(project)
    with pytest.raises(VerificationError, match="another input than yours") as caught:
        request_of(project)
    assert caught.value.where == "builders/debian-c/builder.lock"


def test_a_signer_refuses_another_recipe_than_the_owners_approved(project: Project) -> None:
    built(project)
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text() + "\n# not reviewed\n")
    with pytest.raises(VerificationError, match="the owners approved another recipe"):
        request_of(project)


def test_a_signer_sees_what_the_gate_sees(project: Project) -> None:
    """A release the owners revoked derives well, and would be refused after signing."""
    project.signed()
    payload = parse_envelope(project.release.statement_file.read_bytes(), "").payload
    digest = sha256_hex(payload)
    project.add_policy(f'[[revoked]]\nstatement_sha256 = "{digest}"\nreason = "wrong key"\n')
    project.compile()
    with pytest.raises(NotEnoughError, match="version 2 is signed by 0"):
        request_of(project)
    project.sign_root()
    with pytest.raises(VerificationError, match="revoked by the owners: wrong key"):
        request_of(project)


def test_status_and_sign_name_the_builders_who_have_not_reported(
    project: Project, capsys: Capture
) -> None:
    built(project)
    assert project.run("status") == 3
    assert "not heard of: builder-c" in capsys.readouterr().out
    assert project.run_signing("sign", "--as", "sam", "--yes") == 0
    assert "not heard of: builder-c" in capsys.readouterr().err


# --- dates and the release before --------------------------------------------------------------


def propose(project: Project, released_at: datetime) -> None:
    """Leave sam's signed statement with another date."""
    request = request_of(project)
    predicate = msgspec.structs.replace(request.statement.predicate, released_at=released_at)
    payload = msgspec.structs.replace(request.statement, predicate=predicate).to_bytes()
    party = party_named(current_root(project.workspace, now_utc()), "sam", "signer")
    signer = KeyStore(project.keys).open_as(party, PASSPHRASE)
    project.release.statement_file.write_bytes(seal(payload, party, signer.sign).to_bytes())


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (OLDEST_PROPOSAL + timedelta(hours=1), "more than a year ago"),
        (timedelta(hours=-25), "in the future"),
    ],
)
def test_a_signer_refuses_a_date_out_of_reach(project: Project, age: timedelta, words: str) -> None:
    built(project)
    propose(project, now_utc() - age)
    with pytest.raises(VerificationError, match=words) as caught:
        request_of(project)
    assert caught.value.hint


def before(released_at: datetime) -> Previous:
    reference = PreviousRelease(version="0.9", statement_sha256=Digest("b" * 64))
    return Previous(reference, 4, released_at)


def test_a_release_is_not_dated_before_the_one_it_follows(project: Project) -> None:
    built(project)
    earlier = before(now_utc() - timedelta(days=1))
    predicate = request_of(project, earlier).statement.predicate
    assert (predicate.previous, predicate.sequence) == (earlier.reference, 5)
    with pytest.raises(VerificationError, match="before the release it follows"):
        request_of(project, before(now_utc() + timedelta(days=1)))


def test_a_proposal_is_not_dated_before_the_release_it_follows(project: Project) -> None:
    built(project)
    previous = before(now_utc() - timedelta(days=3))
    request = request_of(project, previous)
    predicate = msgspec.structs.replace(
        request.statement.predicate, released_at=now_utc() - timedelta(days=4)
    )
    payload = msgspec.structs.replace(request.statement, predicate=predicate).to_bytes()
    party = party_named(current_root(project.workspace, now_utc()), "sam", "signer")
    signer = KeyStore(project.keys).open_as(party, PASSPHRASE)
    project.release.statement_file.write_bytes(seal(payload, party, signer.sign).to_bytes())
    with pytest.raises(VerificationError, match="before the release it follows"):
        request_of(project, previous)
