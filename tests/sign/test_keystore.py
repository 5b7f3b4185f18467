"""The key store: where a key is, who may have written that, and what is enrolled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.crypto.keys import Party, parse_member
from relsign.errors import HostError, InputError, RelsignError
from relsign.formats.roster import (
    EcdsaKey,
    Ed25519Key,
    FrostKey,
    Key,
    RsaKey,
    RsaScheme,
    parse_roster,
)
from relsign.sign.keys.keystore import KeyStore, add_to_roster, encode_members, wanted_member
from relsign.sign.keys.uri import FileUri, SshAgentUri
from relsign.sign.signers.file import create_key_file, load_file_signer
from tests.sign.agents import real_agent

PASSPHRASE = b"correct horse battery"
PSS: RsaScheme = "rsassa-pss-sha256"
MESSAGE = b"statement"


def make(store: KeyStore, name: str = "zoe", kind: str = "ed25519") -> Party:
    wanted = wanted_member(name, name, "acme", ("signer",), kind)
    return parse_member(store.create(wanted, f"{name}@example.org", PASSPHRASE, None), name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a store with one Ed25519 key, to be copied."""
    store = KeyStore(tmp_path_factory.mktemp("s") / "keys")
    make(store)
    return store.folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> KeyStore:
    subprocess.run(["cp", "-a", made, tmp_path / "keys"], check=True)
    return KeyStore(tmp_path / "keys")


