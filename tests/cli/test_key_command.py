"""`relsign key`: every kind of key is made, enrolled, listed, and checked before it is added."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relsign.cli.main import execute
from relsign.crypto.openpgp import parse_certificate
from relsign.sign.signers.gnupg import create_gnupg_key
from tests.sign.agents import real_agent

PASSPHRASE = b"correct horse battery"
BASE_POINT = "58" + "66" * 31


def spki(key: object) -> str:
    public = key.public_key()  # type: ignore[attr-defined]
    return base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


SHORT = generate_rsa(65537, 1024)  # noqa: S505 - it is to be refused
RSA = spki(generate_rsa(65537, 2048))
P256 = spki(generate_ec(SECP256R1()))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a certificate, and the same with one more subkey that signs."""
    home = tmp_path_factory.mktemp("g") / "h"
    first = create_gnupg_key(home, "Zoe <zoe@example.org>", PASSPHRASE, None)
    fingerprint = parse_certificate(first, "t").fingerprint
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    subprocess.run(
        [*gpg, "--pinentry-mode", "loopback", "--passphrase-fd", "0",
         "--quick-add-key", fingerprint, "ed25519", "sign", "0"],
        input=PASSPHRASE + b"\n", check=True, capture_output=True,
    )  # fmt: skip
    second = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    assert len(parse_certificate(second, "t").signing_keys) == 2
    return first, second


def card(folder: Path, name: str, key: str, role: str = "signer") -> str:
    path = folder / f"{name}.toml"
    path.write_text(
        f'[[member]]\nname = "{name}"\noperator = "{name}"\norganisation = "acme"\n'
        f'roles = ["{role}"]\nkey = {{{key}}}\n'
    )
    return str(path)


def ed25519(public: str) -> str:
    return f'kind = "ed25519", public = "{public}"'


def openpgp(data: bytes) -> str:
    return f'kind = "openpgp", certificate = "{base64.b64encode(data).decode()}"'


def rsa(public: str, scheme: str = "rsassa-pss-sha256") -> str:
    return f'kind = "rsa", public = "{public}", scheme = "{scheme}"'


def run(folder: Path, *words: str) -> int:
    """Run a command with a passphrase at hand, on the keys in `folder`."""
    read_end, write_end = os.pipe()
    os.write(write_end, PASSPHRASE + b"\n")
    os.close(write_end)
    try:
        return execute([*words, "--keys", str(folder), "--passphrase-fd", str(read_end)])
    finally:
        os.close(read_end)


WHO = ("--role", "signer", "--operator", "zoe", "--organisation", "acme")


BAD_KEYS = {
    "small order": (ed25519("01" + "00" * 31), "not an acceptable Ed25519"),
    "order eight": (
        ed25519("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        "not an acceptable Ed25519",
    ),
    "not canonical": (ed25519("ee" + "ff" * 30 + "7f"), "not an acceptable Ed25519"),
    "not on the curve": (ed25519("02" + "00" * 31), "not an acceptable Ed25519"),
    "mixed order": (
        # The base point plus a point of order eight.
        ed25519("98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819"),
        "not an acceptable Ed25519",
    ),
    "short RSA": (rsa(spki(SHORT)), "1024 bits"),
    "small exponent": (rsa(spki(generate_rsa(3, 2048))), "unsafe modulus or exponent"),
    "RSA said to be P-256": (f'kind = "ecdsa-p256", public = "{RSA}"', "not a public key of"),
    "P-256 said to be RSA": (rsa(P256), "not a public key of"),
    "another curve": (
        f'kind = "ecdsa-p256", public = "{spki(generate_ec(SECP384R1()))}"', "not a kind of key",
    ),
    "no certificate": (openpgp(b"\x00" * 40), "openpgp|packet|certificate"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_KEYS)
def test_keys_that_are_not_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    key, reason = BAD_KEYS[name]
    words = ["key", "add", card(tmp_path, "zoe", key), "--project", str(tmp_path)]
    assert execute(words) == 2
    said = capsys.readouterr().err
    assert any(word in said.lower() for word in reason.lower().split("|")), said
    assert not (tmp_path / "keys" / "roster.toml").exists()


@pytest.mark.parametrize(
    "twins",
    [
        (ed25519(BASE_POINT), ed25519(BASE_POINT)),
        (rsa(RSA), rsa(RSA, "rsa-pkcs1v15-sha512")),
        (f'kind = "ecdsa-p256", public = "{P256}"', f'kind = "ecdsa-p256", public = "{P256}"'),
    ],
    ids=["ed25519", "rsa, two schemes", "ecdsa"],
)
def test_a_twin_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], twins: tuple[str, str]
) -> None:
    one, two = card(tmp_path, "zoe", twins[0]), card(tmp_path, "yan", twins[1])
    assert execute(["key", "add", one, "--project", str(tmp_path)]) == 0
    before = (tmp_path / "keys" / "roster.toml").read_bytes()
    assert execute(["key", "add", two, "--project", str(tmp_path)]) == 2
    assert "one key under two names" in capsys.readouterr().err
    assert (tmp_path / "keys" / "roster.toml").read_bytes() == before


