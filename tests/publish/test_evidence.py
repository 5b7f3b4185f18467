"""What goes into a publication: own evidence that holds; everything else is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.keys import OpenPGPPublic
from relsign.crypto.openpgp import split_signatures
from relsign.formats.bundle import MAX_BUNDLE_BYTES, parse_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae, parse_envelope
from relsign.formats.link import parse_link
from relsign.publish.release import Candidate, collect_candidate
from relsign.publish.signatures import stock_signatures
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.system.clock import now_utc
from relsign.verify.root import TrustedRoot, verify_root
from tests.projects import PASSPHRASE, Project

Capture = pytest.CaptureFixture[str]


def current(project: Project) -> TrustedRoot:
    return verify_root(project.workspace.root_file.read_bytes(), now_utc())


def collect(project: Project) -> Candidate:
    return collect_candidate(project.release, current(project), (), now_utc())


def link_of(project: Project, builder: str, step: str = "build") -> Path:
    return next(project.release.build_of(builder).glob(f"{step}.*.link"))


def sign_again(project: Project, builder: str, payload: bytes) -> bytes:
    signer = KeyStore(project.keys).open(builder, PASSPHRASE)
    party = next(p for p in current(project).parties if p.name == builder)
    signature = Signature(keyid=party.keyid, sig=signer.sign(pae(INTOTO_PAYLOAD, payload)))
    return Envelope(
        payload=payload, payload_type=INTOTO_PAYLOAD, signatures=(signature,)
    ).to_bytes()


def test_forged_provenance_and_junk_are_named_and_not_published(
    project: Project, capsys: Capture
) -> None:
    project.signed()
    good = sorted(collect(project).files)
    a, b = (project.release.build_of(name) for name in ("builder-a", "builder-b"))
    (a / "evil.link").write_bytes(b"{}")
    (a / "builder-b.intoto.jsonl").write_bytes((b / "builder-b.intoto.jsonl").read_bytes())
    (a / "nobody.intoto.jsonl").write_bytes(b"{}\n")
    shutil.copy(link_of(project, "builder-b"), a)
    stranger = project.release.builds / "stranger"
    shutil.copytree(b, stranger)
    forged = (b / "builder-b.intoto.jsonl").read_bytes()
    (b / "builder-b.intoto.jsonl").write_bytes(forged.replace(b'"sig":"', b'"sig":"AAAA'))
    os.mkfifo(project.release.builds / "fifo")
    capsys.readouterr()
    assert project.publish() == 0
    said = capsys.readouterr().err
    for name in ("builder-a/evil.link", "builder-a/nobody.intoto.jsonl", "builds/stranger/"):
        assert name in said
    assert "builder-b.intoto.jsonl: left out" in said
    candidate = collect(project)
    assert sorted(candidate.files) == sorted(set(good) - {"in-toto/builder-b.intoto.jsonl"})
    published = {p.name for p in (project.published / "in-toto").iterdir()}
    assert published == {
        name.removeprefix("in-toto/") for name in candidate.files if name.startswith("in-toto/")
    }


def test_a_folder_that_cannot_be_read_is_left_out(project: Project) -> None:
    project.signed()
    junk = project.release.build_of("builder-c")
    junk.mkdir()
    with (junk / "build.01234567.link").open("wb") as stream:
        stream.truncate(MAX_BUNDLE_BYTES + 1)
    candidate = collect(project)
    assert any("builds/builder-c: left out" in note for note in candidate.notes)


def test_a_link_of_a_dissenter_is_evidence_too(project: Project) -> None:
    project.signed()
    project.build("builder-c", b"other bytes")
    name = link_of(project, "builder-c").name
    candidate = collect(project)
    assert f"in-toto/dissent/{name}" in candidate.files
    assert f"in-toto/{name}" not in candidate.files
    assert name in parse_bundle(candidate.bundle, "bundle").files


def test_a_builder_that_speaks_with_two_tongues(project: Project, capsys: Capture) -> None:
    project.signed()
    own = link_of(project, "builder-a")
    link = parse_link(parse_envelope(own.read_bytes(), own.name).payload, own.name)
    other = msgspec.structs.replace(link, command=("make", "evil"))
    elsewhere = project.release.build_of("builder-b") / own.name
    elsewhere.write_bytes(sign_again(project, "builder-a", other.to_bytes()))
    assert project.publish() == 2
    assert "builder-a signed two different links for one step" in capsys.readouterr().err
    assert not project.published.exists()
    elsewhere.write_bytes(own.read_bytes())
    assert project.publish() == 0


def test_a_bad_stock_signature_is_named_and_left_out(project: Project, capsys: Capture) -> None:
    project.signed()
    (project.release.signatures / "sam.minisig").write_bytes(b"junk")
    (project.release.signatures / "sven.minisig").unlink()
    capsys.readouterr()
    assert project.publish() == 0
    said = capsys.readouterr().err
    assert "signatures/sam.minisig: left out: not a minisign file" in said
    assert "signatures/sven.minisig: not there; sven signed without it" in said
    assert "sara" not in said
    assert not (project.published / "SHA256SUMS.minisig").exists()


def test_the_first_good_minisign_signature_is_taken(project: Project) -> None:
    project.signed()
    (project.release.signatures / "sam.minisig").write_bytes(b"junk")
    assert project.publish() == 0
    sven = (project.release.signatures / "sven.minisig").read_bytes()
    assert (project.published / "SHA256SUMS.minisig").read_bytes() == sven


def test_one_openpgp_signature_a_signer(project: Project, tmp_path: Path, capsys: Capture) -> None:
    keys = tmp_path / "keys"
    shutil.copytree(project.keys, keys)
    mine = Project(project.folder, keys, project.site)
    wanted = wanted_member("petra", "petra", "birch", ("signer",), "openpgp")
    KeyStore(keys).create(wanted, "petra", PASSPHRASE, None)
    mine.add_member("petra")
    mine.new_root()
    mine.signed()
    assert mine.run_signing("sign", "--as", "petra", "--yes") == 0
    path = mine.release.signatures / "petra.asc"
    good = path.read_bytes()
    root, manifest = current(mine), collect(mine).files["SHA256SUMS"]
    signers = tuple(p for p in root.having("signer") if isinstance(p.key, OpenPGPPublic))
    path.write_bytes(good * 3)
    odd = stock_signatures(mine.release, signers, {"petra"}, manifest, now_utc())
    assert odd.files == {}
    assert odd.notes == ("signatures/petra.asc: left out: not one signature",)
    path.write_bytes(good)
    found = stock_signatures(mine.release, signers, {"petra"}, manifest, now_utc())
    assert len(split_signatures(found.files["SHA256SUMS.asc"], "asc")) == 1
    assert found.notes == ()
    bad = stock_signatures(mine.release, signers, {"petra"}, manifest + b"x", now_utc())
    assert bad.files == {}
    assert "signatures/petra.asc: left out" in bad.notes[0]
    path.write_bytes(b"junk")
    assert mine.publish() == 0
    assert "signatures/petra.asc: left out" in capsys.readouterr().err
    assert not (mine.published / "SHA256SUMS.asc").exists()
