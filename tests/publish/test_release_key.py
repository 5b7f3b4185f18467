"""What stock tools get where there is a release key: its signatures alone, in their forms."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from relsign.crypto import openpgp_make, signify, sshsig
from relsign.crypto.digest import sha256_hex
from relsign.crypto.git_tag import signed_tag, tag_payload
from relsign.crypto.minisign import signature_file
from relsign.crypto.openpgp import armor_signatures, split_signatures
from relsign.crypto.stock import STOCK, place_of
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.formats.tag_message import TagMessage
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.system.clock import now_utc
from relsign.verify.root import TrustedRoot, verify_root
from tests.crypto.roster_keys import b64
from tests.projects import PASSPHRASE, Project
from tests.verify.releases import NAME, secret, sign_by, signature_by

Capture = pytest.CaptureFixture[str]
RAW = secret("team").verify_key.encode()
MANIFEST = "SHA256SUMS"


def signs(name: str) -> Callable[[bytes], bytes]:
    return lambda message: sign_by(name, message)


def certificate_of(name: str) -> bytes:
    now = now_utc()
    until = now.replace(year=now.year + 2, day=1)
    raw = secret(name).verify_key.encode()
    return openpgp_make.certificate(raw, "Team <team@example.org>", now, until, signs(name))


TEAMS, OTHERS = certificate_of("team"), certificate_of("sam")


@pytest.fixture(scope="module")
def certificate() -> bytes:
    return TEAMS


def enrol(project: Project, certificate: bytes | None = None) -> None:
    """Put the group into the roster, as somebody who made it would."""
    lines = [
        "\n[[member]]",
        'name = "team"\noperator = "team"\norganisation = "acme"\nroles = ["release"]',
        f'[member.key]\nkind = "frost"\npublic = "{RAW.hex()}"\nthreshold = 2',
        'participants = ["sam", "sara", "sven"]',
        *([] if certificate is None else [f'certificate = "{b64(certificate)}"']),
    ]
    roster = project.workspace.roster_file
    roster.write_text(roster.read_text() + "\n".join(lines) + "\n")
    project.new_root()


def sign_statement(project: Project, by: str = "team") -> None:
    path = project.release.statement_file
    envelope = parse_envelope(path.read_bytes(), STATEMENT_FILE)
    signature = signature_by(by, envelope.payload)
    path.write_bytes(envelope.with_signatures((*envelope.signatures, signature)).to_bytes())


def stock_of(manifest: bytes, certificate: bytes | None, by: str = "team") -> dict[str, bytes]:
    """Return what a group leaves in `signatures/`, signed by the group or somebody else."""
    sign, raw = signs(by), secret(by).verify_key.encode()
    digest = hashlib.blake2b(manifest).digest()
    files = {
        "team.minisig": signature_file(sign, raw, digest, "demo 1.0 SHA256SUMS"),
        "team.sig": sshsig.signature_file(raw, manifest, "file", sign),
        "team.signify": signify.signature_file(raw, manifest, sign, "team"),
        "team.ed25519": sign(manifest),
    }
    if certificate is not None:
        packet = openpgp_make.detached(certificate, manifest, now_utc(), sign)
        files["team.asc"] = armor_signatures([packet])
        files["team.clear.asc"] = openpgp_make.cleartext(certificate, manifest, now_utc(), sign)
        message = TagMessage("demo", "1.0", sha256_hex(b"statement"), sha256_hex(manifest)).text()
        files["team.tag"] = tag_of(message, certificate, by)
    return files


def tag_of(message: str, certificate: bytes, by: str = "team") -> bytes:
    """Return a signed git tag that says this."""
    now = now_utc().replace(microsecond=0)
    payload = tag_payload("c" * 40, "v1.0", "Team <team@example.org>", now, message)
    packet = openpgp_make.detached(certificate, payload, now, signs(by))
    return signed_tag(payload, armor_signatures([packet]))


def leave(project: Project, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (project.release.signatures / name).write_bytes(data)


def manifest_of(project: Project) -> bytes:
    artifact = next(project.release.builds.glob(f"*/artifacts/{NAME}"))
    return f"{hashlib.sha256(artifact.read_bytes()).hexdigest()}  {NAME}\n".encode()


def current(project: Project) -> TrustedRoot:
    return verify_root(project.workspace.root_file.read_bytes(), now_utc())


@pytest.fixture
def team(project: Project) -> Project:
    """Return a project with a release key without a certificate, signed by everybody."""
    project.signed()
    enrol(project)
    sign_statement(project)
    return project


def published(project: Project) -> dict[str, bytes]:
    return {n: p.read_bytes() for n in STOCK if (p := project.published / n).exists()}


def test_without_the_release_key_s_signature_nothing_is_published(
    project: Project, capsys: Capture
) -> None:
    project.signed()
    enrol(project)
    capsys.readouterr()
    assert project.publish() == 3
    assert "the release key team has not signed" in capsys.readouterr().err
    sign_statement(project, by="sam")
    assert project.publish() == 3
    assert not project.published.exists()
    sign_statement(project)
    assert project.publish() == 0
    assert project.verify(project.published / NAME) == 0


def test_every_form_is_published_as_the_group_made_it(
    team: Project, certificate: bytes, capsys: Capture
) -> None:
    files = stock_of(manifest_of(team), None)
    leave(team, files)
    capsys.readouterr()
    assert team.publish() == 0
    assert "left out" not in capsys.readouterr().err
    assert published(team) == {
        f"SHA256SUMS.{name.partition('.')[2]}": data for name, data in files.items()
    }
    assert team.publish() == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err
    keys = {path.name for path in (team.site / "demo" / "keys").iterdir()}
    assert {
        "team.pem", "team.minisign.pub", "team.signify.pub", "team.ssh.pub", "allowed_signers",
    } <= keys  # fmt: skip
    assert "team.asc" not in keys
    assert certificate


def test_a_signer_s_minisign_signature_is_not_the_release_key_s(
    team: Project, capsys: Capture
) -> None:
    capsys.readouterr()
    assert team.publish() == 0
    said = capsys.readouterr().err
    assert "signatures/team.minisig: not there; team signed without it" in said
    assert "team.sig:" not in said
    assert published(team) == {}


@pytest.mark.parametrize("name", ["minisig", "sig", "signify", "ed25519"])
def test_a_false_signature_is_named_and_left_out(team: Project, name: str, capsys: Capture) -> None:
    good = stock_of(manifest_of(team), None)
    others = {
        "by another": stock_of(manifest_of(team), None, by="sam"),
        "over other bytes": stock_of(b"other", None),
        "junk": {f"team.{name}": b"junk"},
    }
    for files in others.values():
        leave(team, {**good, f"team.{name}": files[f"team.{name}"]})
        capsys.readouterr()
        assert team.publish() == 0
        assert f"signatures/team.{name}: left out" in capsys.readouterr().err
        assert f"SHA256SUMS.{name}" not in published(team)
        assert len(published(team)) == 3
        shutil.rmtree(team.site)


@pytest.fixture
def certified(project: Project, certificate: bytes, tmp_path: Path) -> Project:
    """Return a project with a release key for gpg, and a signer who has an OpenPGP key."""
    keys = shutil.copytree(project.keys, tmp_path / "keys")
    mine = Project(project.folder, keys, project.site)
    wanted = wanted_member("petra", "petra", "birch", ("signer",), "openpgp")
    KeyStore(keys).create(wanted, "petra", PASSPHRASE, None)
    mine.add_member("petra")
    mine.new_root()
    mine.signed()
    assert mine.run_signing("sign", "--as", "petra", "--yes") == 0
    assert mine.publish() == 0
    assert len(split_signatures(published(mine)["SHA256SUMS.asc"], "asc")) == 1
    enrol(mine, certificate)
    sign_statement(mine)
    return mine


def test_people_s_openpgp_signatures_make_room_for_the_group_s(
    certified: Project, certificate: bytes, capsys: Capture
) -> None:
    before = published(certified)["SHA256SUMS.asc"]
    leave(certified, stock_of(manifest_of(certified), certificate))
    capsys.readouterr()
    assert certified.publish() == 0, capsys.readouterr().err
    after = published(certified)
    assert after["SHA256SUMS.people.asc"] == before
    assert after["SHA256SUMS.asc"] != before
    root = current(certified)
    manifest = manifest_of(certified)
    for name, data in after.items():
        assert place_of(name, data, root.statement_signers, manifest, now_utc()) == name
        assert place_of(name, data, root.statement_signers, manifest + b"x", now_utc()) is None
    armour = (certified.site / "demo" / "keys" / "team.asc").read_bytes()
    assert b"PUBLIC KEY BLOCK" in armour


def test_people_s_openpgp_signatures_are_not_lost_on_the_way(
    certified: Project, capsys: Capture
) -> None:
    (certified.release.signatures / "petra.asc").unlink()
    capsys.readouterr()
    assert certified.publish() == 1
    assert "without SHA256SUMS.people.asc" in capsys.readouterr().err


@pytest.mark.parametrize(
    "lost", ["asc", "clear.asc", "tag", "minisig", "sig", "signify", "ed25519"]
)
def test_a_renewal_takes_none_of_the_group_s_signatures_away(
    certified: Project, certificate: bytes, lost: str, capsys: Capture
) -> None:
    leave(certified, stock_of(manifest_of(certified), certificate))
    assert certified.publish() == 0
    before = published(certified)
    (certified.release.signatures / f"team.{lost}").unlink()
    capsys.readouterr()
    assert certified.publish() == 1
    assert f"without SHA256SUMS.{lost}" in capsys.readouterr().err
    assert published(certified) == before


FALSE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "text, by another": (
        "clear.asc",
        lambda manifest: openpgp_make.cleartext(OTHERS, manifest, now_utc(), signs("sam")),
        "not by a signing key",
    ),
    "another text": (
        "clear.asc",
        lambda _: stock_of(b"other\n", TEAMS)["team.clear.asc"],
        "not this text",
    ),
    "tag, by another": (
        "tag",
        lambda manifest: tag_of(
            TagMessage("demo", "1.0", sha256_hex(b""), sha256_hex(manifest)).text(), OTHERS, "sam"
        ),
        "not by a signing key",
    ),
    "tag of other files": (
        "tag",
        lambda _: stock_of(b"other\n", TEAMS)["team.tag"],
        "the tag is of other files",
    ),
    "tag of nothing": (
        "tag",
        lambda _: tag_of("demo 1.0", TEAMS),
        "not the message of a release's tag",
    ),
    "no tag": ("tag", lambda _: b"junk", "not a git tag"),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_false_text_or_tag_is_named_and_left_out(
    project: Project, case: str, capsys: Capture
) -> None:
    ending, make, words = FALSE[case]
    project.signed()
    enrol(project, TEAMS)
    sign_statement(project)
    files = stock_of(manifest_of(project), TEAMS)
    leave(project, {**files, f"team.{ending}": make(manifest_of(project))})
    capsys.readouterr()
    assert project.publish() == 0
    said = capsys.readouterr().err
    assert f"signatures/team.{ending}: left out: " in said
    assert words in said
    assert len(published(project)) == len(files) - 1
    assert f"SHA256SUMS.{ending}" not in published(project)


def test_the_group_s_signature_on_the_statement_is_not_lost_either(
    certified: Project, capsys: Capture
) -> None:
    assert certified.publish() == 0
    certified.set_policy('dissent = "refuse"', 'dissent = "refuse"\nrelease_key = "optional"')
    certified.new_root()
    path = certified.release.statement_file
    envelope = parse_envelope(path.read_bytes(), STATEMENT_FILE)
    team = signature_by("team", envelope.payload)
    kept = tuple(signature for signature in envelope.signatures if signature != team)
    assert len(kept) == len(envelope.signatures) - 1
    path.write_bytes(msgspec.structs.replace(envelope, signatures=kept).to_bytes())
    capsys.readouterr()
    assert certified.publish() == 1
    assert "without the signature of team" in capsys.readouterr().err


def test_gpg_and_ssh_keygen_take_what_is_published(
    certified: Project, certificate: bytes, tmp_path: Path
) -> None:
    leave(certified, stock_of(manifest_of(certified), certificate))
    assert certified.publish() == 0
    keys, folder = certified.site / "demo" / "keys", certified.published
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    run(*gpg, "--import", str(keys / "team.asc"))
    run(*gpg, "--verify", str(folder / "SHA256SUMS.asc"), str(folder / MANIFEST))
    run(
        "ssh-keygen", "-Y", "verify", "-f", str(keys / "allowed_signers"), "-I", "team",
        "-n", "file", "-s", str(folder / "SHA256SUMS.sig"), given=folder / MANIFEST,
    )  # fmt: skip
    run(
        "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(keys / "team.pem"),
        "-in", str(folder / MANIFEST), "-sigfile", str(folder / "SHA256SUMS.ed25519"),
    )  # fmt: skip


def run(*words: str, given: Path | None = None) -> None:
    with (given or Path("/dev/null")).open("rb") as stream:
        done = subprocess.run(words, stdin=stream, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