def test_a_primary_or_subkey_that_is_in_the_roster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], certificates: tuple[bytes, bytes]
) -> None:
    first, second = certificates
    subkey = parse_certificate(second, "t").signing_keys[-1].material.hex()
    primary = parse_certificate(second, "t").primary_material.hex()
    there = card(tmp_path, "zoe", openpgp(second))
    assert execute(["key", "add", there, "--project", str(tmp_path)]) == 0
    for key in (openpgp(first), ed25519(primary), ed25519(subkey)):
        again = card(tmp_path, "yan", key)
        assert execute(["key", "add", again, "--project", str(tmp_path)]) == 2
        assert "one key under two names" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa"])
def test_new_kinds_are_made_shown_added_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert run(tmp_path / "own", "key", "new", "zoe", "--kind", kind, *WHO) == 0
    file = capsys.readouterr().out.strip()
    assert execute(["key", "show", "zoe", "--keys", str(tmp_path / "own")]) == 0
    shown = capsys.readouterr()
    assert shown.out == Path(file).read_text()
    assert "zoe is at file:key.pem" in shown.err
    assert execute(["key", "add", file, "--project", str(tmp_path)]) == 0
    capsys.readouterr()
    assert execute(["key", "list", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split()[-1] == kind
    assert execute(["key", "list", "--json", "--project", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["roles"]) == (kind, ["signer"])
    assert run(tmp_path / "own", "key", "new", "yan", "--kind", kind, "--role", "owner", *WHO) == 2
    assert "only be a signer's" in capsys.readouterr().err


def test_a_key_in_an_agent_is_enrolled(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("e")
    file = folder / "k"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, check=True)
    with real_agent(folder, file) as path:
        uri = f"ssh-agent:{shown.stdout.decode().split()[1]}?socket={path}"
        words = ["key", "use", "zoe", uri, *WHO, "--keys", str(tmp_path / "own")]
        assert execute(words) == 0
    said = capsys.readouterr()
    assert f"enrolled ed25519 key zoe, at {uri}" in said.err
    made = Path(said.out.strip())
    assert made.with_name("signer.toml").read_text() == f'uri = "{uri}"\n'
    assert execute(["key", "add", str(made), "--project", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("uri", "code", "reason"),
    [
        ("key.pem", 2, "not a key URI"),
        ("frost:release", 2, "through a ceremony"),
        ("pkcs11:token=t;id=%01?module-path=/m.so&pin-value=1234", 2, "pin-value in a key URI"),
        ("file:key.pem", 2, "no key called zoe"),
        ("pkcs11:token=t;id=%01?module-path=/none.so", 5, "no such file"),
        ("ssh-agent:SHA256:" + "A" * 43 + "?socket=/none", 5, "cannot talk"),
        ("gnupg:" + "A" * 40 + "?home=/none", 5, "no such file"),
    ],
)
def test_places_where_there_is_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str, code: int, reason: str
) -> None:
    assert run(tmp_path / "own", "key", "use", "zoe", uri, *WHO) == code
    said = capsys.readouterr().err
    assert reason in said
    assert "1234" not in said
    assert not (tmp_path / "own" / "zoe").exists()