@pytest.fixture(scope="session")
def rsa_pem(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an encrypted RSA key of 2048 bits."""
    path = tmp_path_factory.mktemp("rsa") / "k.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
         "-aes256", "-pass", "stdin", "-out", path],
        input=PASSPHRASE + b"\n", check=True, capture_output=True,
    )  # fmt: skip
    return path.read_bytes()


@pytest.mark.parametrize(("kind", "type_of_key"), [("ecdsa-p256", EcdsaKey), ("rsa", RsaKey)])
def test_other_kinds_of_files_are_made_and_sign(
    tmp_path: Path, kind: str, type_of_key: type[Key]
) -> None:
    store = KeyStore(tmp_path / "keys")
    party = make(store, "zoe", kind)
    assert isinstance(store.member("zoe").key, type_of_key)
    shown = subprocess.run(
        ["openssl", "pkey", "-in", store.folder / "zoe" / "key.pem", "-passin", "stdin",
         "-noout", "-text"],
        input=PASSPHRASE + b"\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert (b"3072 bit" if kind == "rsa" else b"NIST CURVE: P-256") in shown
    assert store.open_as(party, PASSPHRASE).sign(MESSAGE)
    with pytest.raises(InputError, match="wrong passphrase"):
        store.open("zoe", PASSPHRASE + b"x")


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa", "openpgp"])
def test_only_signers_have_other_kinds(kind: str) -> None:
    with pytest.raises(InputError, match="only be a signer's"):
        wanted_member("zoe", "zoe", "acme", ("owner",), kind)


def replace_by_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def open_to_group(file: Path) -> None:
    file.chmod(0o640)


HARM = [replace_by_link, replace_by_fifo, open_to_group]


@pytest.mark.parametrize("name", ["key.pem", "signer.toml"])
@pytest.mark.parametrize("harm", HARM)
def test_files_that_decide_are_plain_and_nobody_else_s(
    store: KeyStore, name: str, harm: Callable[[Path], None]
) -> None:
    file = store.folder / "zoe" / name
    if name == "signer.toml":
        file.write_text('uri = "file:key.pem"\n')
        file.chmod(0o600)
    store.open("zoe", PASSPHRASE)
    harm(file)
    with pytest.raises(InputError, match=r"not a regular file|open to others"):
        store.open("zoe", PASSPHRASE)


def test_folders_that_others_could_have_changed(store: KeyStore) -> None:
    home = store.folder / "zoe"
    home.chmod(0o750)
    with pytest.raises(InputError, match="folder is open to others"):
        store.open("zoe", PASSPHRASE)
    home.chmod(0o700)
    store.folder.chmod(0o770)
    with pytest.raises(InputError, match="others can write"):
        store.open("zoe", PASSPHRASE)
    with pytest.raises(InputError, match="others can write"):
        make(store, "yan")
    store.folder.chmod(0o700)
    home.rename(store.folder / "elsewhere")
    home.symlink_to(store.folder / "elsewhere")
    with pytest.raises(InputError, match="link"):
        store.open("zoe", PASSPHRASE)


def test_another_user_s_file_is_not_a_key(store: KeyStore) -> None:
    file = store.folder / "zoe" / "key.pem"
    try:
        os.chown(file, 65_534, -1)
    except PermissionError:
        # Only root can give a file away; anybody can look at root's.
        file.unlink()
        file.symlink_to("/etc/passwd")
    with pytest.raises(InputError):
        store.open("zoe", PASSPHRASE)


def test_a_key_elsewhere_in_the_folder(store: KeyStore) -> None:
    home = store.folder / "zoe"
    (home / "key.pem").rename(home / "other.pem")
    (home / "signer.toml").write_text('uri = "file:other.pem"\n')
    (home / "signer.toml").chmod(0o600)
    assert store.uri("zoe") == FileUri("other.pem")
    assert store.open("zoe", PASSPHRASE).sign(MESSAGE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('uri = "frost:release"\n', "ceremony"),
        ('uri = "file:../yan/key.pem"\n', "beside the card"),
        ('uri = "file:key.pem"\nnote = "x"\n', "note"),
        ("", "uri"),
        ("x" * 4_001, "too large"),
    ],
)
def test_signer_files_that_are_refused(store: KeyStore, text: str, reason: str) -> None:
    file = store.folder / "zoe" / "signer.toml"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InputError, match=reason):
        store.open("zoe", PASSPHRASE)


def test_a_key_that_was_put_under_another_s_name(store: KeyStore) -> None:
    home = store.folder / "zoe"
    (home / "key.pem").unlink()
    create_key_file(home / "key.pem", PASSPHRASE)
    with pytest.raises(InputError, match="do not belong together"):
        store.open("zoe", PASSPHRASE)


def test_an_rsa_key_signs_by_the_scheme_of_its_card(tmp_path: Path, rsa_pem: bytes) -> None:
    store = KeyStore(tmp_path / "keys")
    home = store.folder / "zoe"
    home.mkdir(parents=True, mode=0o700)
    store.folder.chmod(0o700)
    (home / "mine.pem").write_bytes(rsa_pem)
    (home / "mine.pem").chmod(0o600)
    wanted = wanted_member("zoe", "zoe", "acme", ("signer",), "ed25519")
    uri = FileUri("mine.pem")
    with pytest.raises(InputError, match="wrong passphrase"):
        store.enrol(wanted, uri, PASSPHRASE + b"x", PSS)
    assert store.names() == ()
    member = store.enrol(wanted, uri, PASSPHRASE, "rsa-pkcs1v15-sha512")
    assert store.open("zoe", PASSPHRASE).public.scheme == "rsa-pkcs1v15-sha512"
    assert store.open_as(parse_member(member, "zoe"), PASSPHRASE).sign(MESSAGE)
    with pytest.raises(InputError, match="a key of that name exists"):
        store.enrol(wanted, uri, PASSPHRASE, PSS)


def test_a_key_in_an_agent_is_enrolled_and_opened_without_being_asked(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("e")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "k"], check=True)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", folder / "k"], capture_output=True, text=True, check=True
    ).stdout
    store = KeyStore(tmp_path / "keys")
    wanted = wanted_member("zoe", "zoe", "acme", ("owner",), "ed25519")
    with real_agent(folder, folder / "k") as path:
        uri = SshAgentUri(shown.split()[1], str(path))
        party = parse_member(store.enrol(wanted, uri, None, PSS), "zoe")
        assert store.uri("zoe") == uri
        assert store.open_for(party, None).sign(MESSAGE)
        assert (store.folder / "zoe" / "signer.toml").stat().st_mode & 0o777 == 0o600
        with pytest.raises(InputError, match="exists"):
            store.enrol(wanted, uri, None, PSS)
    with pytest.raises(HostError, match="cannot talk"):
        store.open_for(party, None)


@pytest.mark.parametrize("uri", [FileUri("key.pem"), SshAgentUri("SHA256:" + "A" * 43, "/none")])
def test_what_cannot_be_enrolled_leaves_nothing(tmp_path: Path, uri: FileUri | SshAgentUri) -> None:
    store = KeyStore(tmp_path / "keys")
    wanted = wanted_member("zoe", "zoe", "acme", ("signer",), "ed25519")
    with pytest.raises(RelsignError) as refused:
        store.enrol(wanted, uri, PASSPHRASE, PSS)
    assert refused.value.hint
    assert not store.folder.exists() or list(store.folder.iterdir()) == []


def test_a_group_s_card_has_no_private_key(store: KeyStore) -> None:
    member = store.member("zoe")
    assert isinstance(member.key, Ed25519Key)
    group = FrostKey(public=member.key.public, threshold=2, participants=("a", "b"))
    card = encode_members((type(member)(
        name="zoe", operator="zoe", organisation="acme", roles=("release",), key=group,
    ),))  # fmt: skip
    assert parse_roster(card, "t").member[0].key == group
    store.card_file("zoe").write_bytes(card)
    with pytest.raises(InputError, match="ceremony"):
        store.open("zoe", PASSPHRASE)


def test_every_kind_of_card_is_written_as_the_roster_reads_it(
    tmp_path: Path, rsa_pem: bytes
) -> None:
    path = tmp_path / "private" / "k.pem"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(rsa_pem)
    path.chmod(0o600)
    assert load_file_signer(path, PASSPHRASE).sign(MESSAGE)
    members = [
        wanted_member(kind, kind, "acme", ("signer",), kind)
        for kind in ("ed25519", "ecdsa-p256", "rsa", "openpgp")
    ]
    roster = b"# ours\n"
    for member in members:
        roster = add_to_roster(roster, member, "t")
    assert parse_roster(roster, "t").member == tuple(members)
    assert roster.startswith(b"# ours\n")


SHOW = """
import ctypes, pathlib, sys
from relsign.errors import InputError
from relsign.sign.keys.keystore import KeyStore
prctl = ctypes.CDLL(None).prctl
print(prctl(3, 0, 0, 0, 0))
try:
    KeyStore(pathlib.Path(sys.argv[1])).open("absent", b"")
except InputError:
    print(prctl(3, 0, 0, 0, 0))
"""


def test_no_dump_is_possible_before_any_secret_is_read(store: KeyStore) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW, store.folder], capture_output=True, text=True, check=True
    ).stdout
    assert shown.split() == ["1", "0"]
