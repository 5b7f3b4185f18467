"""Releases signed with keys of the other kinds, from `key new` or `key use` to `verify`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.formats.bundle import STATEMENT_FILE, parse_bundle
from relsign.formats.envelope import parse_envelope
from relsign.formats.roster import EcdsaKey, Ed25519Key, Key, RsaKey
from relsign.sign.keys.keystore import KeyStore
from relsign.verify.verdict import STEPS
from tests.projects import Project
from tests.sign.agents import real_agent
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]
CARD = ("--role", "signer", "--organisation", "birch")


@pytest.fixture
def own(project: Project) -> Project:
    """Return a project with a key store of its own, into which new keys may go."""
    folder = project.folder.parent / "keys"
    shutil.copytree(project.keys, folder)
    project.keys = folder
    return project


def new_key(project: Project, name: str, *words: str) -> None:
    """Make a key as its owner does."""
    assert signing(project, "key", "new", name, *CARD, "--operator", name, *words) == 0


def signing(project: Project, *words: str) -> int:
    """Run a command that is of no project and needs a passphrase."""
    secret = project.folder.parent / "secret"
    secret.write_bytes(b"correct horse battery\n")
    with secret.open("rb") as stream:
        more = ("--keys", str(project.keys), "--passphrase-fd", str(stream.fileno()))
        return execute([*words, *more])


def enrol(project: Project, *names: str) -> None:
    """Put new people into the root, and everything up to the signers in place."""
    cards = [str(KeyStore(project.keys).card_file(name)) for name in names]
    assert project.run("root", "add", *cards) == 0
    project.sign_root()
    project.compile()
    project.build("builder-a")
    project.build("builder-b")
    for owner in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", owner) == 0


def key_of(project: Project, name: str) -> Key:
    return KeyStore(project.keys).member(name).key


def signatures(project: Project) -> list[str]:
    """Return the names of what signers left for people who check SHA256SUMS."""
    return sorted(path.name for path in project.release.signatures.iterdir())


def verified(project: Project, capsys: Capture) -> str:
    """Publish, verify as anybody does, and return the row of the signers."""
    assert project.publish() == 0
    capsys.readouterr()
    assert project.verify(project.published / NAME, "--json") == 0
    row = json.loads(capsys.readouterr().out)["rows"][STEPS.index("signers")]
    return str(row["text"])


@pytest.mark.parametrize("scheme", ["rsassa-pss-sha256", "rsa-pkcs1v15-sha512"])
def test_ecdsa_and_rsa_signers_make_a_release(own: Project, capsys: Capture, scheme: str) -> None:
    new_key(own, "edda", "--kind", "ecdsa-p256")
    new_key(own, "rita", "--kind", "rsa", "--scheme", scheme)
    enrol(own, "edda", "rita")
    rsa = key_of(own, "rita")
    assert isinstance(key_of(own, "edda"), EcdsaKey)
    assert isinstance(rsa, RsaKey)
    assert rsa.scheme == scheme
    for name in ("edda", "rita"):
        assert own.publish() == 3
        assert own.run_signing("sign", "--as", name, "--yes") == 0
    assert "rita signed demo 1.0" in capsys.readouterr().err
    # No tool that people check downloads with reads such signatures.
    assert not own.release.signatures.exists()
    row = verified(own, capsys)
    assert "2 of 5 signed (need 2): edda rita" in row
    assert sorted(path.name for path in own.published.glob("SHA256SUMS*")) == ["SHA256SUMS"]


def test_signing_twice_as_an_ecdsa_signer_is_one_signature(own: Project, capsys: Capture) -> None:
    """ECDSA gives other bytes each time."""
    new_key(own, "edda", "--kind", "ecdsa-p256")
    enrol(own, "edda")
    for _time in range(2):
        assert own.run_signing("sign", "--as", "edda", "--yes") == 0
    envelope = parse_envelope(own.release.statement_file.read_bytes(), STATEMENT_FILE)
    assert len(envelope.signatures) == 1
    assert own.publish() == 3
    assert own.run_signing("sign", "--as", "sam", "--yes") == 0
    assert "2 of 4 signed (need 2): edda sam" in verified(own, capsys)
    assert signatures(own) == ["sam.minisig"]


@pytest.fixture
def agent_key(tmp_path: Path) -> Path:
    """Return an Ed25519 key made by OpenSSH's own program."""
    path = tmp_path / "id"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "anna", "-f", path], check=True
    )
    return path


def fingerprint(key: Path) -> str:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", key], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()[1]


def test_a_signer_whose_key_is_in_an_ssh_agent(
    own: Project, tmp_path: Path, agent_key: Path, capsys: Capture
) -> None:
    with real_agent(tmp_path, agent_key) as socket:
        uri = f"ssh-agent:{fingerprint(agent_key)}?socket={socket}"
        words = ("key", "use", "anna", uri, *CARD, "--operator", "anna")
        assert execute([*words, "--keys", str(own.keys)]) == 0
        assert isinstance(key_of(own, "anna"), Ed25519Key)
        agent_key.unlink()
        enrol(own, "anna")
        # Nobody is asked for a passphrase: there is none to read here.
        assert own.run("sign", "--as", "anna", "--yes", "--keys", str(own.keys)) == 0
    # Without the agent there is no such key.
    again = own.run("sign", "--as", "anna", "--yes", "--keys", str(own.keys))
    assert again != 0
    assert own.run_signing("sign", "--as", "sam", "--yes") == 0
    assert "2 of 4 signed (need 2): anna sam" in verified(own, capsys)
    assert signatures(own) == ["anna.minisig", "sam.minisig"]
    check_with_minisign(own)


def check_with_minisign(project: Project) -> None:
    """Ask minisign about what the agent's key made, as people who download would."""
    for name in ("anna", "sam"):
        done = subprocess.run(
            ["minisign", "-V", "-q", "-p", project.site / "demo/keys" / f"{name}.minisign.pub",
             "-x", project.release.signatures / f"{name}.minisig",
             "-m", project.published / "SHA256SUMS"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_keys_of_the_three_kinds_are_in_one_bundle(
    own: Project, tmp_path: Path, agent_key: Path, capsys: Capture
) -> None:
    """Nothing of how a key is kept is seen in what it signed."""
    new_key(own, "edda", "--kind", "ecdsa-p256")
    with real_agent(tmp_path, agent_key) as socket:
        uri = f"ssh-agent:{fingerprint(agent_key)}?socket={socket}"
        words = ("key", "use", "anna", uri, *CARD, "--operator", "anna")
        assert execute([*words, "--keys", str(own.keys)]) == 0
        enrol(own, "anna", "edda")
        assert own.run("sign", "--as", "anna", "--yes", "--keys", str(own.keys)) == 0
    assert own.run_signing("sign", "--as", "edda", "--yes") == 0
    assert "2 of 5 signed (need 2): anna edda" in verified(own, capsys)
    bundle = parse_bundle((own.published / "demo-1.0.relsign").read_bytes())
    assert len(parse_envelope(bundle.files[STATEMENT_FILE], STATEMENT_FILE).signatures) == 2
    assert not [name for name, data in bundle.files.items() if str(socket).encode() in data]
